//! Leases and heartbeats, judged by the database's clock.
//!
//! A claim locks its row `FOR UPDATE`, a transactional handler `FOR KEY SHARE`: that keeps claims out until it commits,
//! and lets the holder's own checkpoints pass. Statements that touch several rows lock them in one order, or two of them
//! could wait for each other.

use std::time::Duration;

use sqlx::Row;

use super::{PostgresStore, error::Context, place::Place, subscription::place_of};
use crate::{
    error::Result,
    store::record::{Claim, Lease, Node, NodeId, Renewed, SubscriptionId},
};

/// Nothing is claimed on a server whose positions were not looked at since its crash.
const CLAIM: &str = "
    UPDATE @.event_subscription s
       SET owner       = $1,
           fence       = s.fence + 1,
           crashes     = s.crashes + (s.owner IS NOT NULL)::integer,
           lease_until = clock_timestamp() + $2 * interval '1 ms'
      FROM (SELECT handler, partition
              FROM @.event_subscription
             WHERE handler = $3 AND partition = $4
               AND (owner IS NULL OR lease_until <= clock_timestamp())
               AND EXISTS (SELECT 1 FROM @.event_server_run)
               FOR UPDATE SKIP LOCKED) free
     WHERE s.handler = free.handler AND s.partition = free.partition
 RETURNING s.position, s.seen::text, s.target::text, s.target_head, s.target_wide,
           s.fence, s.crashes, s.paused, s.revision";

const RENEW: &str = "
    WITH lease AS (
        SELECT * FROM unnest($1::text[], $2::integer[], $3::text[], $4::bigint[])
                      WITH ORDINALITY AS l (handler, partition, owner, fence, place)
    ), held AS (
        SELECT s.handler, s.partition, l.place
          FROM @.event_subscription s
          JOIN lease l USING (handler, partition, owner, fence)
         ORDER BY s.handler, s.partition
           FOR NO KEY UPDATE OF s
    ), renewed AS (
        UPDATE @.event_subscription s
           SET lease_until = clock_timestamp() + $5 * interval '1 ms'
          FROM held
         WHERE s.handler = held.handler AND s.partition = held.partition
     RETURNING held.place
    )
    SELECT r.place IS NOT NULL, coalesce(s.paused, false), coalesce(s.revision, 0)
      FROM lease l
      LEFT JOIN renewed r USING (place)
      LEFT JOIN @.event_subscription s ON s.handler = l.handler AND s.partition = l.partition
     ORDER BY l.place";

const BEAT: &str = "
    INSERT INTO @.event_node (id, handlers, live_until)
    VALUES ($1, $2, clock_timestamp() + $3 * interval '1 ms')
        ON CONFLICT (id) DO UPDATE SET handlers = excluded.handlers, live_until = excluded.live_until";

/// Its own row may not be visible yet where the clock has not moved.
const LIVE: &str = "
    SELECT id, handlers FROM @.event_node WHERE live_until > clock_timestamp() OR id = $1 ORDER BY id COLLATE \"C\"";

const FORGET: &str = "
    DELETE FROM @.event_node WHERE live_until < clock_timestamp() - interval '1 hour'";

impl PostgresStore {
    pub(super) async fn beat(&self, node: &Node, ttl: Duration) -> Result<Vec<Node>> {
        self.settle().await?;
        let mut own = self.own().await?;
        self.query(BEAT)
            .bind(node.id.0.to_string())
            .bind(&node.handlers)
            .bind(millis(ttl))
            .execute(&mut *own)
            .await
            .context(self)?;
        self.query(FORGET).execute(&mut *own).await.context(self)?;
        let rows = self.query(LIVE).bind(node.id.0.to_string()).fetch_all(&mut *own).await.context(self)?;
        own.done().await.context(self)?;
        rows.iter()
            .map(|row| Ok(Node { id: NodeId(row.try_get::<&str, _>(0)?.into()), handlers: row.try_get(1)? }))
            .collect::<Result<_, sqlx::Error>>()
            .context(self)
    }

    pub(super) async fn forget_node(&self, node: &NodeId) -> Result<()> {
        let mut own = self.own().await?;
        self.query("DELETE FROM @.event_node WHERE id = $1")
            .bind(node.0.to_string())
            .execute(&mut *own)
            .await
            .context(self)?;
        own.done().await.context(self)
    }

    pub(super) async fn claim_lease(
        &self,
        node: &NodeId,
        subscription: &SubscriptionId,
        ttl: Duration,
    ) -> Result<Option<Claim>> {
        let mut own = self.own().await?;
        let row = self
            .query(CLAIM)
            .bind(node.0.to_string())
            .bind(millis(ttl))
            .bind(subscription.handler.to_string())
            .bind(i32::from(subscription.partition))
            .fetch_optional(&mut *own)
            .await
            .context(self)?;
        own.done().await.context(self)?;
        let Some(row) = row else { return Ok(None) };
        let claim = || {
            let place: Place = place_of(&row, 0)?;
            let crashes: i32 = row.try_get(6)?;
            Ok(Claim {
                lease: Lease { subscription: subscription.clone(), owner: node.clone(), fence: row.try_get(5)? },
                position: place.position(),
                crashes: u32::try_from(crashes).unwrap_or(0),
                paused: row.try_get(7)?,
                revision: row.try_get(8)?,
            })
        };
        claim().map(Some).context(self)
    }

    pub(super) async fn renew_leases(&self, leases: &[Lease], ttl: Duration) -> Result<Vec<Renewed>> {
        if leases.is_empty() {
            return Ok(Vec::new());
        }
        let mut own = self.own().await?;
        let rows = self
            .query(RENEW)
            .bind(leases.iter().map(|lease| lease.subscription.handler.to_string()).collect::<Vec<_>>())
            .bind(leases.iter().map(|lease| i32::from(lease.subscription.partition)).collect::<Vec<_>>())
            .bind(leases.iter().map(|lease| lease.owner.0.to_string()).collect::<Vec<_>>())
            .bind(leases.iter().map(|lease| lease.fence).collect::<Vec<_>>())
            .bind(millis(ttl))
            .fetch_all(&mut *own)
            .await
            .context(self)?;
        own.done().await.context(self)?;
        rows.iter()
            .map(|row| Ok(Renewed { held: row.try_get(0)?, paused: row.try_get(1)?, revision: row.try_get(2)? }))
            .collect::<Result<_, sqlx::Error>>()
            .context(self)
    }

    pub(super) async fn release_lease(&self, lease: &Lease) -> Result<()> {
        let mut own = self.own().await?;
        self.query(
            "UPDATE @.event_subscription
                SET owner = NULL, lease_until = '-infinity'
              WHERE handler = $1 AND partition = $2 AND owner = $3 AND fence = $4",
        )
        .bind(lease.subscription.handler.to_string())
        .bind(i32::from(lease.subscription.partition))
        .bind(lease.owner.0.to_string())
        .bind(lease.fence)
        .execute(&mut *own)
        .await
        .context(self)?;
        own.done().await.context(self)
    }
}

/// A lease's or heartbeat's length; a longer one than thirty years counts as that.
fn millis(ttl: Duration) -> f64 {
    const THIRTY_YEARS: f64 = 30.0 * 365.0 * 24.0 * 3600.0 * 1000.0;
    (ttl.as_secs_f64() * 1000.0).min(THIRTY_YEARS)
}
