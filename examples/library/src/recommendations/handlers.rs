//! Feeds the engine.

use domain_events::prelude::*;

use super::{GROUP, RecommendationEngine};
use crate::{
    cards::{CardAddedToLibraryEvent, CardRemovedFromLibraryEvent, CollectionCreatedEvent},
    database::DatabaseError,
};

/// Learns from libraries. One handler for both events, so that the removal of a card comes after its addition.
#[derive(FromServices)]
pub(super) struct TasteLearner {
    pub(super) engine: Service<dyn RecommendationEngine>,
}

#[event_handler(CardAddedToLibraryEvent, CardRemovedFromLibraryEvent, group = GROUP)]
impl TasteLearner {
    pub(super) async fn learn(&self, event: &CardAddedToLibraryEvent) -> Result<(), DatabaseError> {
        self.engine.keeps(&event.curator_id, &event.card_id).await
    }

    pub(super) async fn forget(&self, event: &CardRemovedFromLibraryEvent) -> Result<(), DatabaseError> {
        self.engine.gave_up(&event.curator_id, &event.card_id).await
    }
}

/// Gives a new collection something to begin with.
#[derive(FromServices)]
pub(super) struct FirstSuggestions {
    pub(super) engine: Service<dyn RecommendationEngine>,
}

#[event_handler(CollectionCreatedEvent, group = GROUP)]
impl FirstSuggestions {
    pub(super) async fn handle(&self, event: &CollectionCreatedEvent) -> Result<(), DatabaseError> {
        self.engine.suggest_popular(&event.curator_id).await
    }
}
