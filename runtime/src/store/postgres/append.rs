//! Writing events: one statement, and one round trip, for any number of them.

use std::collections::{BTreeMap, HashSet};

use sqlx::{
    PgConnection, Row,
    postgres::{PgDatabaseError, PgQueryResult},
};
use uuid::Uuid;

use super::{
    PostgresStore,
    error::{Context, code, from_sqlx},
    insert, json,
    row::time,
};
use crate::{
    error::{Error, ErrorKind, Result},
    event::{Envelope, EventId, EventMeta},
    store::{
        check::{check, conflict, duplicate, expected_version, invalid},
        record::AggregateKey,
    },
};

impl PostgresStore {
    pub(super) async fn append_events(&self, connection: &mut PgConnection, events: &[Envelope]) -> Result<()> {
        if events.is_empty() {
            // A COMMIT after a failed statement rolls back, and says so nowhere that the driver looks: any statement does.
            sqlx::raw_sql("SELECT").execute(connection).await.context(self)?;
            return Ok(());
        }
        let payloads = checked(events)?;
        let (heads, lasts) = heads(events)?;
        let appended = match (events, &*payloads, &*heads) {
            ([event], [payload], []) => self.insert_one(connection, &event.meta, payload).await,
            _ => self.insert(connection, events, payloads, &heads, lasts).await,
        };
        match appended {
            Ok(done) if done.rows_affected() > 0 => Ok(()),
            Ok(_) => {
                let actual = self.last_versions(connection, &heads).await?;
                Err(stale(&heads, &actual))
            }
            Err(error) => Err(self.refused(events, &heads, error).await),
        }
    }

    async fn insert_one(
        &self,
        connection: &mut PgConnection,
        meta: &EventMeta,
        payload: &str,
    ) -> Result<PgQueryResult, sqlx::Error> {
        self.query(insert::ONE)
            .bind(meta.id.as_uuid())
            .bind(&*meta.aggregate_type)
            .bind(meta.aggregate_id.as_str())
            .bind(meta.aggregate_version.map(u64::cast_signed))
            .bind(&*meta.name)
            .bind(i64::from(meta.version))
            .bind(time(meta.occurred_at))
            .bind(meta.correlation_id)
            .bind(meta.causation_id)
            .bind(meta.trace.as_deref())
            .bind(payload)
            .execute(connection)
            .await
    }

    async fn insert(
        &self,
        connection: &mut PgConnection,
        events: &[Envelope],
        payloads: Vec<&str>,
        heads: &[&EventMeta],
        lasts: Vec<i64>,
    ) -> Result<PgQueryResult, sqlx::Error> {
        let guarded_by_stream = self.shared.partitioning.events().is_some();
        let statement = match guarded_by_stream {
            _ if heads.is_empty() => insert::UNGUARDED,
            true => insert::GUARDED_BY_STREAM,
            false => insert::GUARDED,
        };
        let metas = || events.iter().map(|event| &event.meta);
        let types = column(metas(), |meta| &*meta.aggregate_type);
        let ids = column(metas(), |meta| meta.aggregate_id.as_str());
        let versions = column(metas(), |meta| meta.aggregate_version.map(u64::cast_signed));
        let names = column(metas(), |meta| &*meta.name);
        let event_versions = column(metas(), |meta| i64::from(meta.version));
        let correlations = column(metas(), |meta| meta.correlation_id);
        let causations = column(metas(), |meta| meta.causation_id);
        let traces = column(metas(), |meta| meta.trace.as_deref());
        let mut query = self
            .query(statement)
            .bind(metas().map(|meta| meta.id.as_uuid()).collect::<Vec<_>>())
            .bind(types.each)
            .bind(ids.each)
            .bind(versions.each)
            .bind(names.each)
            .bind(event_versions.each)
            .bind(metas().map(|meta| time(meta.occurred_at)).collect::<Vec<_>>())
            .bind(correlations.each)
            .bind(causations.each)
            .bind(traces.each)
            .bind(payloads)
            .bind(types.all)
            .bind(ids.all)
            .bind(versions.all.flatten())
            .bind(names.all)
            .bind(event_versions.all)
            .bind(correlations.all.flatten())
            .bind(causations.all.flatten())
            .bind(traces.all.flatten());
        if !heads.is_empty() {
            query = query
                .bind(heads.iter().map(|meta| &*meta.aggregate_type).collect::<Vec<_>>())
                .bind(heads.iter().map(|meta| meta.aggregate_id.as_str()).collect::<Vec<_>>())
                .bind(heads.iter().map(|meta| expected_version(meta).map(u64::cast_signed)).collect::<Vec<_>>());
            if guarded_by_stream {
                query = query.bind(lasts);
            }
        }
        query.execute(connection).await
    }

    /// The last version of each aggregate, 0 where it has none.
    async fn last_versions(&self, connection: &mut PgConnection, heads: &[&EventMeta]) -> Result<Vec<u64>> {
        let rows = self
            .query(insert::LAST_VERSIONS)
            .bind(heads.iter().map(|meta| &*meta.aggregate_type).collect::<Vec<_>>())
            .bind(heads.iter().map(|meta| meta.aggregate_id.as_str()).collect::<Vec<_>>())
            .fetch_all(connection)
            .await
            .context(self)?;
        rows.iter()
            .map(|row| row.try_get::<i64, _>(0).map(|version| u64::try_from(version).unwrap_or(0)))
            .collect::<Result<_, _>>()
            .context(self)
    }

