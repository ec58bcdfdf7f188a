//! The partitions of a log that has some: ranges of positions, made ahead of use by whoever keeps house or commits.
//!
//! Where none is there in time, events go to `event_log_rest`, so that an append never fails. What stands there is in
//! the way of the partition that was missing, so the rest becomes a partition itself (see [`PostgresStore::close_rest`]).

use std::{
    sync::{Mutex, PoisonError, atomic::AtomicI64, atomic::Ordering},
    time::{Duration, Instant},
};

use sqlx::{PgConnection, Row};

use super::{
    PostgresStore,
    error::{Context, code},
    schema::LOCK,
};
use crate::error::Result;

/// For so many partitions' worth of events there is room ahead.
const AHEAD: i64 = 2;

/// More positions than are given out while a partition is committed, the disk's bad moments included. Who is faster all the
/// same is told to save again.
const NEAR: i64 = 100_000;

/// How far behind the last position the rest's range ends when it becomes a partition: further than anybody writes until
/// that is done, since nobody must be refused meanwhile.
const GAP: i64 = 1 << 32;

/// Every lock in here is one that writers may have to wait for.
pub(super) const LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '200ms'";

/// How often commits lead to a look at the partitions.
const TEND: Duration = Duration::from_secs(1);

const RANGES: &str = r"
    SELECT format('%I.%I', n.nspname, c.relname),
           coalesce(substring(b.bounds FROM 'FROM \(''?(-?[0-9]+)''?\)')::bigint, -9223372036854775808),
           coalesce(substring(b.bounds FROM   'TO \(''?(-?[0-9]+)''?\)')::bigint,  9223372036854775807)
      FROM pg_inherits i
      JOIN pg_class c     ON c.oid = i.inhrelid
      JOIN pg_namespace n ON n.oid = c.relnamespace,
   LATERAL (SELECT pg_get_expr(c.relpartbound, c.oid) AS bounds) b
     WHERE i.inhparent = $1::text::regclass AND b.bounds <> 'DEFAULT'
     ORDER BY 3";

const ENDS: &str = "
    SELECT coalesce(pg_sequence_last_value(pg_get_serial_sequence($1, 'position')::regclass), 0),
           EXISTS (SELECT 1 FROM @.event_log_rest)";

/// Whether, and how far, what stands in the rest is known to be within a range.
const REST_RANGE: &str = r"
    SELECT substring(pg_get_constraintdef(oid) FROM  '>= ''?\(?(-?[0-9]+)')::bigint,
           substring(pg_get_constraintdef(oid) FROM  '< ''?\(?(-?[0-9]+)')::bigint
      FROM pg_constraint
     WHERE conrelid = $1::text::regclass AND conname = 'event_log_rest_range' AND convalidated";

/// What a store knows of its log's partitions.
#[derive(Debug, Default)]
pub(super) struct Partitioning {
    /// How many positions a partition has; 0 where the log has no partitions.
    events: AtomicI64,
    tended: Mutex<Option<Instant>>,
}

impl Partitioning {
    pub(super) fn set(&self, events: i64) {
        self.events.store(events, Ordering::Relaxed);
    }

    /// `None` where the log has no partitions.
    pub(super) fn events(&self) -> Option<i64> {
        Some(self.events.load(Ordering::Relaxed)).filter(|events| *events > 0)
    }

    /// Whether it is time to look at them; then the next time is later.
    fn is_due(&self) -> bool {
        let mut tended = self.tended.lock().unwrap_or_else(PoisonError::into_inner);
        let due = self.events().is_some() && tended.is_none_or(|at| at.elapsed() >= TEND);
        if due {
            *tended = Some(Instant::now());
        }
        due
    }
}

/// A partition: positions from `lower` to before `upper`.
#[derive(Debug, Clone)]
pub(super) struct Range {
    /// With its schema, quoted.
    pub(super) name: String,
    pub(super) lower: i64,
    pub(super) upper: i64,
}

/// All of them, in their order.
#[derive(Debug)]
pub(super) struct Ranges {
    pub(super) ranges: Vec<Range>,
    /// The greatest position that was given out.
    pub(super) last_given: i64,
    rest_in_use: bool,
}

impl Ranges {
    fn end(&self) -> i64 {
        self.ranges.last().map_or(1, |range| range.upper)
    }

    /// Where positions have to go on: behind a range that reaches so far only because it was the rest's.
    fn jump(&self) -> Option<i64> {
        let current = self.ranges.iter().find(|range| range.upper > self.last_given)?;
        let far = current.upper != i64::MAX && current.upper - self.last_given > GAP / 2;
        far.then_some(current.upper - 1)
    }
}

