//! What failed: parked deliveries and dead letters, and what a person does about them.

use sqlx::{PgConnection, Row};

use super::{
    PostgresStore,
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
    INSERT INTO @.event_retry (handler, position, event_id, aggregate_type, aggregate_id, state, attempts, next_at, error)
    SELECT handler, position, event_id, aggregate_type, aggregate_id, 'retrying', 0, to_timestamp(0), error
      FROM @.event_dead_letter
     WHERE id = $1
        ON CONFLICT (handler, position)
        DO UPDATE SET state    = excluded.state,
                      attempts = excluded.attempts,
                      next_at  = excluded.next_at,
                      error    = excluded.error";

const FORGET_MARK: &str = "
    DELETE FROM @.event_inbox
     WHERE (handler, event_id) IN (SELECT handler, event_id FROM @.event_dead_letter WHERE id = $1)";

const RELEASE: &str = "
    DELETE FROM @.event_retry
     WHERE (handler, position) IN (SELECT handler, position FROM @.event_dead_letter WHERE id = $1)
       AND state = 'dead'";

impl DeadLetterStore for PostgresStore {
    async fn parked(&self, handler: &str, limit: usize) -> Result<Vec<Parked>> {
        const PARKED: &str =
            concat!("SELECT ", retry_columns!(), " FROM @.event_retry WHERE handler = $1 ORDER BY position LIMIT $2");
        let mut own = self.own().await?;
        let rows = self
            .query(PARKED)
            .bind(handler.to_owned())
            .bind(limited(limit))
            .fetch_all(&mut *own)
            .await
            .context(self)?;
        rows.iter().map(parked).collect::<Result<_, _>>().context(self)
    }

    async fn handled(
        &self,
        connection: &mut PgConnection,
        lease: &Lease,
        events: &[EventId],
    ) -> Result<Option<Vec<EventId>>> {
        self.handled_before(connection, lease, events).await
    }

    async fn mark_handled(
        &self,
        connection: &mut PgConnection,
        lease: &Lease,
        events: &[(EventId, i64)],
    ) -> Result<()> {
        self.mark_in(connection, lease, events).await
    }

    async fn dead_letters(&self, handler: Option<&str>, limit: usize) -> Result<Vec<DeadLetter>> {
        const LETTERS: &str = concat!(
            "SELECT ",
            event_columns!("event_id", "payload"),
            ", id, handler, attempts, reason, error, dead_at
               FROM @.event_dead_letter
              WHERE $1::text IS NULL OR handler = $1
              ORDER BY dead_at DESC, seq DESC
              LIMIT $2"
        );
        let mut own = self.own().await?;
        let rows = self
            .query(LETTERS)
            .bind(handler.map(str::to_owned))
            .bind(limited(limit))
            .fetch_all(&mut *own)
            .await
            .context(self)?;
        rows.iter().map(dead_letter).collect::<Result<_, _>>().context(self)
    }

    async fn redrive(&self, letter: DeadLetterId) -> Result<bool> {
        self.decide(letter, &[REDRIVE, FORGET_MARK]).await
    }

    async fn discard(&self, letter: DeadLetterId) -> Result<bool> {
        self.decide(letter, &[RELEASE]).await
    }
}

impl PostgresStore {
    /// Takes a dead letter away, after these statements have used it; `false` if there is none.
    async fn decide(&self, letter: DeadLetterId, statements: &[&str]) -> Result<bool> {
        let mut transaction = self.own_transaction().await?;
        // Two people may decide about the same one.
        let row = self
            .query("SELECT handler FROM @.event_dead_letter WHERE id = $1 FOR UPDATE")
            .bind(letter.0)
            .fetch_optional(&mut *transaction)
            .await
            .context(self)?;
        let Some(row) = row else { return Ok(false) };
        let handler: String = row.try_get(0).context(self)?;
        for statement in statements.iter().chain(&["DELETE FROM @.event_dead_letter WHERE id = $1"]) {
            self.query(statement).bind(letter.0).execute(&mut *transaction).await.context(self)?;
        }
        self.revise(&mut transaction, &handler).await?;
        transaction.commit().await.context(self)?;
        self.announce();
        Ok(true)
    }
}
