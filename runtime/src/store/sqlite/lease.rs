//! Leases and heartbeats, judged by the database's clock. A power cut ends all their holders too, so they need not
//! survive one.

use std::time::Duration;

use sqlx::{Row, SqliteConnection};

use super::{Durability, SqliteStore, error::Context, millis};
use crate::{
    error::Result,
    store::record::{Claim, Lease, Node, NodeId, Position, Renewed, SubscriptionId},
};

/// The database's clock in milliseconds.
macro_rules! now_ms {
    () => {
        "CAST(unixepoch('subsec') * 1000 AS INTEGER)"
    };
}
pub(super) use now_ms;

const CLAIM: &str = concat!(
    "UPDATE event_subscription
        SET owner          = ?1,
            fence          = fence + 1,
            crashes        = crashes + (owner IS NOT NULL),
            lease_until_ms = ?2 + ",
    now_ms!(),
    " WHERE handler = ?3 AND partition = ?4
        AND (owner IS NULL OR lease_until_ms <= ",
    now_ms!(),
    ")
  RETURNING fence, position, crashes, paused, revision"
);

const RENEW: &str = concat!(
    "UPDATE event_subscription
        SET lease_until_ms = ?1 + ",
    now_ms!(),
    " WHERE handler = ?2 AND partition = ?3 AND owner = ?4 AND fence = ?5"
);

const BEAT: &str = concat!(
    "INSERT INTO event_node (id, handlers, until_ms)
     VALUES (?1, ?2, ?3 + ",
    now_ms!(),
    ") ON CONFLICT (id) DO UPDATE SET handlers = excluded.handlers, until_ms = excluded.until_ms"
);

const LIVE: &str =
    concat!("SELECT id, handlers FROM event_node WHERE until_ms > ", now_ms!(), " OR id = ?1 ORDER BY id");

const FORGET: &str = concat!("DELETE FROM event_node WHERE until_ms < ", now_ms!(), " - 3600000");

impl SqliteStore {
    pub(super) async fn beat(&self, node: &Node, ttl: Duration) -> Result<Vec<Node>> {
        let handlers = serde_json::to_string(&node.handlers).unwrap_or_else(|_| "[]".into());
        let mut transaction = self.write(Durability::Process).await?;
        sqlx::query(BEAT)
            .bind(&*node.id.0)
            .bind(handlers)
            .bind(millis(ttl))
            .execute(&mut *transaction)
            .await
            .context(self)?;
        sqlx::query(FORGET).execute(&mut *transaction).await.context(self)?;
        let rows = sqlx::query(LIVE).bind(&*node.id.0).fetch_all(&mut *transaction).await.context(self)?;
        transaction.commit().await.context(self)?;
        let mut live = Vec::with_capacity(rows.len());
        for row in rows {
            let id: &str = row.try_get(0).context(self)?;
            let handlers: &str = row.try_get(1).context(self)?;
            live.push(Node { id: NodeId(id.into()), handlers: serde_json::from_str(handlers).unwrap_or_default() });
        }
        Ok(live)
    }

    pub(super) async fn forget_node(&self, node: &NodeId) -> Result<()> {
        let mut transaction = self.write(Durability::Process).await?;
        sqlx::query("DELETE FROM event_node WHERE id = ?")
            .bind(&*node.0)
            .execute(&mut *transaction)
            .await
            .context(self)?;
        transaction.commit().await.context(self)
    }

    pub(super) async fn claim_lease(
        &self,
        node: &NodeId,
        subscription: &SubscriptionId,
        ttl: Duration,
    ) -> Result<Option<Claim>> {
        let mut transaction = self.write(Durability::Process).await?;
        let row = sqlx::query(CLAIM)
            .bind(&*node.0)
            .bind(millis(ttl))
            .bind(&*subscription.handler)
            .bind(i64::from(subscription.partition))
            .fetch_optional(&mut *transaction)
            .await
            .context(self)?;
        let Some(row) = row else {
            transaction.rollback().await.context(self)?;
            return Ok(None);
        };
        transaction.commit().await.context(self)?;
        let crashes: i64 = row.try_get(2).context(self)?;
        Ok(Some(Claim {
            lease: Lease {
                subscription: subscription.clone(),
                owner: node.clone(),
                fence: row.try_get(0).context(self)?,
            },
            position: Position { after: row.try_get(1).context(self)?, window: None },
            crashes: u32::try_from(crashes).unwrap_or(u32::MAX),
            paused: row.try_get(3).context(self)?,
            revision: row.try_get(4).context(self)?,
        }))
    }

    pub(super) async fn renew_leases(&self, leases: &[Lease], ttl: Duration) -> Result<Vec<Renewed>> {
        let mut renewed = Vec::with_capacity(leases.len());
        if leases.is_empty() {
            return Ok(renewed);
        }
        let mut transaction = self.write(Durability::Process).await?;
        for lease in leases {
            let done = sqlx::query(RENEW)
                .bind(millis(ttl))
                .bind(&*lease.subscription.handler)
                .bind(i64::from(lease.subscription.partition))
                .bind(&*lease.owner.0)
                .bind(lease.fence)
                .execute(&mut *transaction)
                .await
                .context(self)?;
            let (paused, revision) = self.switch(&mut transaction, &lease.subscription).await?;
            renewed.push(Renewed { held: done.rows_affected() == 1, paused, revision });
        }
        transaction.commit().await.context(self)?;
        Ok(renewed)
    }

    pub(super) async fn release_lease(&self, lease: &Lease) -> Result<()> {
        let mut transaction = self.write(Durability::Process).await?;
        sqlx::query(
            "UPDATE event_subscription
                SET owner = NULL, lease_until_ms = 0
              WHERE handler = ? AND partition = ? AND owner = ? AND fence = ?",
        )
        .bind(&*lease.subscription.handler)
        .bind(i64::from(lease.subscription.partition))
        .bind(&*lease.owner.0)
        .bind(lease.fence)
        .execute(&mut *transaction)
        .await
        .context(self)?;
        transaction.commit().await.context(self)
    }

    /// Whether the subscription is paused, and its revision.
    async fn switch(&self, connection: &mut SqliteConnection, subscription: &SubscriptionId) -> Result<(bool, i64)> {
        let row: Option<(bool, i64)> =
            sqlx::query_as("SELECT paused, revision FROM event_subscription WHERE handler = ? AND partition = ?")
                .bind(&*subscription.handler)
                .bind(i64::from(subscription.partition))
                .fetch_optional(connection)
                .await
                .context(self)?;
        Ok(row.unwrap_or_default())
    }
}
