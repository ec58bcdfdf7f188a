//! Writing events: one statement for one event, one for many; a version out of turn is a conflict, not a second row.

use std::collections::{HashMap, HashSet};

use chrono::Utc;
use sqlx::{AssertSqlSafe, QueryBuilder, Row, Sqlite, SqliteConnection, query::Query, sqlite::SqliteArguments};

use super::{SqliteStore, error::Context, row::time_text};
use crate::{
    error::Result,
    event::{Envelope, EventMeta},
    store::{
        check::{check, conflict, duplicate, expected_version, invalid},
        record::AggregateKey,
    },
};

/// How many events one statement writes: far below SQLite's limit of 32,766 parameters, and no faster above.
const ROWS: usize = 64;

/// SQLite's limit for one value.
const MAX_PAYLOAD: usize = 1_000_000_000;

/// The columns of an event, in the order in which `bind` binds them.
macro_rules! insert_into_log {
    ($rows:literal) => {
        concat!(
            "INSERT INTO event_log (id, aggregate_type, aggregate_id, aggregate_version, event_name, event_version, ",
            "occurred_at, recorded_at, correlation_id, causation_id, trace, payload) ",
            $rows
        )
    };
}

const INSERT: &str = insert_into_log!("VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");

/// Writes no row where the aggregate is not at the version before.
const INSERT_NEXT: &str = insert_into_log!(
    "SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12
      WHERE ?4 - 1 = max(
                coalesce((SELECT max(aggregate_version) FROM event_log
                           WHERE aggregate_type = ?2 AND aggregate_id = ?3 AND aggregate_version IS NOT NULL), 0),
                coalesce((SELECT version FROM event_stream
                           WHERE aggregate_type = ?2 AND aggregate_id = ?3), 0))"
);

impl SqliteStore {
    pub(super) async fn append_events(&self, connection: &mut SqliteConnection, events: &[Envelope]) -> Result<()> {
        let mut ids = HashSet::new();
        for Envelope { meta, payload } in events {
            check(meta)?;
            if std::str::from_utf8(payload).is_err() {
                return Err(invalid(meta, "`payload` is not UTF-8; a payload is JSON text"));
            }
            if payload.len() > MAX_PAYLOAD {
                let bytes = payload.len();
                return Err(invalid(meta, &format!("`payload` has {bytes} bytes; SQLite keeps {MAX_PAYLOAD} at most")));
            }
            if events.len() > 1 && !ids.insert(meta.id) {
                return Err(duplicate(meta));
            }
        }
        match events {
            [] => Ok(()),
            [event] => self.append_one(connection, event).await,
            _ => self.append_many(connection, events).await,
        }
    }

    async fn append_one(&self, connection: &mut SqliteConnection, event: &Envelope) -> Result<()> {
        let statement = if event.meta.aggregate_version.is_some() { INSERT_NEXT } else { INSERT };
        let recorded_at = time_text(Utc::now());
        match bind(sqlx::query(statement), event, &recorded_at).execute(&mut *connection).await {
            Ok(done) if done.rows_affected() == 1 => Ok(()),
            Ok(_) => {
                let actual = self.last_versions(connection, &[(&event.meta).into()]).await?;
                Err(conflict(&event.meta, actual.values().copied().next().unwrap_or(0)))
            }
            Err(error) => self.refused(connection, std::slice::from_ref(event), error).await,
        }
    }

    async fn append_many(&self, connection: &mut SqliteConnection, events: &[Envelope]) -> Result<()> {
        self.check_versions(connection, events).await?;
        let recorded_at = time_text(Utc::now());
        for chunk in events.chunks(ROWS) {
            let mut statement = String::from(INSERT);
            statement.extend(std::iter::repeat_n(", (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", chunk.len() - 1));
            // Few sizes are kept prepared, so that they don't push out the statements of the application.
            let keep = chunk.len() <= 8 || chunk.len() == ROWS;
            let mut query = sqlx::query(AssertSqlSafe(statement)).persistent(keep);
            for event in chunk {
                query = bind(query, event, &recorded_at);
            }
            if let Err(error) = query.execute(&mut *connection).await {
                return self.refused(connection, chunk, error).await;
            }
        }
        Ok(())
    }

