//! The engine of this application: "others who keep this also keep", in a few lines of SQL.

use async_trait::async_trait;
use serde::Serialize;

use super::RecommendationEngine;
use crate::{
    cards::CardId,
    curators::CuratorId,
    database::{Database, DatabaseError, Queries as _},
};

/// A card a curator may like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Suggestion {
    pub card_id: CardId,
    pub reason: String,
}

/// The engine, in the database.
#[derive(Debug)]
pub struct TasteEngine {
    database: Database,
}

impl TasteEngine {
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    /// What a curator may like and does not keep yet.
    ///
    /// Worked out when it is asked for, from who keeps what: so it is right in whatever order the engine heard of that,
    /// and whatever it heard at the same time.
    pub async fn suggestions(&self, curator: &CuratorId) -> Result<Vec<Suggestion>, DatabaseError> {
        let rows: Vec<(String, String)> = self
            .database
            .query(
                "select card_id, min(reason) from (
                     select theirs.card_id as card_id, 'kept by ' || theirs.curator_id as reason
                     from taste mine
                     join taste shared on shared.card_id = mine.card_id and shared.curator_id <> mine.curator_id
                     join taste theirs on theirs.curator_id = shared.curator_id
                     where mine.curator_id = $1
                     union all
                     select card_id, reason from suggestions
                     where curator_id = $1 and card_id in (select card_id from taste)
                 ) likely
                 where card_id not in (select card_id from taste where curator_id = $1)
                 group by card_id order by min(reason), card_id limit 20",
            )
            .bind(curator.as_str())
            .fetch_all()
            .await?;
        Ok(rows.into_iter().map(|(id, reason)| Suggestion { card_id: id.into(), reason }).collect())
    }
}

#[async_trait]
impl RecommendationEngine for TasteEngine {
    async fn keeps(&self, curator: &CuratorId, card: &CardId) -> Result<(), DatabaseError> {
        let mut transaction = self.database.begin().await?;
        transaction
            .query("insert into taste (card_id, curator_id) values ($1, $2) on conflict do nothing")
            .bind(card.as_str())
            .bind(curator.as_str())
            .execute()
            .await?;
        Ok(transaction.commit().await?)
    }

    async fn gave_up(&self, curator: &CuratorId, card: &CardId) -> Result<(), DatabaseError> {
        let mut transaction = self.database.begin().await?;
        transaction
            .query("delete from taste where card_id = $1 and curator_id = $2")
            .bind(card.as_str())
            .bind(curator.as_str())
            .execute()
            .await?;
        Ok(transaction.commit().await?)
    }

    async fn suggest_popular(&self, curator: &CuratorId) -> Result<(), DatabaseError> {
        let mut transaction = self.database.begin().await?;
        transaction
            .query(
                "insert into suggestions (curator_id, card_id, reason)
                 select $1, card_id, 'popular' from taste group by card_id order by count(*) desc, card_id limit 5
                 on conflict do nothing",
            )
            .bind(curator.as_str())
            .execute()
            .await?;
        Ok(transaction.commit().await?)
    }
}