impl PostgresStore {
    /// Called after commits: now and then, the partitions are looked at.
    pub(super) fn tend_partitions(&self) {
        if !self.shared.partitioning.is_due() {
            return;
        }
        let store = self.clone();
        tokio::spawn(async move {
            if let Err(error) = store.keep_partitions().await {
                tracing::debug!(%error, "can't make partitions of the event log ahead of use; housekeeping tries again");
            }
        });
    }

    /// Sees to it that partitions are there before they are needed. What somebody else is at, or would have to be waited
    /// for, is left for the next time.
    pub(super) async fn keep_partitions(&self) -> Result<()> {
        let Some(events) = self.shared.partitioning.events() else { return Ok(()) };
        let mut own = self.own().await?;
        let found = self.ranges(&mut own).await?;
        drop(own);
        let kept = async {
            if found.rest_in_use {
                self.close_rest(events, &found).await?;
            } else if found.end() <= found.last_given.saturating_add(AHEAD * events) {
                self.extend(events).await?;
            }
            match found.rest_in_use || found.jump().is_some() {
                true => self.jump().await,
                false => Ok(()),
            }
        };
        match kept.await {
            Err(error) if is_in_use(&error) => {
                tracing::debug!(%error, "the event log is in use; its partitions are seen to later");
                Ok(())
            }
            kept => kept.context(self),
        }
    }

    pub(super) async fn ranges(&self, connection: &mut PgConnection) -> Result<Ranges> {
        self.find_ranges(connection).await.context(self)
    }

    async fn find_ranges(&self, connection: &mut PgConnection) -> Result<Ranges, sqlx::Error> {
        let log = format!("{}event_log", self.shared.prefix);
        let rows = self.query(RANGES).bind(&log).fetch_all(&mut *connection).await?;
        let range = |row: &sqlx::postgres::PgRow| {
            Ok(Range { name: row.try_get(0)?, lower: row.try_get(1)?, upper: row.try_get(2)? })
        };
        let ranges = rows.iter().map(range).collect::<Result<_, sqlx::Error>>()?;
        let ends = self.query(ENDS).bind(log).fetch_one(connection).await?;
        Ok(Ranges { ranges, last_given: ends.try_get(0)?, rest_in_use: ends.try_get(1)? })
    }

    /// Adds partitions at the end. Nobody who writes to others waits for it, unless the end is near.
    async fn extend(&self, events: i64) -> Result<(), sqlx::Error> {
        if !self.try_extend(events, false).await? {
            self.try_extend(events, true).await?;
        }
        Ok(())
    }

    /// `false` if the log has to be locked for it: an event that has its position, and its place in the rest, but not yet
    /// its row there, would be refused by a rest that has no place for it any more.
    async fn try_extend(&self, events: i64, locked: bool) -> Result<bool, sqlx::Error> {
        let Some(mut transaction) = self.housekeeping().await? else { return Ok(true) };
        if locked {
            let lock = self.sql("LOCK TABLE @.event_log IN SHARE ROW EXCLUSIVE MODE");
            sqlx::raw_sql(lock).execute(&mut *transaction).await?;
        }
        let found = self.find_ranges(&mut transaction).await?;
        let is_near = |now: &Ranges| !locked && found.end() <= now.last_given.saturating_add(events.min(NEAR));
        if found.rest_in_use {
            return Ok(true);
        }
        if is_near(&found) {
            return Ok(false);
        }
        self.add_from(&mut transaction, found.end(), found.last_given, events).await?;
        // Others have gone on meanwhile; not committed, it was never there.
        if is_near(&self.find_ranges(&mut transaction).await?) {
            return Ok(false);
        }
        transaction.commit().await?;
        Ok(true)
    }

    async fn add_from(
        &self,
        connection: &mut PgConnection,
        mut from: i64,
        last_given: i64,
        events: i64,
    ) -> Result<(), sqlx::Error> {
        while from <= last_given.saturating_add(AHEAD * events) {
            let to = from.max(last_given).saturating_add(events);
            // Not `PARTITION OF`: that locks the whole log, attaching one does not.
            let add = format!(
                "CREATE TABLE @.event_log_p{from} (LIKE @.event_log INCLUDING DEFAULTS);
                 ALTER TABLE @.event_log_p{from} ADD UNIQUE (id);
                 ALTER TABLE @.event_log ATTACH PARTITION @.event_log_p{from} FOR VALUES FROM ({from}) TO ({to})"
            );
            sqlx::raw_sql(self.sql(&add)).execute(&mut *connection).await?;
            from = to;
        }
        Ok(())
    }

