//! The PostgreSQL store's side of the suite.

mod pgbouncer;
mod server;

use std::sync::Arc;

use sqlx::{Connection, PgConnection};

use super::{
    ParcelMovedEvent, StoreHarness,
    cast::{GROUP, OPTIONS},
    stage::Stage,
};
use crate::{
    __private::{HandledEvent, dependency, inject, output, place, run},
    error::{Error, ErrorKind, Result},
    event::{DomainEvent, EventMeta, Source},
    handler::{Attempt, HandlerDef, HandlerError, Service},
    store::{PostgresStore, postgres::PostgresOptions},
    testkit::server::process,
};
pub use pgbouncer::PgBouncer;
pub use server::PostgresServer;

/// A [`PostgresStore`] for the suite: `conformance_store!(postgres, connect = PostgresHarness::connect())`.
///
/// Each case has a database of its own, on a server that the tests start for themselves. PostgreSQL must be installed;
/// it need not run.
#[derive(Debug)]
pub struct PostgresHarness {
    url: String,
    /// The same database through a proxy that pools by transaction: then the store has no other way to it.
    pooled_url: Option<String>,
    /// The log has partitions of so many events.
    partition_events: Option<u32>,
    /// The database goes with this value: not in a child process, which works on its parent's.
    own: Option<Database>,
}

#[derive(Debug)]
struct Database {
    name: String,
    /// A server of its own; else the one that all share.
    server: Option<Arc<PostgresServer>>,
    /// A proxy of its own; else the one that all share.
    proxy: Option<PgBouncer>,
}

impl Database {
    fn server(&self) -> &PostgresServer {
        self.server.as_deref().unwrap_or_else(|| PostgresServer::shared())
    }
}

impl PostgresHarness {
    /// An empty database on the server that the tests of this process share.
    ///
    /// # Panics
    ///
    /// If PostgreSQL is not installed, or the database can't be made.
    pub async fn connect() -> Self {
        Self::empty(None).with_effects().await
    }

    /// An empty database on that server, whose log will have partitions of so many events.
    ///
    /// # Panics
    ///
    /// As [`connect`](Self::connect).
    pub async fn partitioned(events: u32) -> Self {
        let mut empty = Self::empty(None);
        empty.partition_events = Some(events);
        empty.with_effects().await
    }

    /// An empty database on that server, which the store reaches through a PgBouncer in transaction mode.
    ///
    /// # Panics
    ///
    /// As [`connect`](Self::connect), and if PgBouncer is not installed.
    pub async fn pooled() -> Self {
        Self::empty(None).behind(None).with_effects().await
    }

    /// An empty database on a server of its own, for a test that does something to it.
    ///
    /// # Panics
    ///
    /// As [`connect`](Self::connect).
    pub async fn private(server: Arc<PostgresServer>) -> Self {
        Self::empty(Some(server)).with_effects().await
    }

    /// The same, reached through a proxy of its own.
    ///
    /// # Panics
    ///
    /// As [`connect`](Self::connect).
    pub async fn private_pooled(server: Arc<PostgresServer>, proxy: PgBouncer) -> Self {
        Self::empty(Some(server)).behind(Some(proxy)).with_effects().await
    }

    fn empty(server: Option<Arc<PostgresServer>>) -> Self {
        let database = Database { name: format!("case_{}", uuid::Uuid::now_v7().simple()), server, proxy: None };
        database.server().client("createdb", &[&database.name]);
        let url = database.server().url(&database.name);
        Self { url, pooled_url: None, partition_events: None, own: Some(database) }
    }

    fn behind(mut self, proxy: Option<PgBouncer>) -> Self {
        if let Some(database) = &mut self.own {
            self.pooled_url = Some(proxy.as_ref().unwrap_or_else(|| PgBouncer::shared()).url(&database.name));
            database.proxy = proxy;
        }
        self
    }

    async fn with_effects(self) -> Self {
        let table = "create table effects (place bigserial primary key, effect text not null)";
        sqlx::query(table).execute(&mut self.connection().await).await.expect("the business table can be made");
        self
    }

    /// The URL of the database, on the server itself.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The URL of the database through the proxy, if there is one.
    #[must_use]
    pub fn pooled_url(&self) -> Option<&str> {
        self.pooled_url.as_deref()
    }

    async fn connection(&self) -> PgConnection {
        PgConnection::connect(&self.url).await.expect("the server answers")
    }
}

