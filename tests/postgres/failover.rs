//! A standby: not to be written to, and then the one that takes over.

use std::sync::Arc;

use domain_events::{
    ErrorKind, PostgresStore,
    testkit::conformance::{PostgresHarness, PostgresServer},
};
use sqlx::{Connection, PgConnection};

use crate::{
    kit::{survives, written},
    trouble::until,
};

/// A standby that confirms each commit of its primary before that counts.
async fn standby(primary: &PostgresServer) -> PostgresServer {
    let standby = tokio::task::block_in_place(|| primary.standby());
    let mut connection = PgConnection::connect(&primary.url("postgres")).await.unwrap();
    for statement in ["alter system set synchronous_standby_names = '*'", "select pg_reload_conf()"] {
        sqlx::raw_sql(statement).execute(&mut connection).await.unwrap();
    }
    let connection = tokio::sync::Mutex::new(connection);
    until("the standby confirms commits", async || {
        let count = "select count(*) from pg_stat_replication where sync_state = 'sync' and state = 'streaming'";
        let count = sqlx::query_scalar::<_, i64>(count).fetch_one(&mut *connection.lock().await).await;
        count.unwrap() == 1
    })
    .await;
    standby
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_that_takes_over_has_lost_nothing() {
    let primary = Arc::new(PostgresServer::private());
    let harness = PostgresHarness::private(Arc::clone(&primary)).await;
    let standby = standby(&primary).await;

    let database = harness.url().rsplit('/').next().unwrap();
    let error = PostgresStore::connect(&standby.url(database)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
    assert!(error.to_string().contains("is a standby and can't be written to"), "{error}");

    let mut successor = None;
    survives(&harness, async || {
        until("there is something to lose", async || written(&harness).await >= 100).await;
        successor = tokio::task::block_in_place(|| {
            primary.kill();
            Some(standby.take_over(&primary))
        });
        let before = written(&harness).await;
        until("it is written to", async || written(&harness).await >= before + 100).await;
    })
    .await;
    drop(successor);
}
