//! The counters: one row for each curator.

use chrono::{DateTime, Utc};
use domain_events::SqlTransaction;
use serde::Serialize;

use crate::{
    curators::CuratorId,
    database::{Database, DatabaseError, Queries as _},
};

/// What a curator did so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Activity {
    pub cards_added: i64,
    pub cards_removed: i64,
    pub collections_created: i64,
    pub last_active_at: Option<DateTime<Utc>>,
}

/// Added, removed, created, and when last.
type Row = (i64, i64, i64, Option<DateTime<Utc>>);

/// Reads the counters.
#[derive(Debug)]
pub struct Counters {
    database: Database,
}

impl Counters {
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    /// What this curator did so far.
    pub async fn of(&self, curator: &CuratorId) -> Result<Activity, DatabaseError> {
        let row: Option<Row> = self
            .database
            .query(
                "select cards_added, cards_removed, collections_created, last_active_at
                 from activity where curator_id = $1",
            )
            .bind(curator.as_str())
            .fetch_optional()
            .await?;
        Ok(row.map_or_else(Activity::default, |(cards_added, cards_removed, collections_created, last_active_at)| {
            Activity { cards_added, cards_removed, collections_created, last_active_at }
        }))
    }
}

/// What is counted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Count {
    CardAdded,
    CardRemoved,
    CollectionCreated,
}

/// Adds one, in the transaction it is given.
pub(super) async fn count(
    transaction: &mut SqlTransaction,
    what: Count,
    curator: &CuratorId,
    at: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let one_if = |counted| i64::from(what == counted);
    // Events of different cards come in any order: the latest time stays.
    transaction
        .query(
            "insert into activity (curator_id, cards_added, cards_removed, collections_created, last_active_at)
             values ($1, $2, $3, $4, $5)
             on conflict (curator_id) do update set
                 cards_added = activity.cards_added + excluded.cards_added,
                 cards_removed = activity.cards_removed + excluded.cards_removed,
                 collections_created = activity.collections_created + excluded.collections_created,
                 last_active_at = case when activity.last_active_at > excluded.last_active_at
                                       then activity.last_active_at else excluded.last_active_at end",
        )
        .bind(curator.as_str())
        .bind(one_if(Count::CardAdded))
        .bind(one_if(Count::CardRemoved))
        .bind(one_if(Count::CollectionCreated))
        .bind(at)
        .execute()
        .await?;
    Ok(())
}
