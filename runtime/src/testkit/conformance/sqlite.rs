//! The SQLite store's side of the suite.

use std::path::PathBuf;

use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};

use super::{
    ParcelMovedEvent, StoreHarness,
    cast::{GROUP, OPTIONS},
    stage::Stage,
    suite::scratch_folder,
};
use crate::{
    __private::{HandledEvent, dependency, inject, output, place, run},
    error::{Error, ErrorKind, Result},
    event::{DomainEvent, EventMeta, Source},
    handler::{Attempt, HandlerDef, HandlerError, Service},
    store::{EventLog, SqliteStore},
};

/// A [`SqliteStore`] for the suite: `conformance_store!(sqlite, connect = SqliteHarness::connect())`.
#[derive(Debug)]
pub struct SqliteHarness {
    folder: PathBuf,
    /// Whether the folder goes with this value: not in a child process, which works on its parent's.
    own: bool,
}

impl SqliteHarness {
    /// An empty database in a new folder for temporary files, removed when the case has passed.
    ///
    /// # Panics
    ///
    /// If the file can't be made.
    pub async fn connect() -> Self {
        let harness = Self { folder: scratch_folder(), own: true };
        let store = harness.open().await;
        let mut transaction = store.begin().await.expect("a transaction begins");
        let connection = SqliteStore::connection(&mut transaction);
        let table = "create table effects (effect text not null)";
        sqlx::query(table).execute(connection).await.expect("the business table can be made");
        store.commit(transaction).await.expect("the business table can be made");
        harness
    }

    fn file(&self) -> PathBuf {
        self.folder.join("events.db")
    }

    async fn connection(&self) -> SqliteConnection {
        let options = SqliteConnectOptions::new().filename(self.file());
        SqliteConnection::connect_with(&options).await.expect("the file can be opened")
    }
}

impl Drop for SqliteHarness {
    fn drop(&mut self) {
        // After a failure it stays, for whoever looks into it.
        if self.own && !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

impl StoreHarness for SqliteHarness {
    type Store = SqliteStore;

    async fn open(&self) -> SqliteStore {
        SqliteStore::open(self.file()).await.expect("the file can be opened")
    }

    fn place(&self) -> String {
        self.folder.to_str().expect("the folder for temporary files has a name in UTF-8").to_owned()
    }

    async fn at(place: &str) -> Self {
        Self { folder: place.into(), own: false }
    }

    async fn write_effect(connection: &mut SqliteConnection, effect: &str) -> Result<()> {
        let inserted = sqlx::query("insert into effects (effect) values (?)").bind(effect).execute(connection).await;
        inserted.map(drop).map_err(|error| Error::new(ErrorKind::Store, error.to_string()))
    }

    async fn effects(&self) -> Vec<String> {
        let effects = sqlx::query_scalar("select effect from effects order by rowid");
        effects.fetch_all(&mut self.connection().await).await.expect("the business table can be read")
    }

    fn ledger() -> Option<&'static HandlerDef> {
        Some(&LEDGER)
    }

    async fn restored(&self) -> Self {
        let copy = Self { folder: scratch_folder(), own: true };
        let target = copy.file();
        // https://www.sqlite.org/lang_vacuum.html#vacuuminto: a consistent copy of a database that is in use.
        let dump = sqlx::query("vacuum into ?").bind(target.to_str().expect("a path in UTF-8"));
        dump.execute(&mut self.connection().await).await.expect("the database can be copied");
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
            dependency::<&mut SqliteConnection>(),
        ],
        call: |call, cx| {
            let event = call.event::<ParcelMovedEvent>();
            let meta = inject::<&EventMeta>(call, 0);
            let attempt = inject::<Attempt>(call, 1);
            let stage = inject::<&Service<Stage>>(call, 2);
            let connection = inject::<&mut SqliteConnection>(call, 3);
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
    connection: &mut SqliteConnection,
) -> Result<(), HandlerError> {
    stage.play("ledger", event, meta, attempt).await?;
    SqliteHarness::write_effect(connection, &format!("ledger {} {}", event.parcel_id, event.step)).await?;
    Ok(())
}
