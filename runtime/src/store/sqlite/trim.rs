//! Retention: what nobody needs any more goes, in bounded steps.

use chrono::{DateTime, Utc};

use super::{Durability, SqliteStore, error::Context, limited, log::json_numbers, row::time_text};
use crate::error::Result;

/// The oldest events that every subscription has passed and nothing refers to, those of them that are old enough. The
/// limit stands inside, so that a log whose events are all young costs no more than one page.
const OLD_EVENTS: &str = "
    SELECT position
      FROM (SELECT position, recorded_at
              FROM event_log e
             WHERE position <= (SELECT coalesce(min(position), 9223372036854775807) FROM event_subscription)
               AND NOT EXISTS (SELECT 1 FROM event_retry r       WHERE r.position = e.position)
               AND NOT EXISTS (SELECT 1 FROM event_dead_letter d WHERE d.position = e.position)
             ORDER BY position
             LIMIT ?1)
     WHERE recorded_at < ?2";

/// An aggregate's version outlives its events, or its next event would be taken for its first.
const KEEP_VERSIONS: &str = "
    INSERT INTO event_stream (aggregate_type, aggregate_id, version)
    SELECT aggregate_type, aggregate_id, max(aggregate_version)
      FROM event_log
     WHERE position IN (SELECT value FROM json_each(?1))
       AND aggregate_version IS NOT NULL
     GROUP BY aggregate_type, aggregate_id
        ON CONFLICT (aggregate_type, aggregate_id)
        DO UPDATE SET version = max(version, excluded.version)";

/// Marks of events that are not delivered again.
const OLD_MARKS: &str = "
    DELETE FROM event_inbox
     WHERE (handler, event_id) IN (
               SELECT i.handler, i.event_id
                 FROM (SELECT handler, min(position) AS behind FROM event_subscription GROUP BY handler) s
                 JOIN event_inbox i ON i.handler = s.handler AND i.position <= s.behind
                WHERE NOT EXISTS (SELECT 1 FROM event_retry r
                                   WHERE r.handler = i.handler AND r.position = i.position)
                  AND NOT EXISTS (SELECT 1 FROM event_dead_letter d
                                   WHERE d.handler = i.handler AND d.position = i.position)
                LIMIT ?1)";

impl SqliteStore {
    pub(super) async fn trim_events(&self, before: DateTime<Utc>, limit: usize) -> Result<usize> {
        let mut transaction = self.write(Durability::Process).await?;
        let old: Vec<i64> = sqlx::query_scalar(OLD_EVENTS)
            .bind(limited(limit))
            .bind(time_text(before))
            .fetch_all(&mut *transaction)
            .await
            .context(self)?;
        if let Some(last) = old.iter().max() {
            let positions = json_numbers(&old);
            sqlx::query(KEEP_VERSIONS).bind(&positions).execute(&mut *transaction).await.context(self)?;
            sqlx::query("DELETE FROM event_log WHERE position IN (SELECT value FROM json_each(?))")
                .bind(&positions)
                .execute(&mut *transaction)
                .await
                .context(self)?;
            sqlx::query("UPDATE event_meta SET value = max(value, ?) WHERE key = 'trimmed_to'")
                .bind(last)
                .execute(&mut *transaction)
                .await
                .context(self)?;
        }
        let marks = sqlx::query(OLD_MARKS).bind(limited(limit)).execute(&mut *transaction).await.context(self)?;
        transaction.commit().await.context(self)?;
        Ok(old.len().max(usize::try_from(marks.rows_affected()).unwrap_or(limit)))
    }
}
