//! The collections: loads them, and commits what changed together with what happened.

use std::collections::BTreeSet;

use domain_events::{DomainEvents, SqliteStore};

use super::{CardId, Collection, CollectionId, library::is_duplicate};
use crate::{
    curators::CuratorId,
    database::{Database, DatabaseError},
    problem::{Problem, once_more_on_conflict},
};

/// The repository of collections, and what curators do with them.
#[derive(Debug, Clone)]
pub struct Collections {
    database: Database,
    events: DomainEvents<SqliteStore>,
}

impl Collections {
    pub fn new(database: Database, events: DomainEvents<SqliteStore>) -> Self {
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
        let row: Option<(String, String, i64, String)> = sqlx::query_as(
            "select curator_id, name, version,
                    (select json_group_array(card_id) from collection_cards where collection_id = collections.id)
             from collections where id = ?",
        )
        .bind(id.as_str())
        .fetch_optional(self.database.reader())
        .await?;
        let (curator, name, version, cards) = row.ok_or_else(|| Problem::unknown("collection", id))?;
        Ok(Collection::stored(
            id.clone(),
            curator.parse().map_err(Problem::corrupt)?,
            name,
            serde_json::from_str::<BTreeSet<CardId>>(&cards).map_err(Problem::corrupt)?,
            u64::try_from(version).map_err(Problem::corrupt)?,
        ))
    }

    /// State and events commit together, or not at all; see [`Library`](super::Library).
    async fn save(&self, collection: &mut Collection) -> Result<(), DatabaseError> {
        let cards = serde_json::json!(collection.cards()).to_string();
        let mut work = self.events.begin().await?;
        sqlx::query(
            "insert into collections (id, curator_id, name, version) values (?, ?, ?, ?)
             on conflict (id) do update set version = excluded.version",
        )
        .bind(collection.id().as_str())
        .bind(collection.curator().as_str())
        .bind(collection.name())
        .bind(collection.version().cast_signed())
        .execute(work.connection())
        .await?;
        sqlx::query(
            "delete from collection_cards where collection_id = ?1 and card_id not in (select value from json_each(?2))",
        )
        .bind(collection.id().as_str())
        .bind(&cards)
        .execute(work.connection())
        .await?;
        sqlx::query(
            "insert into collection_cards (collection_id, card_id) select ?1, value from json_each(?2) where true
             on conflict do nothing",
        )
        .bind(collection.id().as_str())
        .bind(&cards)
        .execute(work.connection())
        .await?;
        work.record(collection);
        work.commit().await?;
        tracing::debug!(collection = %collection.id(), version = collection.version(), "committed");
        Ok(())
    }
}
