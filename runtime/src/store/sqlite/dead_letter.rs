//! What failed: parked deliveries and dead letters, and what a person does about them.

use sqlx::{Row, SqliteConnection};

use super::{
    Durability, SqliteStore,
    error::Context,
    limited,
    row::{dead_letter, event_columns, parked, retry_columns},
};
use crate::{
    error::Result,
    event::EventId,
    store::{
        DeadLetterStore,
        record::{DeadLetter, DeadLetterId, Lease, Parked},
    },
};

/// Due in 1970: by every clock, also by one that a test has set.
const REDRIVE: &str = "
    INSERT INTO event_retry (handler, position, event_id, aggregate_type, aggregate_id, state, attempts, next_at, error)
    SELECT handler, position, event_id, aggregate_type, aggregate_id, 'retrying', 0,
           '1970-01-01T00:00:00.000000000Z', error
      FROM event_dead_letter
     WHERE id = ?1
        ON CONFLICT (handler, position)
        DO UPDATE SET state    = excluded.state,
                      attempts = excluded.attempts,
                      next_at  = excluded.next_at,
                      error    = excluded.error";

const FORGET_MARK: &str = "
    DELETE FROM event_inbox
     WHERE (handler, event_id) IN (SELECT handler, event_id FROM event_dead_letter WHERE id = ?1)";

const RELEASE: &str = "
    DELETE FROM event_retry
     WHERE (handler, position) IN (SELECT handler, position FROM event_dead_letter WHERE id = ?1)
       AND state = 'dead'";

impl DeadLetterStore for SqliteStore {
    async fn parked(&self, handler: &str, limit: usize) -> Result<Vec<Parked>> {
        const PARKED: &str =
            concat!("SELECT ", retry_columns!(), " FROM event_retry WHERE handler = ? ORDER BY position LIMIT ?");
        let rows = sqlx::query(PARKED)
            .bind(handler)
            .bind(limited(limit))
            .fetch_all(&self.shared.reader)
            .await
            .context(self)?;
        rows.iter().map(parked).collect::<Result<_, _>>().context(self)
    }

    async fn handled(
        &self,
        connection: &mut SqliteConnection,
        lease: &Lease,
        events: &[EventId],
    ) -> Result<Option<Vec<EventId>>> {
        self.handled_before(connection, lease, events).await
    }

    async fn mark_handled(
        &self,
        connection: &mut SqliteConnection,
        lease: &Lease,
        events: &[(EventId, i64)],
    ) -> Result<()> {
        self.mark_in(connection, lease, events).await
    }

    async fn dead_letters(&self, handler: Option<&str>, limit: usize) -> Result<Vec<DeadLetter>> {
        const LETTERS: &str = concat!(
            "SELECT ",
            event_columns!("event_id"),
            ", id, handler, attempts, reason, error, dead_at
               FROM event_dead_letter
              WHERE ?1 IS NULL OR handler = ?1
              ORDER BY dead_at DESC, seq DESC
              LIMIT ?2"
        );
        let rows = sqlx::query(LETTERS)
            .bind(handler)
            .bind(limited(limit))
            .fetch_all(&self.shared.reader)
            .await
            .context(self)?;
        rows.iter().map(dead_letter).collect::<Result<_, _>>().context(self)
    }

    async fn redrive(&self, letter: DeadLetterId) -> Result<bool> {
        self.settle(letter, &[REDRIVE, FORGET_MARK]).await
    }

    async fn discard(&self, letter: DeadLetterId) -> Result<bool> {
        self.settle(letter, &[RELEASE]).await
    }
}

impl SqliteStore {
    /// Takes a dead letter away, after these statements have used it; `false` if there is none.
    async fn settle(&self, letter: DeadLetterId, statements: &[&'static str]) -> Result<bool> {
        let mut transaction = self.write(Durability::Full).await?;
        for statement in statements {
            sqlx::query(*statement).bind(letter.0.hyphenated()).execute(&mut *transaction).await.context(self)?;
        }
        let handler = self.unbury(&mut transaction, letter).await?;
        if let Some(handler) = &handler {
            self.revise(&mut transaction, handler).await?;
        }
        transaction.commit().await.context(self)?;
        self.shared.committed.notify_waiters();
        Ok(handler.is_some())
    }

    async fn unbury(&self, connection: &mut SqliteConnection, letter: DeadLetterId) -> Result<Option<String>> {
        let row = sqlx::query("DELETE FROM event_dead_letter WHERE id = ? RETURNING handler")
            .bind(letter.0.hyphenated())
            .fetch_optional(connection)
            .await
            .context(self)?;
        row.map(|row| row.try_get(0)).transpose().context(self)
    }
}
