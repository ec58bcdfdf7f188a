//! The collections: loads them, and commits what changed together with what happened.

use std::collections::BTreeSet;

use domain_events::{DomainEvents, SqlStore};

use super::{CardId, Collection, CollectionId, library::is_duplicate};
use crate::{
    curators::CuratorId,
    database::{Database, DatabaseError, Queries as _},
    problem::{Problem, once_more_on_conflict},
};

/// The repository of collections, and what curators do with them.
#[derive(Debug, Clone)]
pub struct Collections {
    database: Database,
    events: DomainEvents<SqlStore>,
}

impl Collections {
    pub fn new(database: Database, events: DomainEvents<SqlStore>) -> Self {
        Self { database, events }
    }

    /// Begins a collection; a curator's collections have different names.
    pub async fn create(&self, curator: CuratorId, name: &str) -> Result<CollectionId, Problem> {
        let mut collection = Collection::create(curator, name)?;
        match self.save(&mut collection).await {
            Err(DatabaseError::Sql(error)) if is_duplicate(&error) => {
                let (curator, name) = (collection.curator(), collection.name());
                Err(Problem::Duplicate(format!("`{curator}` has a collection `{name}` already")))
            }
            saved => Ok(saved.map(|()| collection.id().clone())?),
        }
    }

    /// Puts a card into a collection.
    pub async fn add(&self, id: &CollectionId, card: &CardId) -> Result<(), Problem> {
        once_more_on_conflict(|| async move {
            let mut collection = self.load(id).await?;
            collection.add(card)?;
            Ok(self.save(&mut collection).await?)
        })
        .await
    }

    /// Takes a card out of a collection.
    pub async fn remove(&self, id: &CollectionId, card: &CardId) -> Result<(), Problem> {
        once_more_on_conflict(|| async move {
            let mut collection = self.load(id).await?;
            collection.remove(card)?;
            Ok(self.save(&mut collection).await?)
        })
        .await
    }

    /// The collection, as it is now.
    pub async fn load(&self, id: &CollectionId) -> Result<Collection, Problem> {
        // One statement, so that the version and the cards are of the same moment.
        let rows: Vec<(String, String, i64, Option<String>)> = self
            .database
            .query(
                "select curator_id, name, version, card_id from collections
                 left join collection_cards on collection_id = id where id = $1",
            )
            .bind(id.as_str())
            .fetch_all()
            .await?;
        let cards = rows.iter().filter_map(|(.., card)| card.clone().map(CardId::from)).collect();
        let (curator, name, version, _) = rows.into_iter().next().ok_or_else(|| Problem::unknown("collection", id))?;
        Ok(Collection::stored(
            id.clone(),
            curator.parse().map_err(Problem::corrupt)?,
            name,
            cards,
            u64::try_from(version).map_err(Problem::corrupt)?,
        ))
    }

    /// State and events commit together, or not at all; see [`Library`](super::Library).
    async fn save(&self, collection: &mut Collection) -> Result<(), DatabaseError> {
        let mut work = self.events.begin().await?;
        work.query(
            "insert into collections (id, curator_id, name, version) values ($1, $2, $3, $4)
             on conflict (id) do update set version = excluded.version",
        )
        .bind(collection.id().as_str())
        .bind(collection.curator().as_str())
        .bind(collection.name())
        .bind(collection.version().cast_signed())
        .execute()
        .await?;
        let stored: Vec<(String,)> = work
            .query("select card_id from collection_cards where collection_id = $1")
            .bind(collection.id().as_str())
            .fetch_all()
            .await?;
        let stored: BTreeSet<&str> = stored.iter().map(|(card,)| card.as_str()).collect();
        let cards: BTreeSet<&str> = collection.cards().iter().map(CardId::as_str).collect();
        for card in cards.difference(&stored) {
            work.query("insert into collection_cards (collection_id, card_id) values ($1, $2)")
                .bind(collection.id().as_str())
                .bind(*card)
                .execute()
                .await?;
        }
        for card in stored.difference(&cards) {
            work.query("delete from collection_cards where collection_id = $1 and card_id = $2")
                .bind(collection.id().as_str())
                .bind(*card)
                .execute()
                .await?;
        }
        work.record(collection);
        work.commit().await?;
        tracing::debug!(collection = %collection.id(), version = collection.version(), "committed");
        Ok(())
    }
}
