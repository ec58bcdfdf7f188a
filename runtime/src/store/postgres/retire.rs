//! Retention on a log with partitions: those that nobody needs any more are dropped whole, one at a time.

use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, Row};

use super::{
    PostgresStore,
    error::Context,
    partition::{Range, is_in_use},
    row::time,
};
use crate::error::Result;

/// What is to be said about a partition (`#`), the cheap questions first: positions are given out in the order of time,
/// more or less, and a subscription whose snapshot was taken after all of its transactions has done it without a look at
/// its rows.
const VERDICT: &str = "
    SELECT CASE
        WHEN EXISTS (SELECT 1 FROM (SELECT recorded_at FROM # ORDER BY position DESC LIMIT 1) last
                      WHERE recorded_at >= $1) THEN 'young'
        WHEN EXISTS (SELECT 1 FROM @.event_retry       WHERE position >= $2 AND position < $3)
          OR EXISTS (SELECT 1 FROM @.event_dead_letter WHERE position >= $2 AND position < $3) THEN 'held'
        WHEN EXISTS (
            SELECT 1
              FROM @.event_subscription s
              JOIN @.event_meta m ON m.key = 'epoch'
             WHERE CASE
                 WHEN s.seen IS NULL THEN EXISTS (SELECT 1 FROM # WHERE position > s.position)
                 WHEN pg_snapshot_xmax(s.seen) > '1'::xid8
                      AND NOT EXISTS (SELECT 1 FROM # WHERE epoch = m.value AND tx >= pg_snapshot_xmin(s.seen))
                      THEN false
                 ELSE EXISTS (SELECT 1
                                FROM # e
                               WHERE NOT @.event_is_done(e.position, e.tx, e.epoch, m.value,
                                                         s.position, s.seen, s.target))
             END) THEN 'needed'
        WHEN EXISTS (SELECT 1 FROM # WHERE recorded_at >= $1) THEN 'young'
        ELSE 'passed'
    END";

/// Whether a partition can go.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// It holds an event that is to be kept for its age, and so do those behind it.
    Young,
    /// Somebody needs an event of it.
    Needed,
    Passed,
}

impl PostgresStore {
    /// Drops partitions, the oldest first, until so many events are gone; says how many, or that there may be more.
    pub(super) async fn retire_partitions(&self, before: DateTime<Utc>, limit: usize) -> Result<usize> {
        let mut own = self.own().await?;
        let found = self.ranges(&mut own).await?;
        drop(own);
        let mut gone = 0;
        // Into those behind, positions are still being written.
        for range in found.ranges.iter().take_while(|range| range.upper - 1 <= found.last_given) {
            if gone >= limit {
                break;
            }
            let mut own = self.own().await?;
            let verdict = self.verdict(&mut own, range, before).await.context(self)?;
            drop(own);
            match verdict {
                Verdict::Young => break,
                Verdict::Needed => {}
                Verdict::Passed => match self.drop_partition(range, before).await {
                    Ok(events) => gone += events,
                    Err(error) if is_in_use(&error) => {
                        tracing::debug!(%error, partition = %range.name, "it is in use, and dropped later");
                        break;
                    }
                    Err(error) => return Err(error).context(self),
                },
            }
        }
        Ok(gone.min(limit))
    }

    async fn verdict(
        &self,
        connection: &mut sqlx::PgConnection,
        range: &Range,
        before: DateTime<Utc>,
    ) -> Result<Verdict, sqlx::Error> {
        let verdict: String = sqlx::query_scalar(self.on(VERDICT, range))
            .persistent(false)
            .bind(time(before))
            .bind(range.lower)
            .bind(range.upper)
            .fetch_one(connection)
            .await?;
        Ok(match verdict.as_str() {
            "passed" => Verdict::Passed,
            "young" => Verdict::Young,
            _ => Verdict::Needed,
        })
    }

    /// Drops a partition if it still can go; returns how many events it had.
    async fn drop_partition(&self, range: &Range, before: DateTime<Utc>) -> Result<usize, sqlx::Error> {
        let Some(mut transaction) = self.housekeeping().await? else { return Ok(0) };
        // Waits for those who have written to it and not committed yet: what they wrote is to be judged too. Nobody writes
        // to it any more, and reading goes on.
        sqlx::raw_sql(self.on("LOCK TABLE # IN SHARE MODE", range)).execute(&mut *transaction).await?;
        if self.verdict(&mut transaction, range, before).await? != Verdict::Passed {
            return Ok(0);
        }
        let row = sqlx::query(self.on("SELECT count(*), coalesce(max(position), 0) FROM #", range))
            .persistent(false)
            .fetch_one(&mut *transaction)
            .await?;
        let (events, last): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
        self.query("UPDATE @.event_meta SET value = greatest(value, $1) WHERE key = 'trimmed_to'")
            .bind(last)
            .execute(&mut *transaction)
            .await?;
        // The only lock on the whole log, at the very end.
        sqlx::raw_sql(self.on("DROP TABLE #", range)).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(usize::try_from(events).unwrap_or(0))
    }

    fn on(&self, statement: &str, range: &Range) -> AssertSqlSafe<String> {
        // The name comes quoted from the catalog.
        let parts: Vec<String> = statement.split('#').map(|part| self.sql(part).0).collect();
        AssertSqlSafe(parts.join(&range.name))
    }
}
