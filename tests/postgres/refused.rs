//! A server that answers and refuses: read-only, out of disk, out of patience.

use std::sync::Arc;

use domain_events::{
    DomainEvents, handler,
    prelude::*,
    testkit::conformance::{Parcel, ParcelMovedEvent, PostgresHarness, PostgresServer, StoreHarness},
};
use sqlx::{Connection, PgConnection};

use crate::trouble::{Trouble, until};

#[event_handler(ParcelMovedEvent, group = "trouble", max_attempts = 1000, backoff = "10ms..200ms")]
async fn ledger(event: &ParcelMovedEvent, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let effect = format!("ledger {} {}", event.parcel_id, event.step);
    sqlx::query("insert into effects (effect) values ($1)").bind(effect).execute(connection).await?;
    Ok(())
}

async fn trouble<'a>(harness: &'a PostgresHarness, says: &'static str) -> Trouble<'a, PostgresHarness> {
    Trouble { harness, store: harness.open().await, ledger: handler!(ledger), filler: 1, text: 1, says }
}

async fn private() -> (Arc<PostgresServer>, PostgresHarness) {
    let server = Arc::new(PostgresServer::private());
    let harness = PostgresHarness::private(Arc::clone(&server)).await;
    (server, harness)
}

/// Changes a setting of the whole server, for sessions that are open too.
async fn set(server: &PostgresServer, setting: &str) {
    let mut connection = PgConnection::connect(&server.url("postgres")).await.unwrap();
    for statement in [&format!("alter system set {setting}"), "select pg_reload_conf()"] {
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_read_only_for_a_while() {
    let (server, harness) = private().await;
    let trouble = trouble(&harness, "it is read-only").await;
    trouble
        .outlast(
            async || set(&server, "default_transaction_read_only = on").await,
            async || {
                // Not by `set`, which would need to write: a session may say for itself that it writes.
                let mut connection = PgConnection::connect(&server.url("postgres")).await.unwrap();
                for statement in
                    ["set default_transaction_read_only = off", "alter system reset all", "select pg_reload_conf()"]
                {
                    sqlx::raw_sql(statement).execute(&mut connection).await.unwrap();
                }
            },
        )
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_is_full_for_a_while() {
    let (server, harness) = private().await;
    // Kept in the log's own rows, so that it takes many events, and so many marks of what is handled, to fill the disk.
    // Then one event that is larger than any file may be.
    let trouble = Trouble { filler: 1_500, text: 2_000_000, ..trouble(&harness, "its disk is full").await };
    let fill = "insert into event_inbox (handler, event_id, position, done)
                select 'another.handler', gen_random_uuid(), 0, true from generate_series(1, 16000)";
    trouble
        .outlast(
            async || {
                // The marks need as much as the limit must be at least, and then have no room for many more.
                let mut connection = PgConnection::connect(harness.url()).await.unwrap();
                sqlx::raw_sql(fill).execute(&mut connection).await.unwrap();
                let size = sqlx::query_scalar::<_, i64>("select pg_relation_size('event_inbox')");
                let size = u64::try_from(size.fetch_one(&mut connection).await.unwrap()).unwrap();
                assert!(size > 1 << 20, "{size} bytes are not enough");
                server.limit_files(Some(size));
            },
            async || server.limit_files(None),
        )
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_that_are_locked_for_longer_than_a_statement_may_take() {
    let (server, harness) = private().await;
    set(&server, "statement_timeout = 300").await;
    let trouble = trouble(&harness, "a time limit was reached").await;
    let mut holder = PgConnection::connect(harness.url()).await.unwrap();
    sqlx::raw_sql("set statement_timeout = 0").execute(&mut holder).await.unwrap();
    let holder = tokio::sync::Mutex::new(holder);
    trouble
        .outlast(
            async || {
                let lock = "begin; lock table event_log, event_subscription in access exclusive mode";
                sqlx::raw_sql(lock).execute(&mut *holder.lock().await).await.unwrap();
            },
            async || {
                sqlx::raw_sql("rollback").execute(&mut *holder.lock().await).await.unwrap();
            },
        )
        .await;
}

#[tokio::test]
async fn a_unit_of_work_that_was_open_for_longer_than_it_may() {
    let harness = PostgresHarness::connect().await;
    let mut connection = PgConnection::connect(harness.url()).await.unwrap();
    let database = harness.url().rsplit('/').next().unwrap();
    let limit = format!("alter database {database} set idle_in_transaction_session_timeout = '200ms'");
    sqlx::raw_sql(sqlx::AssertSqlSafe(limit)).execute(&mut connection).await.unwrap();

    let events = DomainEvents::builder()
        .store(harness.open().await)
        .without_linked()
        .event::<ParcelMovedEvent>()
        .build()
        .unwrap();
    let mut parcel = Parcel::new("p1");
    parcel.step(1);
    let mut work = events.begin().await.unwrap();
    PostgresHarness::write_effect(work.connection(), "too late").await.unwrap();
    work.record(&mut parcel);
    let connection = tokio::sync::Mutex::new(connection);
    until("the server has ended the session", async || {
        let idle = "select count(*) from pg_stat_activity
                     where datname = current_database() and state = 'idle in transaction'";
        sqlx::query_scalar::<_, i64>(idle).fetch_one(&mut *connection.lock().await).await.unwrap() == 0
    })
    .await;
    let error = work.commit().await.unwrap_err();
    assert!(error.is_temporary() && error.to_string().contains("a time limit was reached"), "{error}");
    assert_eq!(parcel.pending_events().len(), 1, "the aggregate keeps its event");
    assert_eq!(harness.effects().await, [""; 0], "nothing was written");

    let mut work = events.begin().await.unwrap();
    work.record(&mut parcel);
    work.commit().await.unwrap();
    assert_eq!(parcel.pending_events().len(), 0);
}
