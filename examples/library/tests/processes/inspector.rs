//! Databases, looked at from outside of the program.

use std::{collections::BTreeMap, path::Path};

use domain_events::{PostgresStore, store::SubscriptionStore as _};
use sqlx::{Connection as _, PgConnection, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::runtime::Runtime;

/// One session with a PostgreSQL server.
pub(crate) struct Inspector {
    runtime: Runtime,
    connection: PgConnection,
}

impl Inspector {
    pub(crate) fn of(url: &str) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let connection = runtime.block_on(PgConnection::connect(url)).expect("the server answers");
        Self { runtime, connection }
    }

    pub(crate) fn execute(&mut self, statement: &'static str) {
        self.runtime.block_on(sqlx::query(statement).execute(&mut self.connection)).expect(statement);
    }

    pub(crate) fn number(&mut self, query: &'static str) -> i64 {
        self.runtime.block_on(sqlx::query_scalar(query).fetch_one(&mut self.connection)).expect(query)
    }
}

/// Which process runs which handler.
pub(crate) struct Leases {
    runtime: Runtime,
    store: PostgresStore,
}

impl Leases {
    pub(crate) fn of(url: &str) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let store = runtime.block_on(PostgresStore::connect(url)).expect("the server answers");
        Self { runtime, store }
    }

    /// The process that runs each handler, where there is one.
    pub(crate) fn holders(&self) -> BTreeMap<String, u32> {
        let subscriptions = self.runtime.block_on(self.store.subscriptions()).expect("the server answers");
        let holder = |owner: &str| owner.strip_prefix("pid-")?.split('-').next()?.parse().ok();
        let held = subscriptions.into_iter().filter_map(|subscription| {
            let owner = subscription.owner?.to_string();
            let pid = holder(&owner).unwrap_or_else(|| panic!("`{owner}` does not begin with a process id"));
            Some((subscription.id.handler.to_string(), pid))
        });
        held.collect()
    }

    /// How many deliveries are outstanding: events behind a position, and parked ones.
    pub(crate) fn behind(&self) -> u64 {
        let subscriptions = self.runtime.block_on(self.store.subscriptions()).expect("the server answers");
        subscriptions.iter().map(|subscription| subscription.lag + subscription.parked).sum()
    }
}

/// A number out of a SQLite file.
pub(crate) fn count_in_file(file: &Path, query: &'static str) -> i64 {
    in_file(file, async |connection| sqlx::query_scalar(query).fetch_one(connection).await)
}

/// A copy of a SQLite file that nobody is writing to.
pub(crate) fn copy_of_file(file: &Path, copy: &Path) {
    let copy = copy.to_str().expect("a path");
    in_file(file, async |connection| sqlx::query("vacuum into $1").bind(copy).execute(connection).await.map(drop));
}

fn in_file<T>(file: &Path, look: impl AsyncFnOnce(&mut SqliteConnection) -> Result<T, sqlx::Error>) -> T {
    let runtime = Runtime::new().expect("a runtime");
    let looked = runtime.block_on(async {
        let mut connection = SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(file)).await?;
        look(&mut connection).await
    });
    looked.expect("the file can be read")
}
