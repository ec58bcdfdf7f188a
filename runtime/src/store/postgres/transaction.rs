//! Connections and transactions, of the application and of the store itself.

use std::{
    ops::{Deref, DerefMut},
    pin::Pin,
    task::{self, Poll},
};

use sqlx::{AssertSqlSafe, PgConnection, PgPool, Postgres, SqlSafeStr, Transaction, pool::PoolConnection};
use tokio::runtime::Handle;

use super::{
    PostgresStore,
    error::{Context, is_broken},
};
use crate::error::Result;

/// Behind a proxy, what a session is told when it begins must end with the transaction: the next one is another client's.
const BEGIN_POOLED: &str = "BEGIN; SET LOCAL jit = off; SET LOCAL enable_seqscan = off";

type Begun = Result<Transaction<'static, Postgres>, sqlx::Error>;

impl PostgresStore {
    /// A transaction on one of the application's connections.
    pub(super) async fn application_transaction(&self) -> Result<Transaction<'static, Postgres>> {
        begin(&self.shared.pool, None).await.context(self)
    }

    /// One of the store's own connections.
    pub(super) async fn own(&self) -> Result<Own> {
        // Without prepared statements the driver sends a statement in two parts, and a proxy may give each part to
        // another connection, unless they are in one transaction.
        Ok(match self.shared.options.prepares() {
            true => Own::Plain(self.shared.own.acquire().await.context(self)?),
            false => Own::Held(self.own_transaction().await?),
        })
    }

    /// A transaction on one of the store's own connections.
    pub(super) async fn own_transaction(&self) -> Result<Transaction<'static, Postgres>> {
        self.own_begin().await.context(self)
    }

    /// The same, for whoever looks at what the server says.
    pub(super) async fn own_begin(&self) -> Begun {
        begin(&self.shared.own, (!self.shared.options.prepares()).then_some(BEGIN_POOLED)).await
    }
}

/// A connection that broke while it was idle shows at `BEGIN`: then another one is taken.
async fn begin(pool: &PgPool, statement: Option<&'static str>) -> Begun {
    let mut idle = pool.num_idle();
    loop {
        let connection = pool.acquire().await?;
        let statement = statement.map(|statement| AssertSqlSafe(statement).into_sql_str());
        match Finished(Some(Transaction::begin(connection, statement))).await {
            Err(error) if idle > 0 && is_broken(&error) => {
                tracing::debug!(%error, "an idle connection was broken; another one is taken");
                idle -= 1;
            }
            begun => return begun,
        }
    }
}

/// A `BEGIN` that comes to its end, whatever becomes of its caller. The driver (sqlx 0.9.0) knows of a transaction when it
/// has the answer; dropped before, it would give the connection back with the transaction open, and what others then
/// write on it, each statement for itself as they think, would never be committed.
struct Finished(Option<Pin<Box<dyn Future<Output = Begun> + Send>>>);

impl Future for Finished {
    type Output = Begun;

    fn poll(mut self: Pin<&mut Self>, context: &mut task::Context<'_>) -> Poll<Begun> {
        let Some(begin) = &mut self.0 else { return Poll::Pending };
        let begun = begin.as_mut().poll(context);
        if begun.is_ready() {
            self.0 = None;
        }
        begun
    }
}

impl Drop for Finished {
    fn drop(&mut self) {
        // Without a runtime there is nobody to give the connection back to, either.
        if let (Some(begin), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            // The transaction that comes of it is rolled back.
            runtime.spawn(async move { drop(begin.await) });
        }
    }
}

/// A connection for one statement, or a few that need not stand together.
pub(super) enum Own {
    Plain(PoolConnection<Postgres>),
    Held(Transaction<'static, Postgres>),
}

impl Own {
    /// To be called after what was written shall last.
    pub(super) async fn done(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Held(transaction) => transaction.commit().await,
        }
    }
}

impl Deref for Own {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        match self {
            Self::Plain(connection) => connection,
            Self::Held(transaction) => transaction,
        }
    }
}

impl DerefMut for Own {
    fn deref_mut(&mut self) -> &mut PgConnection {
        match self {
            Self::Plain(connection) => connection,
            Self::Held(transaction) => transaction,
        }
    }
}
