//! The file: how it is opened, what is in it, and what is said when that can't be done.

use std::fs;

use super::*;
use crate::{
    ErrorKind,
    store::{
        EventLog, SubscriptionStore,
        record::{Checkpoint, ParkedState, Position},
        sqlite::Durability,
        tests::{at, claimed, commit, event, letter, parked, versioned},
    },
};

async fn pragma(connection: &mut SqliteConnection, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(connection).await.expect(sql)
}

#[tokio::test]
async fn a_new_file_gets_its_tables_and_settings() -> Result<()> {
    let folder = Folder::new();
    let store = SqliteStore::open(folder.file()).await?;
    assert_eq!((store.schema().found, store.schema().needed), (1, 1));
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(store.pool()).await.expect("a mode");
    assert_eq!(mode, "wal");
    let tables: Vec<String> = sqlx::query_scalar("SELECT name FROM sqlite_schema WHERE type = 'table'")
        .fetch_all(store.pool())
        .await
        .expect("the tables");
    assert!(tables.iter().all(|table| table.starts_with("event_") || table.starts_with("sqlite_")), "{tables:?}");
    commit(&store, &[event("a")]).await?;
    drop(store);
    let store = SqliteStore::open(folder.file()).await?;
    assert_eq!(store.read(&Position::BEGINNING, 10).await?.events.len(), 1);
    Ok(())
}

#[tokio::test]
async fn commits_wait_for_the_disk_and_positions_do_not() -> Result<()> {
    const FULL: i64 = 2;
    const NORMAL: i64 = 1;
    let folder = Folder::new();
    let store = SqliteStore::open(folder.file()).await?;
    for _ in 0..2 {
        let mut transaction = store.begin().await?;
        assert_eq!(pragma(&mut transaction, "PRAGMA synchronous").await, FULL);
        assert_eq!(pragma(&mut transaction, "PRAGMA foreign_keys").await, 1);
        store.rollback(transaction).await?;
        let mut transaction = store.write(Durability::Process).await?;
        assert_eq!(pragma(&mut transaction, "PRAGMA synchronous").await, NORMAL);
        drop(transaction);
    }
    let mut connection = store.pool().acquire().await.expect("a connection");
    assert_eq!(pragma(&mut connection, "PRAGMA synchronous").await, FULL);
    Ok(())
}

#[tokio::test]
async fn newer_tables_are_refused() -> Result<()> {
    let folder = Folder::new();
    drop(SqliteStore::open(folder.file()).await?);
    run(&mut foreign(&folder.file()).await, "UPDATE event_meta SET value = 99 WHERE key = 'schema_version'").await;
    for options in [SqliteOptions::new(), SqliteOptions::new().migrate(false)] {
        let error = SqliteStore::open_with(folder.file(), options).await.expect_err("newer");
        assert_eq!(error.kind(), ErrorKind::Schema);
        let message = error.to_string();
        assert!(["version 99", "version 1", "library.db"].iter().all(|part| message.contains(part)), "{message}");
    }
    Ok(())
}

#[tokio::test]
async fn missing_tables_are_reported_until_they_are_made() -> Result<()> {
    let folder = Folder::new();
    let manual = SqliteOptions::new().migrate(false);
    let missing = SqliteStore::open_with(folder.file(), manual.clone()).await.expect_err("no file");
    assert_eq!(missing.kind(), ErrorKind::Configuration);

    fs::write(folder.file(), b"").expect("an empty file is an empty database");
    let store = SqliteStore::open_with(folder.file(), manual).await?;
    assert_eq!((store.schema().found, store.schema().needed), (0, 1));
    let error = store.read(&Position::BEGINNING, 1).await.expect_err("no tables");
    assert_eq!(error.kind(), ErrorKind::Schema);
    assert!(error.to_string().contains("migrate()"), "{error}");
    store.migrate().await?;
    store.migrate().await?;
    assert_eq!(store.schema().found, 1);
    commit(&store, &[event("a")]).await
}

#[tokio::test]
async fn a_table_of_the_application_is_never_taken() -> Result<()> {
    let folder = Folder::new();
    fs::write(folder.file(), b"").expect("an empty file is an empty database");
    run(&mut foreign(&folder.file()).await, "CREATE TABLE event_retry (mine)").await;
    let error = SqliteStore::open(folder.file()).await.expect_err("the name is taken");
    assert_eq!(error.kind(), ErrorKind::Schema);
    let tables = pragma(&mut foreign(&folder.file()).await, "SELECT count(*) FROM sqlite_schema").await;
    assert_eq!(tables, 1, "nothing half-made is left");
    Ok(())
}

#[tokio::test]
async fn what_can_not_be_opened_is_named() {
    let folder = Folder::new();
    let missing = folder.0.join("nowhere").join("library.db");
    let junk = folder.file();
    fs::write(&junk, [b'x'; 4096]).expect("a file");
    for (path, kind) in [(&missing, ErrorKind::Configuration), (&junk, ErrorKind::Corrupt)] {
        let error = SqliteStore::open(path).await.expect_err("not a database");
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(&*path.to_string_lossy()), "{error}");
    }
}

