//! The engine of this application: "others who keep this also keep", in a few lines of SQL.

use async_trait::async_trait;
use serde::Serialize;

use super::RecommendationEngine;
use crate::{
    cards::CardId,
    curators::CuratorId,
    database::{Database, DatabaseError},
};

/// A card a curator may like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Suggestion {
    pub card_id: CardId,
    pub reason: String,
}

/// The engine, in SQLite.
#[derive(Debug)]
pub struct TasteEngine {
    database: Database,
}

impl TasteEngine {
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    /// What a curator may like and does not keep yet.
    pub async fn suggestions(&self, curator: &CuratorId) -> Result<Vec<Suggestion>, DatabaseError> {
        let rows: Vec<(String, String)> = sqlx::query_as(
            "select card_id, reason from suggestions s where curator_id = ?
             and not exists (select 1 from taste t where t.card_id = s.card_id and t.curator_id = s.curator_id)
             order by reason, card_id limit 20",
        )
        .bind(curator.as_str())
        .fetch_all(self.database.reader())
        .await?;
        Ok(rows.into_iter().map(|(id, reason)| Suggestion { card_id: id.into(), reason }).collect())
    }
}

#[async_trait]
impl RecommendationEngine for TasteEngine {
    async fn keeps(&self, curator: &CuratorId, card: &CardId) -> Result<(), DatabaseError> {
        let mut transaction = self.database.begin().await?;
        sqlx::query("insert into taste (card_id, curator_id) values (?, ?) on conflict do nothing")
            .bind(card.as_str())
            .bind(curator.as_str())
            .execute(&mut *transaction)
            .await?;
        // Both ways: what the others of the same taste keep, and this card to them.
        sqlx::query(
            "with others as (
                 select distinct theirs.curator_id as id from taste mine
                 join taste theirs on theirs.card_id = mine.card_id and theirs.curator_id <> mine.curator_id
                 where mine.curator_id = ?1
             )
             insert into suggestions (curator_id, card_id, reason)
             select ?1, taste.card_id, 'kept by ' || others.id from taste, others where taste.curator_id = others.id
             union all
             select others.id, mine.card_id, 'kept by ' || ?1 from others, taste mine where mine.curator_id = ?1
             on conflict do nothing",
        )
        .bind(curator.as_str())
        .execute(&mut *transaction)
        .await?;
        Ok(transaction.commit().await?)
    }

    async fn gave_up(&self, curator: &CuratorId, card: &CardId) -> Result<(), DatabaseError> {
        let mut transaction = self.database.begin().await?;
        sqlx::query("delete from taste where card_id = ? and curator_id = ?")
            .bind(card.as_str())
            .bind(curator.as_str())
            .execute(&mut *transaction)
            .await?;
        // A card that nobody keeps is suggested to nobody.
        sqlx::query("delete from suggestions where card_id = ?1 and ?1 not in (select card_id from taste)")
            .bind(card.as_str())
            .execute(&mut *transaction)
            .await?;
        Ok(transaction.commit().await?)
    }

    async fn suggest_popular(&self, curator: &CuratorId) -> Result<(), DatabaseError> {
        let mut transaction = self.database.begin().await?;
        sqlx::query(
            "insert into suggestions (curator_id, card_id, reason)
             select ?1, card_id, 'popular' from taste where card_id in (
                 select card_id from taste group by card_id order by count(*) desc, card_id limit 5
             ) group by card_id
             on conflict do nothing",
        )
        .bind(curator.as_str())
        .execute(&mut *transaction)
        .await?;
        Ok(transaction.commit().await?)
    }
}
