//! Keeps the index in step with the libraries.

use domain_events::prelude::*;

use super::{GROUP, SearchIndex};
use crate::{
    cards::{CardAddedToLibraryEvent, CardRemovedFromLibraryEvent},
    database::DatabaseError,
};

/// Built from services once, at start-up.
#[derive(FromServices)]
pub(super) struct SearchIndexer {
    pub(super) index: Service<dyn SearchIndex>,
}

// `on_dead = "park"`: if an addition could not be indexed, the removal behind it waits too, until a person has decided.
#[event_handler(CardAddedToLibraryEvent, CardRemovedFromLibraryEvent, group = GROUP, on_dead = "park")]
impl SearchIndexer {
    pub(super) async fn index(&self, event: &CardAddedToLibraryEvent) -> Result<(), DatabaseError> {
        match &event.url {
            Some(url) => self.index.put(&event.card_id, &event.curator_id, url).await,
            None => Ok(()),
        }
    }

    pub(super) async fn remove(&self, event: &CardRemovedFromLibraryEvent) -> Result<(), DatabaseError> {
        self.index.remove(&event.card_id, &event.curator_id).await
    }
}
