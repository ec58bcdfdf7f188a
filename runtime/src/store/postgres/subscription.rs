//! Subscriptions: where they stand, and the pause switch.

use std::time::Duration;

use sqlx::{PgConnection, Row, postgres::PgRow};

use super::{
    PostgresStore,
    error::Context,
    partition::distance,
    place::{Place, Target},
    snapshot::Snapshot,
};
use crate::{
    error::Result,
    event::EventId,
    store::{
        SubscriptionStore,
        record::{
            Checkpoint, Claim, Forgotten, Lease, NewSubscription, Node, NodeId, OnceClaim, Renewed, SubscriptionId,
            SubscriptionState,
        },
    },
};

/// Lag is counted up to here; further off, the distance to the end of the log is near enough.
const COUNTED: i64 = 1_000;

/// Between windows, what is not seen is found by transaction; within one, by position, and what came late. By position in
/// its order. Always in an order: else all that stands behind is looked up before the first is counted.
const STATES: &str = "
    SELECT s.position, s.seen::text, s.target::text, s.target_head, s.target_wide,
           s.handler,
           s.partition,
           CASE WHEN s.lease_until > clock_timestamp() THEN s.owner END,
           s.paused,
           s.revision,
           CASE WHEN s.seen IS NOT NULL AND s.target IS NULL THEN
               (SELECT count(*) FROM (
                   (SELECT 1
                      FROM @.event_log e
                     WHERE e.epoch = m.value AND e.tx >= pg_snapshot_xmax(s.seen)
                     ORDER BY e.tx
                     LIMIT $1)
                    UNION ALL
                   SELECT 1
                     FROM pg_snapshot_xip(s.seen) open (tx),
                          LATERAL (SELECT 1 FROM @.event_log l WHERE l.epoch = m.value AND l.tx = open.tx OFFSET 0) l
                    LIMIT $1) ahead)
           ELSE
               (SELECT count(*) FROM (
                   (SELECT 1
                      FROM @.event_log e
                     WHERE e.position > s.position
                       AND NOT @.event_is_done(e.position, e.tx, e.epoch, m.value, s.position, s.seen, s.target)
                     ORDER BY e.position
                     LIMIT $1)
                    UNION ALL
                   (SELECT 1
                      FROM @.event_log e
                     WHERE e.position <= s.position AND e.epoch = m.value AND e.tx >= pg_snapshot_xmin(s.target)
                       AND NOT @.event_is_done(e.position, e.tx, e.epoch, m.value, s.position, s.seen, s.target)
                     ORDER BY e.tx
                     LIMIT $1)
                    LIMIT $1) ahead)
           END,
           (SELECT count(*) FROM @.event_retry       WHERE handler = s.handler AND state <> 'dead'),
           (SELECT count(*) FROM @.event_dead_letter WHERE handler = s.handler),
           coalesce((SELECT max(position) FROM @.event_log), 0)
      FROM @.event_subscription s
      JOIN @.event_meta m ON m.key = 'epoch'
     ORDER BY s.handler COLLATE \"C\", s.partition";

impl SubscriptionStore for PostgresStore {
    async fn ensure(&self, subscriptions: &[NewSubscription]) -> Result<()> {
        self.make_sure(subscriptions).await
    }

    async fn heartbeat(&self, node: &Node, ttl: Duration) -> Result<Vec<Node>> {
        self.beat(node, ttl).await
    }

    async fn leave(&self, node: &NodeId) -> Result<()> {
        self.forget_node(node).await
    }

    async fn claim(&self, node: &NodeId, subscription: &SubscriptionId, ttl: Duration) -> Result<Option<Claim>> {
        self.claim_lease(node, subscription, ttl).await
    }

    async fn renew(&self, leases: &[Lease], ttl: Duration) -> Result<Vec<Renewed>> {
        self.renew_leases(leases, ttl).await
    }

    async fn release(&self, lease: &Lease) -> Result<()> {
        self.release_lease(lease).await
    }

    async fn checkpoint(&self, steps: &[Checkpoint]) -> Result<Vec<bool>> {
        self.write_checkpoint(steps).await
    }

