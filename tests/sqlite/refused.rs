//! A file that takes no more: full, locked, taken away, read-only.

use std::{path::PathBuf, process::Command, time::Duration};

use domain_events::{
    DomainEvents, SqliteStore, handler,
    prelude::*,
    store::sqlite::SqliteOptions,
    testkit::conformance::{Parcel, ParcelMovedEvent, SqliteHarness, StoreHarness},
};
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};

use crate::trouble::Trouble;

#[event_handler(ParcelMovedEvent, group = "trouble", max_attempts = 1000, backoff = "10ms..200ms")]
async fn ledger(event: &ParcelMovedEvent, connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let effect = format!("ledger {} {}", event.parcel_id, event.step);
    sqlx::query("insert into effects (effect) values (?)").bind(effect).execute(connection).await?;
    Ok(())
}

fn file(harness: &SqliteHarness) -> PathBuf {
    PathBuf::from(harness.place()).join("events.db")
}

async fn trouble<'a>(harness: &'a SqliteHarness, says: &'static str) -> Trouble<'a, SqliteHarness> {
    let options = SqliteOptions::new().busy_timeout(Duration::from_millis(200));
    let store = SqliteStore::open_with(file(harness), options).await.unwrap();
    Trouble { harness, store, ledger: handler!(ledger), filler: 1, text: 1, says }
}

/// Beyond so many bytes no file of this process can grow from now on; `None`: without limit.
fn limit_files(bytes: Option<u64>) {
    let limit = bytes.map_or("unlimited:".to_owned(), |bytes| format!("{bytes}:"));
    let (pid, fsize) = (std::process::id().to_string(), format!("--fsize={limit}"));
    let output = Command::new("prlimit").args(["--pid", &pid, &fsize]).output().unwrap();
    assert!(output.status.success(), "prlimit: {}", String::from_utf8_lossy(&output.stderr));
}

/// Set for the process that limits its own files.
const LIMITED: &str = "DOMAIN_EVENTS_LIMITED_FILES";

#[test]
fn a_disk_that_takes_no_more_for_a_while() {
    if std::env::var_os(LIMITED).is_some() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        return runtime.unwrap().block_on(on_a_limited_disk());
    }
    // In a process of its own, since the limit is for all it has open; it is not to be killed for what it tries.
    let test = "refused::a_disk_that_takes_no_more_for_a_while";
    let output = Command::new("/bin/sh")
        .args(["-c", r#"trap '' XFSZ; exec "$@""#, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(LIMITED, "yes")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}: {said}{}", output.status, String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("1 passed"), "no test of this name was run: {said}");
}

async fn on_a_limited_disk() {
    let harness = SqliteHarness::connect().await;
    // Larger than the limit.
    let trouble = Trouble { text: 500_000, ..trouble(&harness, "the disk").await };
    // Not a whole number of pages: the last one is written in part.
    trouble.outlast(async || limit_files(Some(100_000)), async || limit_files(None)).await;
}

#[tokio::test]
async fn a_full_disk_is_named_at_the_commit_and_nothing_is_left_of_it() {
    let harness = SqliteHarness::connect().await;
    let events = DomainEvents::builder()
        .store(harness.open().await)
        .without_linked()
        .event::<ParcelMovedEvent>()
        .build()
        .unwrap();
    let mut parcel = Parcel::new("p1");
    parcel.note(1, &"x".repeat(500_000));
    let mut work = events.begin().await.unwrap();
    SqliteHarness::write_effect(work.connection(), "business").await.unwrap();
    // No more than there are, in this connection.
    sqlx::raw_sql("pragma max_page_count = 1").execute(work.connection()).await.unwrap();
    work.record(&mut parcel);
    let error = work.commit().await.unwrap_err();
    assert!(error.is_temporary() && error.to_string().contains("the disk is full; free some space"), "{error}");
    assert_eq!(parcel.pending_events().len(), 1, "the aggregate keeps its event");
    assert_eq!(harness.effects().await, [""; 0], "nothing was written");
    // SQLite has rolled back by itself; the next unit of work must not notice.
    let mut work = events.begin().await.unwrap();
    SqliteHarness::write_effect(work.connection(), "business").await.unwrap();
    work.record(&mut parcel);
    work.commit().await.unwrap();
    assert_eq!((parcel.pending_events().len(), harness.effects().await), (0, vec!["business".to_owned()]));
}

#[tokio::test]
async fn a_file_that_is_read_only_says_so_at_the_commit() {
    let harness = SqliteHarness::connect().await;
    let url = format!("sqlite://{}?mode=ro", file(&harness).display());
    let store = SqliteStore::connect(&url).await.unwrap();
    let events = DomainEvents::builder().store(store).without_linked().event::<ParcelMovedEvent>().build().unwrap();
    let mut parcel = Parcel::new("p1");
    parcel.step(1);
    let saved = async {
        let mut work = events.begin().await?;
        work.record(&mut parcel);
        work.commit().await
    };
    let error = saved.await.unwrap_err();
    assert!(error.to_string().contains("it is read-only; give this process the right to write"), "{error}");
    assert_eq!(parcel.pending_events().len(), 1, "the aggregate keeps its event");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_another_process_writes_to_for_too_long() {
    let harness = SqliteHarness::connect().await;
    let trouble = trouble(&harness, "another transaction has held the write lock").await;
    let options = SqliteConnectOptions::new().filename(file(&harness));
    let other = tokio::sync::Mutex::new(SqliteConnection::connect_with(&options).await.unwrap());
    trouble
        .outlast(
            async || {
                sqlx::raw_sql("begin immediate").execute(&mut *other.lock().await).await.unwrap();
            },
            async || {
                sqlx::raw_sql("rollback").execute(&mut *other.lock().await).await.unwrap();
            },
        )
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_taken_away_and_put_back() {
    let harness = SqliteHarness::connect().await;
    let trouble = trouble(&harness, "it is gone, or another file has taken its place").await;
    let (there, away) = (file(&harness), file(&harness).with_file_name("away.db"));
    let pool = trouble.store.pool().clone();
    trouble
        .outlast(
            async || {
                std::fs::rename(&there, &away).unwrap();
                // A connection that is opened now must not make an empty file of that name.
                pool.acquire().await.unwrap_err();
            },
            async || {
                assert!(!there.exists(), "somebody has made another file");
                std::fs::rename(&away, &there).unwrap();
            },
        )
        .await;
}
