//! The feeds of this application: a row for each story and reader.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{FeedService, Story};
use crate::{
    curators::CuratorId,
    database::{Database, DatabaseError, Queries as _},
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
        let rows: Vec<(String, String, DateTime<Utc>)> = self
            .database
            .query("select key, text, at from feed_stories where reader = $1 order by at desc, key limit 100")
            .bind(reader.as_str())
            .fetch_all()
            .await?;
        Ok(rows.into_iter().map(|(key, text, at)| Story { key, text, at }).collect())
    }
}

#[async_trait]
impl FeedService for Stories {
    async fn publish(&self, story: &Story, readers: &[CuratorId]) -> Result<(), DatabaseError> {
        let mut transaction = self.database.begin().await?;
        for reader in readers {
            transaction
                .query(
                    "insert into feed_stories (reader, key, text, at) values ($1, $2, $3, $4) on conflict do nothing",
                )
                .bind(reader.as_str())
                .bind(&story.key)
                .bind(&story.text)
                .bind(story.at)
                .execute()
                .await?;
        }
        Ok(transaction.commit().await?)
    }

    async fn retract(&self, key: &str) -> Result<(), DatabaseError> {
        let mut transaction = self.database.begin().await?;
        transaction.query("delete from feed_stories where key = $1").bind(key).execute().await?;
        Ok(transaction.commit().await?)
    }
}
