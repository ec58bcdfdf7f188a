//! The counters: one row for each curator.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::SqliteConnection;

use crate::{
    curators::CuratorId,
    database::{Database, DatabaseError},
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
        let row: Option<Row> = sqlx::query_as(
            "select cards_added, cards_removed, collections_created, last_active_at from activity where curator_id = ?",
        )
        .bind(curator.as_str())
        .fetch_optional(self.database.reader())
        .await?;
        Ok(row.map_or_else(Activity::default, |(cards_added, cards_removed, collections_created, last_active_at)| {
            Activity { cards_added, cards_removed, collections_created, last_active_at }
        }))
    }
}

/// What is counted.
pub(super) enum Count {
    CardAdded,
    CardRemoved,
    CollectionCreated,
}

/// Adds one, in the transaction it is given.
pub(super) async fn count(
    transaction: &mut SqliteConnection,
    what: Count,
    curator: &CuratorId,
    at: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    // Events of different cards come in any order: the latest time stays.
    let statement = match what {
        Count::CardAdded => {
            "insert into activity (curator_id, cards_added, last_active_at) values (?, 1, ?)
             on conflict (curator_id) do update set cards_added = cards_added + 1,
                 last_active_at = max(coalesce(last_active_at, ''), excluded.last_active_at)"
        }
        Count::CardRemoved => {
            "insert into activity (curator_id, cards_removed, last_active_at) values (?, 1, ?)
             on conflict (curator_id) do update set cards_removed = cards_removed + 1,
                 last_active_at = max(coalesce(last_active_at, ''), excluded.last_active_at)"
        }
        Count::CollectionCreated => {
            "insert into activity (curator_id, collections_created, last_active_at) values (?, 1, ?)
             on conflict (curator_id) do update set collections_created = collections_created + 1,
                 last_active_at = max(coalesce(last_active_at, ''), excluded.last_active_at)"
        }
    };
    sqlx::query(statement).bind(curator.as_str()).bind(at).execute(transaction).await?;
    Ok(())
}
