//! A collection: cards that one curator keeps together under a name.

use std::collections::BTreeSet;

use domain_events::prelude::*;

use super::{CardAddedToCollectionEvent, CardId, CardRemovedFromCollectionEvent, CollectionCreatedEvent, CollectionId};
use crate::curators::CuratorId;

/// One collection and the cards in it.
#[aggregate_root]
#[derive(Debug)]
pub struct Collection {
    #[aggregate(id)]
    id: CollectionId,
    curator: CuratorId,
    name: String,
    cards: BTreeSet<CardId>,
    /// Grows by one with every event; a commit on top of a stale version is refused.
    #[aggregate(version)]
    version: u64,
    events: PendingEvents,
}

/// Why a collection does not do what it was asked to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CollectionError {
    #[error("a collection's name has 1 to {max} characters, not {0}", max = Collection::NAME_LIMIT)]
    Name(usize),
    #[error("a collection's name is one line of text; there is no place in it for {0:?}")]
    Control(char),
    #[error("card `{card}` is already in collection `{collection}`")]
    AlreadyInCollection { card: CardId, collection: CollectionId },
    #[error("card `{card}` is not in collection `{collection}`")]
    NotInCollection { card: CardId, collection: CollectionId },
}

impl Collection {
    /// The longest name, in characters.
    pub const NAME_LIMIT: usize = 100;

    /// Begins a collection.
    pub fn create(curator: CuratorId, name: &str) -> Result<Self, CollectionError> {
        let name = name.trim();
        let length = name.chars().count();
        if !(1..=Self::NAME_LIMIT).contains(&length) {
            return Err(CollectionError::Name(length));
        }
        if let Some(control) = name.chars().find(|character| character.is_control()) {
            return Err(CollectionError::Control(control));
        }
        let mut collection = Self::stored(CollectionId::generate(), curator, name.to_owned(), BTreeSet::new(), 0);
        collection.raise(CollectionCreatedEvent::new(
            collection.id.clone(),
            collection.curator.clone(),
            collection.name.clone(),
        ));
        Ok(collection)
    }

    /// A collection as the repository knows it.
    pub(super) fn stored(
        id: CollectionId,
        curator: CuratorId,
        name: String,
        cards: BTreeSet<CardId>,
        version: u64,
    ) -> Self {
        Self { id, curator, name, cards, version, events: PendingEvents::default() }
    }

    /// Puts a card into the collection.
    pub fn add(&mut self, card: &CardId) -> Result<(), CollectionError> {
        if !self.cards.insert(card.clone()) {
            return Err(CollectionError::AlreadyInCollection { card: card.clone(), collection: self.id.clone() });
        }
        self.raise(CardAddedToCollectionEvent::new(
            self.id.clone(),
            card.clone(),
            self.curator.clone(),
            self.name.clone(),
        ));
        Ok(())
    }

    /// Takes a card out of the collection.
    pub fn remove(&mut self, card: &CardId) -> Result<(), CollectionError> {
        if !self.cards.remove(card) {
            return Err(CollectionError::NotInCollection { card: card.clone(), collection: self.id.clone() });
        }
        self.raise(CardRemovedFromCollectionEvent::new(self.id.clone(), card.clone(), self.curator.clone()));
        Ok(())
    }

    pub fn id(&self) -> &CollectionId {
        &self.id
    }

    pub fn curator(&self) -> &CuratorId {
        &self.curator
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn cards(&self) -> &BTreeSet<CardId> {
        &self.cards
    }

    pub fn version(&self) -> u64 {
        self.version
    }
}
