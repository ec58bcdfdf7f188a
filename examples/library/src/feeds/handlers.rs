//! Which event becomes which story, and who reads it.

use domain_events::prelude::*;

use super::{FeedService, GROUP, Story};
use crate::{
    cards::{
        CardAddedToCollectionEvent, CardAddedToLibraryEvent, CardId, CardRemovedFromCollectionEvent, CollectionId,
        WebUrl,
    },
    curators::{CuratorId, ProfileService},
    database::DatabaseError,
};

/// Tells of a new card in a library. The story stays when the card goes: it did happen.
#[event_handler(CardAddedToLibraryEvent, group = GROUP)]
pub(super) async fn announce_card(
    event: &CardAddedToLibraryEvent,
    profiles: Service<dyn ProfileService>,
    feeds: Service<dyn FeedService>,
) -> Result<(), DatabaseError> {
    let card = event.url.as_ref().map_or("a note", WebUrl::as_str);
    let story = Story {
        key: format!("library/{}/{}", event.curator_id, event.card_id),
        text: format!("{} keeps {card}", event.curator_id),
        at: event.occurred_at,
    };
    feeds.publish(&story, &readers(&*profiles, &event.curator_id).await?).await
}

/// Tells what is in a collection. One handler for both events, so that the removal of a card comes after its addition.
#[derive(FromServices)]
pub(super) struct CollectionStories {
    pub(super) profiles: Service<dyn ProfileService>,
    pub(super) feeds: Service<dyn FeedService>,
}

#[event_handler(CardAddedToCollectionEvent, CardRemovedFromCollectionEvent, group = GROUP)]
impl CollectionStories {
    pub(super) async fn tell(&self, event: &CardAddedToCollectionEvent) -> Result<(), DatabaseError> {
        let story = Story {
            key: key(&event.collection_id, &event.card_id),
            text: format!("{} put card {} into {}", event.curator_id, event.card_id, event.collection_name),
            at: event.occurred_at,
        };
        self.feeds.publish(&story, &readers(&*self.profiles, &event.curator_id).await?).await
    }

    pub(super) async fn take_back(&self, event: &CardRemovedFromCollectionEvent) -> Result<(), DatabaseError> {
        self.feeds.retract(&key(&event.collection_id, &event.card_id)).await
    }
}

fn key(collection: &CollectionId, card: &CardId) -> String {
    format!("collection/{collection}/{card}")
}

/// The curator, and the followers of a public one.
async fn readers(profiles: &dyn ProfileService, curator: &CuratorId) -> Result<Vec<CuratorId>, DatabaseError> {
    let mut readers = vec![curator.clone()];
    match profiles.profile(curator).await? {
        Some(profile) if profile.is_public => readers.extend(profile.followers),
        _ => {}
    }
    Ok(readers)
}
