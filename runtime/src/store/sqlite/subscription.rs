//! Subscriptions: which exist, where they stand, and the pause switch.

use std::{sync::Arc, time::Duration};

use sqlx::{Row, SqliteConnection};

use super::{Durability, SqliteStore, error::Context, lease::now_ms, log::head};
use crate::{
    error::Result,
    event::EventId,
    store::{
        SubscriptionStore,
        record::{
            Checkpoint, Claim, Forgotten, Lease, NewSubscription, Node, NodeId, OnceClaim, Position, Renewed, StartAt,
            SubscriptionId, SubscriptionState,
        },
    },
};

impl SubscriptionStore for SqliteStore {
    async fn ensure(&self, subscriptions: &[NewSubscription]) -> Result<()> {
        let mut connection = self.shared.reader.acquire().await.context(self)?;
        let mut missing = Vec::new();
        for wanted in subscriptions {
            if self.partitions(&mut connection, &wanted.id.handler).await?.count != i64::from(wanted.partitions.max(1))
            {
                missing.push(wanted);
            }
        }
        drop(connection);
        // The usual case, so that programs that look again from time to time don't write.
        if missing.is_empty() {
            return Ok(());
        }
        let mut transaction = self.write(Durability::Full).await?;
        for wanted in missing {
            self.create(&mut transaction, wanted).await?;
        }
        transaction.commit().await.context(self)
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
        // Positions have no gaps behind the last one that retention has removed, so what is there need not be counted.
        const STATES: &str = concat!(
            "SELECT s.handler,
                    s.partition,
                    s.position,
                    iif(s.lease_until_ms > ",
            now_ms!(),
            ", s.owner, NULL) AS owner,
                    s.paused,
                    s.revision,
                    max(0, coalesce((SELECT max(position) FROM event_log), 0) - max(s.position, t.value))
                        + (SELECT count(*) FROM event_log  WHERE position > s.position AND position <= t.value) AS lag,
                    (SELECT count(*) FROM event_retry       WHERE handler = s.handler AND state <> 'dead')      AS parked,
                    (SELECT count(*) FROM event_dead_letter WHERE handler = s.handler)                          AS dead
               FROM event_subscription s
               JOIN event_meta t ON t.key = 'trimmed_to'
              ORDER BY s.handler, s.partition"
        );
        let rows = sqlx::query(STATES).fetch_all(&self.shared.reader).await.context(self)?;
        rows.iter()
            .map(|row| {
                let handler: &str = row.try_get("handler")?;
                let partition: i64 = row.try_get("partition")?;
                let owner: Option<&str> = row.try_get("owner")?;
                let id =
                    SubscriptionId { handler: handler.into(), partition: u16::try_from(partition).unwrap_or(u16::MAX) };
                let position = Position { after: row.try_get("position")?, window: None };
                Ok(SubscriptionState {
                    owner: owner.map(|owner| NodeId(owner.into())),
                    paused: row.try_get("paused")?,
                    lag: count(row.try_get("lag")?),
                    parked: count(row.try_get("parked")?),
                    dead: count(row.try_get("dead")?),
                    revision: row.try_get("revision")?,
                    ..SubscriptionState::new(id, position)
                })
            })
            .collect::<Result<_, sqlx::Error>>()
            .context(self)
    }

    async fn set_paused(&self, handler: &str, paused: bool) -> Result<bool> {
        let mut transaction = self.write(Durability::Full).await?;
        let done = sqlx::query("UPDATE event_subscription SET paused = ? WHERE handler = ?")
            .bind(paused)
            .bind(handler)
            .execute(&mut *transaction)
            .await
            .context(self)?;
        self.revise(&mut transaction, handler).await?;
        transaction.commit().await.context(self)?;
        self.shared.committed.notify_waiters();
        Ok(done.rows_affected() > 0)
    }

    async fn forget(&self, handler: &str, dead_letters: bool) -> Result<Forgotten> {
        self.forget_handler(handler, dead_letters).await
    }
}

/// What is known of all partitions of a handler.
struct Partitions {
    count: i64,
    live: i64,
    least: Option<i64>,
}

impl SqliteStore {
    async fn partitions(&self, connection: &mut SqliteConnection, handler: &str) -> Result<Partitions> {
        const PARTITIONS: &str = concat!(
            "SELECT count(*), coalesce(sum(owner IS NOT NULL AND lease_until_ms > ",
            now_ms!(),
            "), 0), min(position) FROM event_subscription WHERE handler = ?"
        );
        let (count, live, least) =
            sqlx::query_as(PARTITIONS).bind(handler).fetch_one(connection).await.context(self)?;
        Ok(Partitions { count, live, least })
    }

