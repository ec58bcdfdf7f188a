//! The index of this application: a table in SQLite.

use async_trait::async_trait;
use serde::Serialize;

use super::SearchIndex;
use crate::{
    cards::{CardId, WebUrl},
    curators::CuratorId,
    database::{Database, DatabaseError},
};

/// A card that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hit {
    pub card_id: CardId,
    pub url: String,
    /// In how many libraries it stands.
    pub libraries: i64,
}

/// The index, in SQLite.
#[derive(Debug)]
pub struct SqliteIndex {
    database: Database,
}

impl SqliteIndex {
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    /// Cards whose address contains this text, the most kept first.
    pub async fn find(&self, text: &str) -> Result<Vec<Hit>, DatabaseError> {
        let rows: Vec<(String, String, i64)> = sqlx::query_as(
            "select card_id, url, count(*) from search_entries where instr(lower(url), lower(?)) > 0
             group by card_id order by count(*) desc, url limit 100",
        )
        .bind(text)
        .fetch_all(self.database.reader())
        .await?;
        Ok(rows.into_iter().map(|(id, url, libraries)| Hit { card_id: id.into(), url, libraries }).collect())
    }
}

#[async_trait]
impl SearchIndex for SqliteIndex {
    async fn put(&self, card: &CardId, curator: &CuratorId, url: &WebUrl) -> Result<(), DatabaseError> {
        let mut transaction = self.database.begin().await?;
        sqlx::query("insert or replace into search_entries (card_id, curator_id, url) values (?, ?, ?)")
            .bind(card.as_str())
            .bind(curator.as_str())
            .bind(url.as_str())
            .execute(&mut *transaction)
            .await?;
        Ok(transaction.commit().await?)
    }

    async fn remove(&self, card: &CardId, curator: &CuratorId) -> Result<(), DatabaseError> {
        let mut transaction = self.database.begin().await?;
        sqlx::query("delete from search_entries where card_id = ? and curator_id = ?")
            .bind(card.as_str())
            .bind(curator.as_str())
            .execute(&mut *transaction)
            .await?;
        Ok(transaction.commit().await?)
    }
}