    /// Says which event a unique index has refused. The transaction can't be asked any more: another connection is.
    async fn refused(&self, events: &[Envelope], heads: &[&EventMeta], error: sqlx::Error) -> Error {
        if code(&error).as_deref() == Some("23505")
            && let Some(refusal) =
                error.as_database_error().and_then(|error| error.try_downcast_ref::<PgDatabaseError>())
        {
            // The latter guards them in a log with partitions.
            if matches!(refusal.constraint(), Some("event_log_stream" | "event_stream_pkey")) {
                let actual = match self.own().await {
                    Ok(mut own) => self.last_versions(&mut own, heads).await.unwrap_or_default(),
                    Err(_) => Vec::new(),
                };
                return stale(heads, &actual);
            }
            // Each partition has a constraint of its own.
            let is_ours = refusal.constraint().is_some_and(|name| name.starts_with("event_log_"));
            let detail = refusal.detail().unwrap_or_default();
            let known = events.iter().find(|event| detail.contains(&event.meta.id.to_string()));
            if let (true, Some(event)) = (is_ours, known) {
                return duplicate(&event.meta);
            }
        }
        if code(&error).as_deref() == Some("23514") && self.shared.partitioning.events().is_some() {
            let message = format!(
                "the event log at PostgreSQL `{}` was given a partition while this transaction wrote to where it is now; \
                 nothing of it is kept: save again",
                self.shared.place
            );
            return Error::new(ErrorKind::Unavailable, message).with_source(error);
        }
        from_sqlx(&self.shared.place, error)
    }
}

/// A value of several events.
struct Column<T> {
    /// That of all of them, if it is the same.
    all: Option<T>,
    /// That of each, if not.
    each: Vec<T>,
}

fn column<'a, T: PartialEq>(
    metas: impl Iterator<Item = &'a EventMeta> + Clone,
    value: impl Fn(&'a EventMeta) -> T,
) -> Column<T> {
    let mut values = metas.clone().map(&value);
    let first = values.next();
    match values.all(|value| first.as_ref() == Some(&value)) {
        true => Column { all: first, each: Vec::new() },
        false => Column { all: None, each: metas.map(value).collect() },
    }
}

/// Everything that can be known to be wrong before it is sent; the payloads as text.
fn checked(events: &[Envelope]) -> Result<Vec<&str>> {
    let mut ids = HashSet::<EventId>::new();
    events
        .iter()
        .map(|Envelope { meta, payload }| {
            check(meta)?;
            for (field, value) in [
                ("name", &*meta.name),
                ("aggregate_type", &*meta.aggregate_type),
                ("aggregate_id", meta.aggregate_id.as_str()),
                ("trace", meta.trace.as_deref().unwrap_or_default()),
            ] {
                if value.contains('\0') {
                    let problem =
                        format!("`{field}` holds the character NUL, which PostgreSQL's text can't; leave it out");
                    return Err(invalid(meta, &problem));
                }
            }
            if !ids.insert(meta.id) {
                return Err(duplicate(meta));
            }
            json::text(payload).map_err(|problem| invalid(meta, &format!("`payload` {problem}")))
        })
        .collect()
}

/// The first event of each aggregate that has versions, and its last version; the others must follow without a gap.
fn heads(events: &[Envelope]) -> Result<(Vec<&EventMeta>, Vec<i64>)> {
    let mut heads = Vec::new();
    let mut last = BTreeMap::<AggregateKey, u64>::new();
    for meta in events.iter().map(|event| &event.meta) {
        let Some(version) = meta.aggregate_version else { continue };
        match last.insert(meta.into(), version) {
            None => heads.push(meta),
            Some(before) if expected_version(meta) != Some(before) => return Err(conflict(meta, before)),
            Some(_) => {}
        }
    }
    let lasts =
        heads.iter().map(|meta| last.get(&AggregateKey::from(*meta)).copied().unwrap_or(0).cast_signed()).collect();
    Ok((heads, lasts))
}

/// The error for the first aggregate that is not where it should be. Versions that are not known, or have changed since,
/// count as one too many.
fn stale(heads: &[&EventMeta], actual: &[u64]) -> Error {
    let wrong = heads.iter().zip(actual).find(|(meta, actual)| expected_version(meta) != Some(**actual));
    match (wrong, heads.first()) {
        (Some((meta, actual)), _) => conflict(meta, *actual),
        (None, Some(meta)) => conflict(meta, meta.aggregate_version.unwrap_or(0)),
        (None, None) => Error::new(ErrorKind::Conflict, "another transaction wrote the same first"),
    }
}

impl PostgresStore {
    pub(super) async fn known(&self, connection: &mut PgConnection, events: &[EventId]) -> Result<HashSet<EventId>> {
        let rows = self
            .query("SELECT id FROM @.event_log WHERE id = ANY ($1)")
            .bind(events.iter().map(|id| id.as_uuid()).collect::<Vec<_>>())
            .fetch_all(connection)
            .await
            .context(self)?;
        let ids = rows.iter().map(|row| row.try_get::<Uuid, _>(0).map(EventId::from));
        ids.collect::<Result<_, _>>().context(self)
    }
}
