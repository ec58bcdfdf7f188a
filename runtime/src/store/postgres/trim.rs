//! Retention: what nobody needs any more goes, in bounded steps.

use chrono::{DateTime, Utc};
use sqlx::Row;

use super::{PostgresStore, error::Context, limited, row::time, schema::LOCK};
use crate::error::Result;

/// The oldest events that every subscription has passed and nothing refers to, those of them that are old enough. The
/// limit stands inside, so that a log whose events are all young costs no more than one page; nothing behind `bound` is
/// looked at, so that one that nobody has passed costs nothing.
const OLD_EVENTS: &str = "
    SELECT position
      FROM (SELECT e.position, e.recorded_at
              FROM @.event_log e
             WHERE e.position <= (SELECT coalesce(min(CASE WHEN pg_snapshot_xmax(seen) > '1'::xid8
                                                           THEN coalesce(target_head, position)
                                                           ELSE position END), 9223372036854775807)
                                    FROM @.event_subscription)
               AND NOT EXISTS (SELECT 1
                                 FROM @.event_subscription s
                                WHERE NOT @.event_is_done(e.position, e.tx, e.epoch,
                                                          (SELECT value FROM @.event_meta WHERE key = 'epoch'),
                                                          s.position, s.seen, s.target))
               AND NOT EXISTS (SELECT 1 FROM @.event_retry r       WHERE r.position = e.position)
               AND NOT EXISTS (SELECT 1 FROM @.event_dead_letter d WHERE d.position = e.position)
             ORDER BY e.position
             LIMIT $1) passed
     WHERE recorded_at < $2";

/// An aggregate's version outlives its events, or its next event would be taken for its first.
const KEEP_VERSIONS: &str = "
    INSERT INTO @.event_stream (aggregate_type, aggregate_id, version)
    SELECT aggregate_type, aggregate_id, max(aggregate_version)
      FROM @.event_log
     WHERE position = ANY ($1)
       AND aggregate_version IS NOT NULL
     GROUP BY aggregate_type, aggregate_id
        ON CONFLICT (aggregate_type, aggregate_id)
        DO UPDATE SET version = greatest(event_stream.version, excluded.version)";

/// Marks of events that are not delivered again: an event at or before every position may still be on its way from a
/// transaction that was open, so only those whose event is passed, or gone.
const OLD_MARKS: &str = "
    DELETE FROM @.event_inbox
     WHERE (handler, event_id) IN (
               SELECT i.handler, i.event_id
                 FROM (SELECT handler, min(position) AS behind FROM @.event_subscription GROUP BY handler) s
                 JOIN @.event_inbox i ON i.handler = s.handler AND i.position <= s.behind
                WHERE NOT EXISTS (SELECT 1
                                    FROM @.event_log e
                                    JOIN @.event_subscription p ON p.handler = i.handler
                                   WHERE e.position = i.position
                                     AND NOT @.event_is_done(e.position, e.tx, e.epoch,
                                                             (SELECT value FROM @.event_meta WHERE key = 'epoch'),
                                                             p.position, p.seen, p.target))
                  AND NOT EXISTS (SELECT 1 FROM @.event_retry r
                                   WHERE r.handler = i.handler AND r.position = i.position)
                  AND NOT EXISTS (SELECT 1 FROM @.event_dead_letter d
                                   WHERE d.handler = i.handler AND d.position = i.position)
                LIMIT $1)";

impl PostgresStore {
    pub(super) async fn trim_events(&self, before: DateTime<Utc>, limit: usize) -> Result<usize> {
        if self.shared.partitioning.events().is_none() {
            return self.delete_events(before, limit).await;
        }
        self.keep_partitions().await?;
        let gone = self.retire_partitions(before, limit).await?;
        let mut own = self.own().await?;
        let marks = self.query(OLD_MARKS).bind(limited(limit)).execute(&mut *own).await.context(self)?;
        own.done().await.context(self)?;
        Ok(gone.max(usize::try_from(marks.rows_affected()).unwrap_or(limit)))
    }

    async fn delete_events(&self, before: DateTime<Utc>, limit: usize) -> Result<usize> {
        let mut transaction = self.own_transaction().await?;
        // Every process has a broom; one at a time is enough.
        let row = self
            .query("SELECT pg_try_advisory_xact_lock($1 + $2::regclass::oid::bigint)")
            .bind(LOCK)
            .bind(format!("{}event_log", self.shared.prefix))
            .fetch_one(&mut *transaction)
            .await
            .context(self)?;
        if !row.try_get::<bool, _>(0).context(self)? {
            return Ok(0);
        }
        let rows = self
            .query(OLD_EVENTS)
            .bind(limited(limit))
            .bind(time(before))
            .fetch_all(&mut *transaction)
            .await
            .context(self)?;
        let old: Vec<i64> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>().context(self)?;
        if let Some(last) = old.iter().max() {
            for statement in [KEEP_VERSIONS, "DELETE FROM @.event_log WHERE position = ANY ($1)"] {
                self.query(statement).bind(&old).execute(&mut *transaction).await.context(self)?;
            }
            self.query("UPDATE @.event_meta SET value = greatest(value, $1) WHERE key = 'trimmed_to'")
                .bind(*last)
                .execute(&mut *transaction)
                .await
                .context(self)?;
        }
        let marks = self.query(OLD_MARKS).bind(limited(limit)).execute(&mut *transaction).await.context(self)?;
        transaction.commit().await.context(self)?;
        Ok(old.len().max(usize::try_from(marks.rows_affected()).unwrap_or(limit)))
    }
}