    /// Makes a partition of the rest, and a new rest.
    ///
    /// Its rows are read for that, which may take long: so their range is checked first, as a constraint, while
    /// others write; then the exchange takes no longer than making a table does. What they write meanwhile must be within
    /// that range, so it ends far away, and positions go on behind it: they need not be without gaps.
    async fn close_rest(&self, events: i64, found: &Ranges) -> Result<(), sqlx::Error> {
        let (from, to) = (found.end(), found.last_given + GAP);
        let check = format!(
            "ALTER TABLE @.event_log_rest
               DROP CONSTRAINT IF EXISTS event_log_rest_range,
                ADD CONSTRAINT event_log_rest_range CHECK (position >= {from} AND position < {to}) NOT VALID"
        );
        for statement in [check.as_str(), "ALTER TABLE @.event_log_rest VALIDATE CONSTRAINT event_log_rest_range"] {
            let Some(mut transaction) = self.housekeeping().await? else { return Ok(()) };
            sqlx::raw_sql(self.sql(statement)).execute(&mut *transaction).await?;
            transaction.commit().await?;
        }

        let Some(mut transaction) = self.housekeeping().await? else { return Ok(()) };
        let lock = self.sql("LOCK TABLE @.event_log IN ACCESS EXCLUSIVE MODE");
        sqlx::raw_sql(lock).execute(&mut *transaction).await?;
        let found = self.find_ranges(&mut transaction).await?;
        let rest = format!("{}event_log_rest", self.shared.prefix);
        let range = self.query(REST_RANGE).bind(rest).fetch_optional(&mut *transaction).await?;
        let Some(range) = range else { return Ok(()) };
        let (from, to): (i64, i64) = (range.try_get(0)?, range.try_get(1)?);
        // Another process has done something else meanwhile.
        if from != found.end() || to <= found.last_given {
            return Ok(());
        }
        let exchange = format!(
            "ALTER TABLE @.event_log DETACH PARTITION @.event_log_rest;
             ALTER TABLE @.event_log_rest RENAME TO event_log_p{from};
             ALTER TABLE @.event_log ATTACH PARTITION @.event_log_p{from} FOR VALUES FROM ({from}) TO ({to});
             ALTER TABLE @.event_log_p{from} DROP CONSTRAINT event_log_rest_range;
             CREATE TABLE @.event_log_rest PARTITION OF @.event_log DEFAULT;
             ALTER TABLE @.event_log_rest ADD UNIQUE (id)"
        );
        sqlx::raw_sql(self.sql(&exchange)).execute(&mut *transaction).await?;
        self.add_from(&mut transaction, to, to - 1, events).await?;
        transaction.commit().await
    }

    /// Lets positions go on behind a range that was the rest's. Not in its transaction: a sequence does not roll back.
    async fn jump(&self) -> Result<(), sqlx::Error> {
        let Some(mut transaction) = self.housekeeping().await? else { return Ok(()) };
        if let Some(to) = self.find_ranges(&mut transaction).await?.jump() {
            self.query("SELECT setval(pg_get_serial_sequence($1, 'position')::regclass, $2)")
                .bind(format!("{}event_log", self.shared.prefix))
                .bind(to)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await
    }

    /// A transaction that has the log's housekeeping to itself and waits for nobody for long; `None` if another process
    /// is at it.
    pub(super) async fn housekeeping(&self) -> Result<Option<sqlx::Transaction<'static, sqlx::Postgres>>, sqlx::Error> {
        let mut transaction = self.own_begin().await?;
        sqlx::raw_sql(LOCK_TIMEOUT).execute(&mut *transaction).await?;
        let row = self
            .query("SELECT pg_try_advisory_xact_lock($1 + $2::text::regclass::oid::bigint)")
            .bind(LOCK)
            .bind(format!("{}event_log", self.shared.prefix))
            .fetch_one(&mut *transaction)
            .await?;
        Ok(row.try_get::<bool, _>(0)?.then_some(transaction))
    }
}

/// About how many events stand between two positions: where a rest has become a partition, there is a gap.
pub(super) fn distance(from: i64, to: i64) -> i64 {
    let without_gaps = to.saturating_sub(from).max(0) % GAP;
    if without_gaps > GAP / 2 { 0 } else { without_gaps }
}

/// A lock was not to be had in time, or a row came in between that the next try takes into account.
pub(super) fn is_in_use(error: &sqlx::Error) -> bool {
    matches!(code(error).as_deref(), Some("55P03" | "40P01" | "23514"))
}