impl Drop for PostgresHarness {
    fn drop(&mut self) {
        if let Some(database) = &self.own
            && database.server.is_none()
            && !std::thread::panicking()
        {
            database.server().client("dropdb", &["--force", &database.name]);
        }
    }
}

impl StoreHarness for PostgresHarness {
    type Store = PostgresStore;

    async fn open(&self) -> PostgresStore {
        let mut options = PostgresOptions::new();
        if self.pooled_url.is_some() {
            options = options.transaction_pooling();
        }
        if let Some(events) = self.partition_events {
            options = options.partition_events(events);
        }
        let url = self.pooled_url.as_ref().unwrap_or(&self.url);
        PostgresStore::connect_with(url, options).await.expect("the database can be opened")
    }

    fn place(&self) -> String {
        format!("{} {}", self.url, self.pooled_url.as_deref().unwrap_or_default())
    }

    async fn at(place: &str) -> Self {
        let (url, pooled) = place.split_once(' ').expect("a place of this harness");
        let pooled_url = (!pooled.is_empty()).then(|| pooled.to_owned());
        // The parent has made the log.
        Self { url: url.to_owned(), pooled_url, partition_events: None, own: None }
    }

    async fn write_effect(connection: &mut PgConnection, effect: &str) -> Result<()> {
        // Behind a proxy, a prepared statement would stay where the next transaction does not find it.
        let insert = sqlx::query("insert into effects (effect) values ($1)").persistent(false);
        let inserted = insert.bind(effect).execute(connection).await;
        inserted.map(drop).map_err(|error| Error::new(ErrorKind::Store, error.to_string()))
    }

    async fn effects(&self) -> Vec<String> {
        let effects = sqlx::query_scalar("select effect from effects order by place");
        effects.fetch_all(&mut self.connection().await).await.expect("the business table can be read")
    }

    fn ledger() -> Option<&'static HandlerDef> {
        Some(&LEDGER)
    }

    async fn restored(&self) -> Self {
        // Another cluster, whose transaction ids have nothing to do with those of the first.
        let mut copy = Self::empty(Some(Arc::new(PostgresServer::private())));
        let dump = std::env::temp_dir().join(format!("domain-events-{}.sql", uuid::Uuid::now_v7()));
        let file = dump.to_str().expect("a path in UTF-8");
        let (from, to) = (self.own.as_ref().expect("the parent's"), copy.own.as_ref().expect("its own"));
        from.server().client("pg_dump", &["--file", file, &from.name]);
        to.server().client("psql", &["--quiet", "--set", "ON_ERROR_STOP=1", "--file", file, &to.name]);
        std::fs::remove_file(dump).expect("the dump can be removed");
        if self.pooled_url.is_some() {
            let proxy = copy.own.as_ref().map(|database| PgBouncer::before(database.server(), &[]));
            copy = copy.behind(proxy);
        }
        copy
    }
}

/// Writes its effect with the transaction it is given.
static LEDGER: HandlerDef = HandlerDef {
    name: "ledger",
    group: Some(GROUP),
    aliases: &[],
    source: Source { module: module_path!(), file: file!(), line: line!() },
    events: &[HandledEvent {
        event: ParcelMovedEvent::DEF,
        dependencies: &[
            dependency::<&EventMeta>(),
            dependency::<Attempt>(),
            dependency::<Service<Stage>>(),
            dependency::<&mut PgConnection>(),
        ],
        call: |call, cx| {
            let event = call.event::<ParcelMovedEvent>();
            let meta = inject::<&EventMeta>(call, 0);
            let attempt = inject::<Attempt>(call, 1);
            let stage = inject::<&Service<Stage>>(call, 2);
            let connection = inject::<&mut PgConnection>(call, 3);
            run(place(), ledger(event, meta, attempt, stage, connection), output(), cx)
        },
    }],
    instance: None,
    options: OPTIONS,
};

async fn ledger(
    event: &ParcelMovedEvent,
    meta: &EventMeta,
    attempt: Attempt,
    stage: &Stage,
    connection: &mut PgConnection,
) -> Result<(), HandlerError> {
    stage.play("ledger", event, meta, attempt).await?;
    PostgresHarness::write_effect(connection, &format!("ledger {} {}", event.parcel_id, event.step)).await?;
    Ok(())
}
