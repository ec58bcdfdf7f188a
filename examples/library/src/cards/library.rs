//! The cards in their libraries: loads them, and commits what changed together with what happened.

use std::collections::BTreeSet;

use domain_events::{DomainEvents, SqlStore};

use super::{Card, CardId, WebUrl};
use crate::{
    curators::CuratorId,
    database::{Database, DatabaseError, Queries as _},
    problem::{Problem, once_more_on_conflict},
};

/// The repository of cards, and what curators do with them.
#[derive(Debug, Clone)]
pub struct Library {
    database: Database,
    events: DomainEvents<SqlStore>,
}

impl Library {
    pub fn new(database: Database, events: DomainEvents<SqlStore>) -> Self {
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
        let rows: Vec<(String, Option<String>, i64, Option<String>)> = self
            .database
            .query(
                "select card_type, url, version, curator_id from cards left join card_libraries on card_id = id
                 where id = $1",
            )
            .bind(id.as_str())
            .fetch_all()
            .await?;
        let libraries = rows.iter().filter_map(|(.., curator)| curator.as_deref().map(str::parse));
        let libraries = libraries.collect::<Result<BTreeSet<CuratorId>, _>>().map_err(Problem::corrupt)?;
        let (card_type, url, version, _) = rows.into_iter().next().ok_or_else(|| Problem::unknown("card", id))?;
        Ok(Card::stored(
            id.clone(),
            card_type.parse().map_err(Problem::corrupt)?,
            url.map(|url| url.parse()).transpose().map_err(Problem::corrupt)?,
            libraries,
            u64::try_from(version).map_err(Problem::corrupt)?,
        ))
    }

    /// State and events commit together, or not at all. If somebody else changed the card since it was loaded, its
    /// version is not the one the log expects, and the commit says so.
    async fn save(&self, card: &mut Card) -> Result<(), DatabaseError> {
        let mut work = self.events.begin().await?;
        work.query(
            "insert into cards (id, card_type, url, version) values ($1, $2, $3, $4)
             on conflict (id) do update set version = excluded.version",
        )
        .bind(card.id().as_str())
        .bind(card.card_type().to_string())
        .bind(card.url().map(WebUrl::as_str))
        .bind(card.version().cast_signed())
        .execute()
        .await?;
        let stored: Vec<(String,)> = work
            .query("select curator_id from card_libraries where card_id = $1")
            .bind(card.id().as_str())
            .fetch_all()
            .await?;
        let stored: BTreeSet<&str> = stored.iter().map(|(curator,)| curator.as_str()).collect();
        let libraries: BTreeSet<&str> = card.libraries().iter().map(CuratorId::as_str).collect();
        for curator in libraries.difference(&stored) {
            work.query("insert into card_libraries (card_id, curator_id) values ($1, $2)")
                .bind(card.id().as_str())
                .bind(*curator)
                .execute()
                .await?;
        }
        for curator in stored.difference(&libraries) {
            work.query("delete from card_libraries where card_id = $1 and curator_id = $2")
                .bind(card.id().as_str())
                .bind(*curator)
                .execute()
                .await?;
        }
        work.record(card);
        work.commit().await?;
        tracing::debug!(card = %card.id(), version = card.version(), "committed");
        Ok(())
    }
}

pub(super) fn is_duplicate(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.is_unique_violation())
}
