//! The feeds of this application: rows in SQLite, one for each story and reader.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{FeedService, Story};
use crate::{
    curators::CuratorId,
    database::{Database, DatabaseError},
};

/// The feeds of all curators.
#[derive(Debug)]
pub struct Stories {
    database: Database,
}

impl Stories {
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    /// A reader's feed, newest first.
    pub async fn of(&self, reader: &CuratorId) -> Result<Vec<Story>, DatabaseError> {
        let rows: Vec<(String, String, DateTime<Utc>)> =
            sqlx::query_as("select key, text, at from feed_stories where reader = ? order by at desc, key limit 100")
                .bind(reader.as_str())
                .fetch_all(self.database.reader())
                .await?;
        Ok(rows.into_iter().map(|(key, text, at)| Story { key, text, at }).collect())
    }
}

#[async_trait]
impl FeedService for Stories {
    async fn publish(&self, story: &Story, readers: &[CuratorId]) -> Result<(), DatabaseError> {
        let mut transaction = self.database.begin().await?;
        for reader in readers {
            sqlx::query("insert into feed_stories (reader, key, text, at) values (?, ?, ?, ?) on conflict do nothing")
                .bind(reader.as_str())
                .bind(&story.key)
                .bind(&story.text)
                .bind(story.at)
                .execute(&mut *transaction)
                .await?;
        }
        Ok(transaction.commit().await?)
    }

    async fn retract(&self, key: &str) -> Result<(), DatabaseError> {
        let mut transaction = self.database.begin().await?;
        sqlx::query("delete from feed_stories where key = ?").bind(key).execute(&mut *transaction).await?;
        Ok(transaction.commit().await?)
    }
}