    async fn check_versions(&self, connection: &mut SqliteConnection, events: &[Envelope]) -> Result<()> {
        let versioned = || events.iter().map(|event| &event.meta).filter(|meta| meta.aggregate_version.is_some());
        let aggregates: HashSet<AggregateKey> = versioned().map(AggregateKey::from).collect();
        if aggregates.is_empty() {
            return Ok(());
        }
        let aggregates: Vec<AggregateKey> = aggregates.into_iter().collect();
        let mut last = self.last_versions(connection, &aggregates).await?;
        for meta in versioned() {
            let actual = last.entry(meta.into()).or_insert(0);
            match expected_version(meta) {
                Some(expected) if expected != *actual => return Err(conflict(meta, *actual)),
                _ => *actual += 1,
            }
        }
        Ok(())
    }

    /// The last version of each aggregate, 0 where it has none.
    async fn last_versions(
        &self,
        connection: &mut SqliteConnection,
        aggregates: &[AggregateKey],
    ) -> Result<HashMap<AggregateKey, u64>> {
        let mut versions = HashMap::with_capacity(aggregates.len());
        for chunk in aggregates.chunks(ROWS) {
            let mut query = QueryBuilder::<Sqlite>::new(
                "SELECT a.column1,
                        max(coalesce((SELECT max(aggregate_version) FROM event_log
                                       WHERE aggregate_type = a.column2 AND aggregate_id = a.column3
                                         AND aggregate_version IS NOT NULL), 0),
                            coalesce((SELECT version FROM event_stream
                                       WHERE aggregate_type = a.column2 AND aggregate_id = a.column3), 0))
                   FROM (",
            );
            query.push_values(chunk.iter().enumerate(), |mut row, (place, aggregate)| {
                row.push_bind(place as i64)
                    .push_bind(&*aggregate.aggregate_type)
                    .push_bind(aggregate.aggregate_id.as_str());
            });
            query.push(") a");
            let keep = chunk.len() <= 8;
            for row in query.build().persistent(keep).fetch_all(&mut *connection).await.context(self)? {
                let place: i64 = row.try_get(0).context(self)?;
                let version: i64 = row.try_get(1).context(self)?;
                if let Some(aggregate) = usize::try_from(place).ok().and_then(|place| chunk.get(place)) {
                    versions.insert(aggregate.clone(), u64::try_from(version).unwrap_or(0));
                }
            }
        }
        Ok(versions)
    }

    /// Says which event a unique index has refused.
    async fn refused(&self, connection: &mut SqliteConnection, events: &[Envelope], error: sqlx::Error) -> Result<()> {
        let unique = error.as_database_error().filter(|error| error.is_unique_violation());
        let index = unique.map(|error| error.message().to_owned()).unwrap_or_default();
        if index.contains("event_log.aggregate_version") {
            let versioned: Vec<&EventMeta> =
                events.iter().map(|event| &event.meta).filter(|meta| meta.aggregate_version.is_some()).collect();
            let aggregates: Vec<AggregateKey> = versioned.iter().map(|meta| AggregateKey::from(*meta)).collect();
            let last = self.last_versions(connection, &aggregates).await?;
            for meta in versioned {
                let actual = last.get(&meta.into()).copied().unwrap_or(0);
                if meta.aggregate_version.is_some_and(|version| version <= actual) {
                    return Err(conflict(meta, actual));
                }
            }
        }
        if index.contains("event_log.id") {
            let ids: Vec<_> = events.iter().map(|event| event.meta.id).collect();
            let known = self.known(connection, &ids).await?;
            if let Some(event) = events.iter().find(|event| known.contains(&event.meta.id)) {
                return Err(duplicate(&event.meta));
            }
        }
        Err(error).context(self)
    }
}

fn bind<'q>(
    query: Query<'q, Sqlite, SqliteArguments>,
    event: &'q Envelope,
    recorded_at: &'q str,
) -> Query<'q, Sqlite, SqliteArguments> {
    let Envelope { meta, payload } = event;
    query
        .bind(meta.id.as_uuid().hyphenated())
        .bind(&*meta.aggregate_type)
        .bind(meta.aggregate_id.as_str())
        .bind(meta.aggregate_version.and_then(|version| i64::try_from(version).ok()))
        .bind(&*meta.name)
        .bind(meta.version)
        .bind(time_text(meta.occurred_at))
        .bind(recorded_at)
        .bind(meta.correlation_id.map(uuid::Uuid::hyphenated))
        .bind(meta.causation_id.map(uuid::Uuid::hyphenated))
        .bind(meta.trace.as_deref())
        // Checked by `append_events` already.
        .bind(std::str::from_utf8(payload).unwrap_or_default())
}