    async fn create(&self, connection: &mut SqliteConnection, wanted: &NewSubscription) -> Result<()> {
        let handler = &wanted.id.handler;
        let mut old = self.partitions(connection, handler).await?;
        if old.count == 0 {
            for alias in &wanted.aliases {
                if self.partitions(connection, alias).await?.count > 0 {
                    self.rename(connection, alias, handler).await?;
                    old = self.partitions(connection, handler).await?;
                    break;
                }
            }
        }
        let partitions = wanted.partitions.max(1);
        if old.count == i64::from(partitions) || old.live > 0 {
            return Ok(());
        }
        match old.least {
            Some(least) => self.repartition(connection, handler, partitions, least).await?,
            None => {
                const LEAST: &str = "SELECT coalesce(min(position), 0) FROM event_subscription";
                let start = match wanted.start {
                    StartAt::Beginning => 0,
                    StartAt::Head => self.number(&mut *connection, concat!("SELECT ", head!())).await?,
                    StartAt::Least => self.number(&mut *connection, LEAST).await?,
                };
                self.insert(connection, handler, partitions, start).await?;
            }
        }
        Ok(())
    }

    async fn number(&self, connection: &mut SqliteConnection, query: &'static str) -> Result<i64> {
        sqlx::query_scalar(query).fetch_one(connection).await.context(self)
    }

    async fn rename(&self, connection: &mut SqliteConnection, from: &str, to: &Arc<str>) -> Result<()> {
        for statement in [
            "UPDATE OR REPLACE event_subscription SET handler = ? WHERE handler = ?",
            "UPDATE OR REPLACE event_retry        SET handler = ? WHERE handler = ?",
            "UPDATE OR REPLACE event_dead_letter  SET handler = ? WHERE handler = ?",
            "UPDATE OR REPLACE event_inbox        SET handler = ? WHERE handler = ?",
        ] {
            sqlx::query(statement).bind(&**to).bind(from).execute(&mut *connection).await.context(self)?;
        }
        Ok(())
    }

    /// All partitions begin again at the least position, with a greater fence than any before: whoever held one of the
    /// old rows must not move a new one.
    async fn repartition(
        &self,
        connection: &mut SqliteConnection,
        handler: &str,
        partitions: u16,
        least: i64,
    ) -> Result<()> {
        self.insert(connection, handler, partitions, least).await?;
        sqlx::query(
            "UPDATE event_subscription
                SET position       = ?1,
                    owner          = NULL,
                    lease_until_ms = 0,
                    fence          = o.fence + 1,
                    crashes        = o.crashes,
                    paused         = o.paused,
                    revision       = o.revision + 1
               FROM (SELECT max(fence) AS fence, max(crashes) AS crashes, max(paused) AS paused,
                            max(revision) AS revision
                       FROM event_subscription
                      WHERE handler = ?2) o
              WHERE handler = ?2",
        )
        .bind(least)
        .bind(handler)
        .execute(&mut *connection)
        .await
        .context(self)?;
        sqlx::query("DELETE FROM event_subscription WHERE handler = ? AND partition >= ?")
            .bind(handler)
            .bind(i64::from(partitions))
            .execute(connection)
            .await
            .context(self)?;
        Ok(())
    }

    async fn insert(
        &self,
        connection: &mut SqliteConnection,
        handler: &str,
        partitions: u16,
        position: i64,
    ) -> Result<()> {
        for partition in 0..partitions {
            sqlx::query("INSERT OR IGNORE INTO event_subscription (handler, partition, position) VALUES (?, ?, ?)")
                .bind(handler)
                .bind(i64::from(partition))
                .bind(position)
                .execute(&mut *connection)
                .await
                .context(self)?;
        }
        Ok(())
    }

    /// Says that a person changed something about a handler's deliveries.
    pub(super) async fn revise(&self, connection: &mut SqliteConnection, handler: &str) -> Result<()> {
        sqlx::query("UPDATE event_subscription SET revision = revision + 1 WHERE handler = ?")
            .bind(handler)
            .execute(&mut *connection)
            .await
            .context(self)?;
        sqlx::query("UPDATE event_meta SET value = value + 1 WHERE key = 'revision'")
            .execute(connection)
            .await
            .context(self)?;
        Ok(())
    }
}

fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
