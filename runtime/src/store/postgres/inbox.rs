//! Marks of what is handled once: set before the handler runs, or in its own transaction.

use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::{PostgresStore, error::Context};
use crate::{
    error::Result,
    event::EventId,
    store::record::{Lease, OnceClaim},
};

/// Whether the lease is held, and which of these events are handled. The lock keeps every other holder out until the
/// handler's transaction ends.
const HANDLED: &str = "
    WITH held AS (
        SELECT 1
          FROM @.event_subscription
         WHERE handler = $1 AND partition = $2 AND owner = $3 AND fence = $4
           FOR KEY SHARE
    )
    SELECT EXISTS (SELECT 1 FROM held),
           ARRAY(SELECT event_id FROM @.event_inbox WHERE handler = $1 AND event_id = ANY ($5) AND done)";

const MARK_HANDLED: &str = "
    INSERT INTO @.event_inbox (handler, event_id, position, done)
    SELECT $1, m.event_id, m.position, true
      FROM unnest($2::uuid[], $3::bigint[]) m (event_id, position)
        ON CONFLICT (handler, event_id)
        DO UPDATE SET position = excluded.position, done = true";

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
        let row = self
            .query(MARK_BEGUN)
            .bind(lease.subscription.handler.to_string())
            .bind(i32::from(lease.subscription.partition))
            .bind(lease.owner.0.to_string())
            .bind(lease.fence)
            .bind(event.as_uuid())
            .bind(position)
            .fetch_one(&mut *own)
            .await
            .context(self)?;
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

    pub(super) async fn handled_before(
        &self,
        connection: &mut PgConnection,
        lease: &Lease,
        events: &[EventId],
    ) -> Result<Option<Vec<EventId>>> {
        let row = self
            .query(HANDLED)
            .bind(lease.subscription.handler.to_string())
            .bind(i32::from(lease.subscription.partition))
            .bind(lease.owner.0.to_string())
            .bind(lease.fence)
            .bind(events.iter().map(|event| event.as_uuid()).collect::<Vec<_>>())
            .fetch_one(connection)
            .await
            .context(self)?;
        let read = || Ok((row.try_get::<bool, _>(0)?, row.try_get::<Vec<Uuid>, _>(1)?));
        let (held, handled) = read().context(self)?;
        Ok(held.then(|| handled.into_iter().map(EventId::from).collect()))
    }

    pub(super) async fn mark_in(
        &self,
        connection: &mut PgConnection,
        lease: &Lease,
        events: &[(EventId, i64)],
    ) -> Result<()> {
        self.query(MARK_HANDLED)
            .bind(lease.subscription.handler.to_string())
            .bind(events.iter().map(|(event, _)| event.as_uuid()).collect::<Vec<_>>())
            .bind(events.iter().map(|(_, position)| *position).collect::<Vec<_>>())
            .execute(connection)
            .await
            .context(self)?;
        Ok(())
    }
}
