//! What happens to cards and collections, in the words of the people who curate them.
//!
//! Each event names what its handlers need to do their work, and no more: they never have to ask this context back.

use domain_events::prelude::*;

use super::{Card, CardId, CardType, Collection, CollectionId, WebUrl};
use crate::curators::CuratorId;

/// A curator took a card into their library.
#[derive(Debug, Clone, PartialEq, DomainEvent)]
#[event(aggregate = Card)]
pub struct CardAddedToLibraryEvent {
    #[event(aggregate_id)]
    pub card_id: CardId,
    pub curator_id: CuratorId,
    pub card_type: CardType,
    pub url: Option<WebUrl>,
    #[event(occurred_at)]
    pub occurred_at: DateTime<Utc>,
}

/// A curator gave a card up.
#[derive(Debug, Clone, PartialEq, DomainEvent)]
#[event(aggregate = Card)]
pub struct CardRemovedFromLibraryEvent {
    #[event(aggregate_id)]
    pub card_id: CardId,
    pub curator_id: CuratorId,
    #[event(occurred_at)]
    pub occurred_at: DateTime<Utc>,
}

/// A curator began a collection.
#[derive(Debug, Clone, PartialEq, DomainEvent)]
#[event(aggregate = Collection)]
pub struct CollectionCreatedEvent {
    #[event(aggregate_id)]
    pub collection_id: CollectionId,
    pub curator_id: CuratorId,
    pub name: String,
    #[event(occurred_at)]
    pub occurred_at: DateTime<Utc>,
}

/// A collection's curator put a card into it.
#[derive(Debug, Clone, PartialEq, DomainEvent)]
#[event(aggregate = Collection)]
pub struct CardAddedToCollectionEvent {
    #[event(aggregate_id)]
    pub collection_id: CollectionId,
    pub card_id: CardId,
    pub curator_id: CuratorId,
    pub collection_name: String,
    #[event(occurred_at)]
    pub occurred_at: DateTime<Utc>,
}

/// A collection's curator took a card out of it.
#[derive(Debug, Clone, PartialEq, DomainEvent)]
#[event(aggregate = Collection)]
pub struct CardRemovedFromCollectionEvent {
    #[event(aggregate_id)]
    pub collection_id: CollectionId,
    pub card_id: CardId,
    pub curator_id: CuratorId,
    #[event(occurred_at)]
    pub occurred_at: DateTime<Utc>,
}
