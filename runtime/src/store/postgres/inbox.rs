//! Marks of what is handled once: set before the handler runs, or in its own transaction.

use sqlx::{PgConnection, Row};

use super::{PostgresStore, error::Context};
use crate::{
    error::Result,
    event::EventId,
    store::record::{Lease, Marked, OnceClaim},
};

/// Marks an event where the lease is held, in the handler's transaction. The lock keeps every other holder out until
/// that ends.
const MARK_HANDLED: &str = "
    WITH held AS (
        SELECT 1
          FROM @.event_subscription
         WHERE handler = $1 AND partition = $2 AND owner = $3 AND fence = $4
           FOR KEY SHARE
    ), marked AS (
        INSERT INTO @.event_inbox (handler, event_id, position, done)
        SELECT $1, $5, $6, true FROM held
            ON CONFLICT (handler, event_id)
            DO UPDATE SET position = excluded.position, done = true
         WHERE NOT event_inbox.done
     RETURNING 1
    )
    SELECT EXISTS (SELECT 1 FROM held), EXISTS (SELECT 1 FROM marked)";

/// Marks an event as begun; where it was marked before, says how that went.
const MARK_BEGUN: &str = "
    WITH held AS (
        SELECT 1
          FROM @.event_subscription
         WHERE handler = $1 AND partition = $2 AND owner = $3 AND fence = $4
           FOR KEY SHARE
    ), marked AS (
        INSERT INTO @.event_inbox (handler, event_id, position, done)
        SELECT $1, $5, $6, false FROM held
            ON CONFLICT (handler, event_id) DO NOTHING
     RETURNING 1
    )
    SELECT EXISTS (SELECT 1 FROM held), EXISTS (SELECT 1 FROM marked),
           (SELECT done FROM @.event_inbox WHERE handler = $1 AND event_id = $5)";

impl PostgresStore {
    pub(super) async fn mark_once(&self, lease: &Lease, event: EventId, position: i64) -> Result<OnceClaim> {
        let mut own = self.own().await?;
        let row = self.mark(MARK_BEGUN, &mut own, lease, event, position).await?;
        let read = || Ok((row.try_get::<bool, _>(0)?, row.try_get::<bool, _>(1)?, row.try_get::<Option<bool>, _>(2)?));
        let (held, marked, done) = read().context(self)?;
        own.done().await.context(self)?;
        Ok(match done {
            _ if !held => OnceClaim::LeaseLost,
            _ if marked => OnceClaim::Fresh,
            Some(true) => OnceClaim::Done,
            // Also one that another transaction has just made: only a holder from before can have.
            Some(false) | None => OnceClaim::Interrupted,
        })
    }

    pub(super) async fn mark_in(
        &self,
        connection: &mut PgConnection,
        lease: &Lease,
        event: EventId,
        position: i64,
    ) -> Result<Marked> {
        let row = self.mark(MARK_HANDLED, connection, lease, event, position).await?;
        let read = || Ok((row.try_get::<bool, _>(0)?, row.try_get::<bool, _>(1)?));
        Ok(match read().context(self)? {
            (_, true) => Marked::Fresh,
            (true, false) => Marked::Done,
            (false, false) => Marked::LeaseLost,
        })
    }

    async fn mark(
        &self,
        statement: &str,
        connection: &mut PgConnection,
        lease: &Lease,
        event: EventId,
        position: i64,
    ) -> Result<sqlx::postgres::PgRow> {
        self.query(statement)
            .bind(lease.subscription.handler.to_string())
            .bind(i32::from(lease.subscription.partition))
            .bind(lease.owner.0.to_string())
            .bind(lease.fence)
            .bind(event.as_uuid())
            .bind(position)
            .fetch_one(connection)
            .await
            .context(self)
    }
}
