//! What is found at the start, and what becomes of positions when the server has crashed or is another one.

use std::time::Duration;

use super::{
    super::{PostgresOptions, PostgresStore},
    PostgresServer, fresh, open,
};
use crate::{
    error::{ErrorKind, Result},
    store::{
        EventLog, SubscriptionStore,
        record::{Checkpoint, Position},
        tests::{LONG, all, claim, claimed, commit, event, ids, versioned, wanted},
    },
};

fn options(schema: &str) -> PostgresOptions {
    PostgresOptions::new().schema(schema)
}

fn new_schema() -> String {
    format!("start_{}", uuid::Uuid::now_v7().simple())
}

async fn run(store: &PostgresStore, statement: &str) {
    sqlx::raw_sql(store.sql(statement)).execute(store.pool()).await.expect(statement);
}

#[tokio::test]
async fn several_processes_may_start_at_once() -> Result<()> {
    let schema = new_schema();
    let start = || open(options(&schema));
    let (a, b, c) = tokio::join!(start(), start(), start());
    commit(&a?, &[event("a")]).await?;
    assert_eq!((all(&b?).await?.len(), all(&c?).await?.len()), (1, 1));
    Ok(())
}

#[tokio::test]
async fn one_that_has_waited_for_anothers_tables_finds_them() -> Result<()> {
    // Locks count within a database: nobody else waits in this one.
    let name = new_schema();
    run(&fresh().await?, &format!("CREATE DATABASE {name}")).await;
    let url = PostgresServer::shared().url(&name);
    let connect = || PostgresStore::connect_with(&url, PostgresOptions::new().migrate(false));
    let (first, second) = (connect().await?, connect().await?);
    let mut tables = first.pool().begin().await.expect("a transaction");
    first.lock(&mut tables).await?;
    let waits = tokio::spawn(async move { second.migrate().await });
    let waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'";
    while sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut *tables).await.expect("an answer") == 0 {
        assert!(!waits.is_finished(), "it did not wait");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    for script in PostgresStore::migration_sql() {
        sqlx::raw_sql(*script).execute(&mut *tables).await.expect("tables");
    }
    tables.commit().await.expect("a commit");
    waits.await.expect("it does not panic")
}

#[tokio::test]
async fn tables_are_made_only_when_wanted() -> Result<()> {
    let schema = new_schema();
    let store = open(options(&schema).migrate(false)).await?;
    assert_eq!((store.schema().found, store.schema().needed), (0, 1));
    let error = store.head().await.expect_err("there are no tables");
    assert_eq!(error.kind(), ErrorKind::Schema);
    assert!(error.to_string().contains("migrate()"), "{error}");
    store.migrate().await?;
    assert_eq!(store.schema().found, 1);
    commit(&store, &[event("a")]).await
}