    async fn claim_once(&self, lease: &Lease, event: EventId, position: i64) -> Result<OnceClaim> {
        self.mark_once(lease, event, position).await
    }

    async fn subscriptions(&self) -> Result<Vec<SubscriptionState>> {
        self.states(COUNTED).await
    }

    async fn glance(&self) -> Result<Vec<SubscriptionState>> {
        self.states(0).await
    }

    async fn set_paused(&self, handler: &str, paused: bool) -> Result<bool> {
        let mut transaction = self.own_transaction().await?;
        let found = self.revise(&mut transaction, handler).await?;
        self.query("UPDATE @.event_subscription SET paused = $1 WHERE handler = $2")
            .bind(paused)
            .bind(handler.to_owned())
            .execute(&mut *transaction)
            .await
            .context(self)?;
        transaction.commit().await.context(self)?;
        self.announce();
        Ok(found)
    }

    async fn forget(&self, handler: &str, dead_letters: bool) -> Result<Forgotten> {
        self.forget_handler(handler, dead_letters).await
    }
}

impl PostgresStore {
    /// The states of all subscriptions, their lag counted up to there.
    async fn states(&self, counted: i64) -> Result<Vec<SubscriptionState>> {
        let mut own = self.own().await?;
        let rows = self.query(STATES).bind(counted + 1).fetch_all(&mut *own).await.context(self)?;
        rows.iter().map(|row| state(row, counted)).collect::<Result<_, _>>().context(self)
    }

    /// Says that a person changed something about a handler's deliveries; whether there is such a handler. Locks its
    /// subscriptions in their order.
    pub(super) async fn revise(&self, connection: &mut PgConnection, handler: &str) -> Result<bool> {
        let done = self
            .query(
                "WITH locked AS (
                     SELECT handler, partition
                       FROM @.event_subscription
                      WHERE handler = $1
                      ORDER BY handler, partition
                        FOR NO KEY UPDATE
                 )
                 UPDATE @.event_subscription s
                    SET revision = revision + 1
                   FROM locked
                  WHERE s.handler = locked.handler AND s.partition = locked.partition",
            )
            .bind(handler.to_owned())
            .execute(&mut *connection)
            .await
            .context(self)?;
        self.query("UPDATE @.event_meta SET value = value + 1 WHERE key = 'revision'")
            .execute(connection)
            .await
            .context(self)?;
        Ok(done.rows_affected() > 0)
    }
}

/// The place in five columns from `first` on: position, seen, target, and the target's head and width.
pub(super) fn place_of(row: &PgRow, first: usize) -> Result<Place, sqlx::Error> {
    let snapshot = |column| -> Result<Option<Snapshot>, sqlx::Error> {
        Ok(row.try_get::<Option<&str>, _>(column)?.map(|text| Snapshot(text.into())))
    };
    let after: i64 = row.try_get(first)?;
    let target = match snapshot(first + 2)? {
        None => None,
        Some(snapshot) => Some(Target {
            snapshot,
            head: row.try_get::<Option<i64>, _>(first + 3)?.unwrap_or(i64::MAX),
            wide: row.try_get::<Option<bool>, _>(first + 4)?.unwrap_or(true),
        }),
    };
    Ok(Place { after, seen: snapshot(first + 1)?, target })
}

fn state(row: &PgRow, most: i64) -> Result<SubscriptionState, sqlx::Error> {
    let place = place_of(row, 0)?;
    let partition: i32 = row.try_get(6)?;
    let id = SubscriptionId {
        handler: row.try_get::<&str, _>(5)?.into(),
        partition: u16::try_from(partition).unwrap_or(u16::MAX),
    };
    let (counted, head): (i64, i64) = (row.try_get(10)?, row.try_get(13)?);
    let lag = if counted > most { counted.max(distance(place.after, head)) } else { counted };
    Ok(SubscriptionState {
        owner: row.try_get::<Option<&str>, _>(7)?.map(|owner| NodeId(owner.into())),
        paused: row.try_get(8)?,
        revision: row.try_get(9)?,
        lag: count(lag),
        parked: count(row.try_get(11)?),
        dead: count(row.try_get(12)?),
        ..SubscriptionState::new(id, place.position())
    })
}

fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
