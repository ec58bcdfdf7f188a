//! The index of this application: a table.

use async_trait::async_trait;
use serde::Serialize;

use super::SearchIndex;
use crate::{
    cards::{CardId, WebUrl},
    curators::CuratorId,
    database::{Database, DatabaseError, Queries as _},
};

/// A card that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hit {
    pub card_id: CardId,
    pub url: String,
    /// In how many libraries it stands.
    pub libraries: i64,
}

/// The index, in the database.
#[derive(Debug)]
pub struct TableIndex {
    database: Database,
}

impl TableIndex {
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    /// Cards whose address contains this text, the most kept first.
    pub async fn find(&self, text: &str) -> Result<Vec<Hit>, DatabaseError> {
        let rows: Vec<(String, String, i64)> = self
            .database
            .query(
                r"select card_id, url, count(*) from search_entries where lower(url) like lower($1) escape '\'
                  group by card_id, url order by count(*) desc, url limit 100",
            )
            .bind(containing(text))
            .fetch_all()
            .await?;
        Ok(rows.into_iter().map(|(id, url, libraries)| Hit { card_id: id.into(), url, libraries }).collect())
    }
}

#[async_trait]
impl SearchIndex for TableIndex {
    async fn put(&self, card: &CardId, curator: &CuratorId, url: &WebUrl) -> Result<(), DatabaseError> {
        let mut transaction = self.database.begin().await?;
        transaction
            .query(
                "insert into search_entries (card_id, curator_id, url) values ($1, $2, $3)
                 on conflict (card_id, curator_id) do update set url = excluded.url",
            )
            .bind(card.as_str())
            .bind(curator.as_str())
            .bind(url.as_str())
            .execute()
            .await?;
        Ok(transaction.commit().await?)
    }

    async fn remove(&self, card: &CardId, curator: &CuratorId) -> Result<(), DatabaseError> {
        let mut transaction = self.database.begin().await?;
        transaction
            .query("delete from search_entries where card_id = $1 and curator_id = $2")
            .bind(card.as_str())
            .bind(curator.as_str())
            .execute()
            .await?;
        Ok(transaction.commit().await?)
    }
}

/// A pattern for `like` that means this text, wherever it stands.
fn containing(text: &str) -> String {
    let mut pattern = String::from("%");
    for character in text.chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern + "%"
}
