//! The cards in their libraries: loads them, and commits what changed together with what happened.

use std::collections::BTreeSet;

use domain_events::{DomainEvents, SqliteStore};

use super::{Card, CardId, WebUrl};
use crate::{
    curators::CuratorId,
    database::{Database, DatabaseError},
    problem::{Problem, once_more_on_conflict},
};

/// The repository of cards, and what curators do with them.
#[derive(Debug, Clone)]
pub struct Library {
    database: Database,
    events: DomainEvents<SqliteStore>,
}

impl Library {
    pub fn new(database: Database, events: DomainEvents<SqliteStore>) -> Self {
        Self { database, events }
    }

    /// Makes a card for a web page; there is one card for each page.
    pub async fn create(&self, url: WebUrl) -> Result<CardId, Problem> {
        let mut card = Card::for_url(url);
        match self.save(&mut card).await {
            Err(DatabaseError::Sql(error)) if is_duplicate(&error) => Err(Problem::Duplicate(format!(
                "there is a card for {} already",
                card.url().map_or("it", WebUrl::as_str)
            ))),
            saved => Ok(saved.map(|()| card.id().clone())?),
        }
    }

    /// Takes a card into a curator's library.
    pub async fn add(&self, id: &CardId, curator: &CuratorId) -> Result<(), Problem> {
        once_more_on_conflict(|| async move {
            let mut card = self.load(id).await?;
            card.add_to_library(curator)?;
            Ok(self.save(&mut card).await?)
        })
        .await
    }

    /// Takes a card out of a curator's library.
    pub async fn remove(&self, id: &CardId, curator: &CuratorId) -> Result<(), Problem> {
        once_more_on_conflict(|| async move {
            let mut card = self.load(id).await?;
            card.remove_from_library(curator)?;
            Ok(self.save(&mut card).await?)
        })
        .await
    }

    /// The card, as it is now.
    pub async fn load(&self, id: &CardId) -> Result<Card, Problem> {
        // One statement, so that the version and the libraries are of the same moment.
        let row: Option<(String, Option<String>, i64, String)> = sqlx::query_as(
            "select card_type, url, version,
                    (select json_group_array(curator_id) from card_libraries where card_id = cards.id)
             from cards where id = ?",
        )
        .bind(id.as_str())
        .fetch_optional(self.database.reader())
        .await?;
        let (card_type, url, version, libraries) = row.ok_or_else(|| Problem::unknown("card", id))?;
        Ok(Card::stored(
            id.clone(),
            card_type.parse().map_err(Problem::corrupt)?,
            url.map(|url| url.parse()).transpose().map_err(Problem::corrupt)?,
            serde_json::from_str::<BTreeSet<CuratorId>>(&libraries).map_err(Problem::corrupt)?,
            u64::try_from(version).map_err(Problem::corrupt)?,
        ))
    }

    /// State and events commit together, or not at all. If somebody else changed the card since it was loaded, its
    /// version is not the one the log expects, and the commit says so.
    async fn save(&self, card: &mut Card) -> Result<(), DatabaseError> {
        let libraries = serde_json::json!(card.libraries()).to_string();
        let mut work = self.events.begin().await?;
        sqlx::query(
            "insert into cards (id, card_type, url, version) values (?, ?, ?, ?)
             on conflict (id) do update set version = excluded.version",
        )
        .bind(card.id().as_str())
        .bind(card.card_type().to_string())
        .bind(card.url().map(WebUrl::as_str))
        .bind(card.version().cast_signed())
        .execute(work.connection())
        .await?;
        sqlx::query(
            "delete from card_libraries where card_id = ?1 and curator_id not in (select value from json_each(?2))",
        )
        .bind(card.id().as_str())
        .bind(&libraries)
        .execute(work.connection())
        .await?;
        sqlx::query(
            "insert into card_libraries (card_id, curator_id) select ?1, value from json_each(?2) where true
             on conflict do nothing",
        )
        .bind(card.id().as_str())
        .bind(&libraries)
        .execute(work.connection())
        .await?;
        work.record(card);
        work.commit().await?;
        tracing::debug!(card = %card.id(), version = card.version(), "committed");
        Ok(())
    }
}

pub(super) fn is_duplicate(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.is_unique_violation())
}