#[tokio::test]
async fn newer_tables_and_cached_sequences_are_refused() -> Result<()> {
    let schema = new_schema();
    let store = open(options(&schema)).await?;
    run(&store, "ALTER TABLE @.event_log ALTER COLUMN position SET CACHE 20").await;
    let error = open(options(&schema)).await.expect_err("a cached sequence");
    assert_eq!(error.kind(), ErrorKind::Schema);
    assert!(error.to_string().contains("SET CACHE 1"), "{error}");
    run(&store, "ALTER TABLE @.event_log ALTER COLUMN position SET CACHE 1").await;
    open(options(&schema)).await?;

    run(&store, "UPDATE @.event_meta SET value = 2 WHERE key = 'schema_version'").await;
    let error = open(options(&schema)).await.expect_err("newer tables");
    assert_eq!(error.kind(), ErrorKind::Schema);
    assert!(error.to_string().contains("version 2"), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_table_of_the_same_name_is_left_alone() -> Result<()> {
    let schema = new_schema();
    let store = open(options(&schema).migrate(false)).await?;
    run(&store, &format!("CREATE SCHEMA {schema}; CREATE TABLE @.event_node (mine text)")).await;
    let error = store.migrate().await.expect_err("the name is taken");
    assert_eq!(error.kind(), ErrorKind::Schema);
    run(&store, "INSERT INTO @.event_node (mine) VALUES ('still here')").await;
    Ok(())
}

#[tokio::test]
async fn no_error_shows_the_password() {
    let port = PostgresServer::shared().port();
    for url in [
        format!("postgres://postgres:hunter2@127.0.0.1:{port}/no_such_database"),
        "postgres://postgres:hunter2@127.0.0.1:1/postgres".to_owned(),
        "mysql://postgres:hunter2@127.0.0.1/postgres".to_owned(),
        "postgres://postgres:hunter2@127.0.0.1:port/postgres".to_owned(),
    ] {
        let error = PostgresStore::connect(&url).await.expect_err("it can't be used");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
    let url = format!("postgres://postgres:hunter2@127.0.0.1:{port}/postgres");
    let store = PostgresStore::connect_with(&url, options(&new_schema())).await.expect("a store");
    assert!(!format!("{store:?}").contains("hunter2"));
}

/// After a crash, ids that were given out shortly before are given out again: what a process has in memory must not
/// become a position.
#[tokio::test]
async fn after_a_crash_nothing_read_before_is_written_down() -> Result<()> {
    let store = fresh().await?;
    commit(&store, &[event("a")]).await?;
    let lease = claimed(&store, "a.a").await?;
    let page = store.read(&Position::BEGINNING, 10).await?;
    // What a crash does to an unlogged table.
    run(&store, "TRUNCATE @.event_server_run").await;
    let mut step = Checkpoint::new(lease);
    step.position = Some(page.end.clone());
    assert_eq!(store.checkpoint(std::slice::from_ref(&step)).await?, [false], "nobody has looked yet");
    assert!(claim(&store, "b", "a.a", LONG).await?.is_none(), "nothing is claimed either");
    assert_eq!(store.read(&page.end, 10).await.expect_err("read before").kind(), ErrorKind::Unavailable);
    assert_eq!(store.checkpoint(std::slice::from_ref(&step)).await?, [false], "all leases have ended");
    let next = claim(&store, "b", "a.a", LONG).await?.expect("free");
    assert_eq!((next.position, next.crashes), (Position::BEGINNING, 0));
    assert!(next.lease.fence > step.lease.fence);
    Ok(())
}

/// What is found after a dump and restore: the same rows, another cluster. A transaction that was open when a position
/// was taken, and committed since, has its event delivered.
#[tokio::test]
async fn on_another_cluster_delivery_goes_on() -> Result<()> {
    let store = fresh().await?;
    let (first, late, third) = (event("a"), event("b"), event("c"));
    commit(&store, std::slice::from_ref(&first)).await?;
    let mut open_one = store.begin().await?;
    store.append(&mut open_one, std::slice::from_ref(&late)).await?;
    commit(&store, std::slice::from_ref(&third)).await?;
    let lease = claimed(&store, "a.a").await?;
    let mut step = Checkpoint::new(lease);
    step.position = Some(store.read(&Position::BEGINNING, 10).await?.end);
    assert_eq!(store.checkpoint(std::slice::from_ref(&step)).await?, [true]);
    store.commit(open_one).await?;
    store.ensure(&wanted("a.new", 1)).await?;

    run(&store, "UPDATE @.event_meta SET value = value + 1 WHERE key = 'cluster'").await;
    let fresh_one = event("a");
    assert_eq!(store.read(&Position::BEGINNING, 10).await.expect_err("moved").kind(), ErrorKind::Unavailable);
    commit(&store, std::slice::from_ref(&fresh_one)).await?;
    assert_eq!(store.checkpoint(std::slice::from_ref(&step)).await?, [false], "all leases have ended");
    let from = claim(&store, "b", "a.a", LONG).await?.expect("free").position;
    assert_eq!((from.after, &from.window), (1, &None), "before the first event that was not done");
    let page = store.read(&from, 10).await?;
    assert_eq!(ids(&page.events), ids([&late, &third, &fresh_one]));
    let mut lags: Vec<_> = store.subscriptions().await?.iter().map(|state| state.lag).collect();
    assert_eq!((lags.remove(0), lags.remove(0)), (3, 4));
    commit(&store, &[versioned("v", 1)]).await?;
    let rest = store.read(&page.end, 10).await?;
    assert_eq!(rest.events.len(), 1);
    assert!(rest.end.after >= 5, "positions go on");
    assert_eq!(store.read(&page.resume[0], 10).await?.events.len(), 2, "the rest of that window");
    Ok(())
}

#[tokio::test]
async fn the_view_says_what_is_processed() -> Result<()> {
    let store = fresh().await?;
    commit(&store, &[event("a"), event("a")]).await?;
    let processed = async || -> i64 {
        let count = "SELECT count(*) FROM @.event_store WHERE processed AND event_type = 'CardAdded' AND version = 1";
        sqlx::query_scalar(store.sql(count)).fetch_one(store.pool()).await.expect("the view")
    };
    assert_eq!(processed().await, 0, "nobody is there to process them");
    let mut step = Checkpoint::new(claimed(&store, "a.a").await?);
    let page = store.read(&Position::BEGINNING, 10).await?;
    for (place, expected) in [(store.read(&Position::BEGINNING, 1).await?.end, 1), (page.end, 2)] {
        step.position = Some(place);
        assert_eq!(store.checkpoint(std::slice::from_ref(&step)).await?, [true]);
        assert_eq!(processed().await, expected);
    }
    Ok(())
}

#[tokio::test]
async fn a_server_that_is_away_is_unavailable() {
    let begun = std::time::Instant::now();
    let error = PostgresStore::connect("postgres://postgres@127.0.0.1:1/postgres").await.expect_err("nobody is there");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(begun.elapsed() < Duration::from_secs(5), "it is known at once");
}