#[tokio::test]
async fn a_read_only_file_can_be_read() -> Result<()> {
    let folder = Folder::new();
    let writer = SqliteStore::open(folder.file()).await?;
    commit(&writer, &[event("a")]).await?;
    let store = SqliteStore::connect(&format!("sqlite://{}?mode=ro", folder.file().display())).await?;
    assert_eq!(store.read(&Position::BEGINNING, 10).await?.events.len(), 1);
    let error = commit(&store, &[event("a")]).await.expect_err("read-only");
    assert!(error.to_string().contains("read-only"), "{error}");
    assert!(!error.is_temporary());
    Ok(())
}

#[tokio::test]
async fn a_full_disk_is_an_error_and_no_more() -> Result<()> {
    let folder = Folder::new();
    let store = SqliteStore::open(folder.file()).await?;
    let mut large = event("a");
    large.payload = vec![b'1'; 4 * 1024 * 1024];
    for _ in 0..2 {
        let mut transaction = store.begin().await?;
        run(&mut transaction, "PRAGMA max_page_count = 100").await;
        let error = store.append(&mut transaction, std::slice::from_ref(&large)).await.expect_err("full");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().contains("disk is full"), "{error}");
        drop(transaction);
    }
    commit(&store, &[event("a")]).await
}

#[tokio::test]
async fn a_transaction_that_sqlite_ended_itself_holds_up_no_other() -> Result<()> {
    let folder = Folder::new();
    let store = SqliteStore::open(folder.file()).await?;
    for commits in [false, true] {
        let mut transaction = store.begin().await?;
        store.append(&mut transaction, &[event("a")]).await?;
        run(&mut transaction, "ROLLBACK").await;
        if commits {
            store.commit(transaction).await.expect_err("there is nothing to commit");
        }
    }
    commit(&store, &[event("b")]).await?;
    assert_eq!(store.read(&Position::BEGINNING, 10).await?.events.len(), 1);
    Ok(())
}

#[test]
fn processes_that_open_a_new_file_at_once_all_succeed() {
    for _ in 0..5 {
        let folder = Folder::new();
        let opened = at_once((0..6).map(|_| async {
            let store = SqliteStore::open(folder.file()).await?;
            commit(&store, &[event("a")]).await?;
            Ok(store.schema())
        }));
        assert!(opened.iter().all(|opened| opened.as_ref().is_ok_and(|schema| schema.found == 1)), "{opened:?}");
    }
}

#[tokio::test]
async fn a_url_names_the_file() -> Result<()> {
    let folder = Folder::new();
    let store = SqliteStore::connect(&format!("sqlite://{}", folder.file().display())).await?;
    commit(&store, &[event("a")]).await?;
    assert!(folder.file().exists());
    for memory in [SqliteStore::connect("sqlite::memory:").await?, SqliteStore::open(":memory:").await?] {
        commit(&memory, &[event("a")]).await?;
        assert_eq!(memory.read(&Position::BEGINNING, 10).await?.events.len(), 1);
    }
    assert_eq!(SqliteStore::open("").await.expect_err("no path").kind(), ErrorKind::Configuration);
    for url in ["postgres://localhost/library", "sqlite://", "library.db", "sqlite://x.db?mode=odd"] {
        let error = SqliteStore::connect(url).await.expect_err(url);
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(error.to_string().contains(url), "{error}");
    }
    Ok(())
}

#[tokio::test]
async fn a_store_in_memory_leaves_nothing() -> Result<()> {
    let store = SqliteStore::in_memory().await?;
    let path = store.shared.path.clone();
    assert!(path.exists() && !store.capabilities().durable);
    let clone = store.clone();
    drop(store);
    commit(&clone, &[event("a")]).await?;
    assert!(path.exists());
    drop(clone);
    assert!(!path.exists());
    Ok(())
}

#[tokio::test]
async fn the_view_shows_what_is_processed() -> Result<()> {
    let store = SqliteStore::in_memory().await?;
    let events = [versioned("a", 1), event("b"), event("c"), event("d")];
    commit(&store, &events).await?;
    let processed = async || -> Vec<i64> {
        let rows = sqlx::query_scalar("SELECT processed FROM event_store ORDER BY created_at, id");
        rows.fetch_all(store.pool()).await.expect("the view")
    };
    assert_eq!(processed().await, [0, 0, 0, 0], "nobody has handled anything");
    let (first, second) = (claimed(&store, "a.a").await?, claimed(&store, "a.b").await?);
    let mut step = Checkpoint::new(first);
    step.position = Some(at(4));
    let mut other = Checkpoint::new(second);
    other.position = Some(at(3));
    other.parked = vec![parked(&events[1], 2, ParkedState::Retrying)];
    other.dead = vec![letter("a.b", &events[2], 3, "")];
    store.checkpoint(&[step, other]).await?;
    assert_eq!(processed().await, [1, 0, 0, 0]);
    let row: (String, String, String, String, i64) =
        sqlx::query_as("SELECT id, aggregate_id, event_type, event_data, version FROM event_store LIMIT 1")
            .fetch_one(store.pool())
            .await
            .expect("the view");
    let expected = (events[0].meta.id.to_string(), "a".into(), "CardAdded".into(), r#"{"card":1}"#.into(), 1);
    assert_eq!(row, expected);
    Ok(())
}
