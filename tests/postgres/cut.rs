//! The server goes away under load, and comes back.

use std::{sync::Arc, time::Duration};

use domain_events::testkit::conformance::{PgBouncer, PostgresHarness, PostgresServer};
use sqlx::{Connection, PgConnection};

use crate::kit::survives;

/// Cuts all connections of a database, again and again.
async fn cut(server: &PostgresServer, harness: &PostgresHarness) {
    let mut axe = PgConnection::connect(&server.url("postgres")).await.unwrap();
    let database = harness.url().rsplit('/').next().unwrap().to_owned();
    for _ in 0..8 {
        tokio::time::sleep(Duration::from_millis(250)).await;
        sqlx::query("select pg_terminate_backend(pid) from pg_stat_activity where datname = $1")
            .bind(&database)
            .execute(&mut axe)
            .await
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_cut_cost_nothing_but_time() {
    let server = Arc::new(PostgresServer::private());
    let harness = PostgresHarness::private(Arc::clone(&server)).await;
    survives(&harness, async || cut(&server, &harness).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_proxy_they_cost_nothing_else_either() {
    let server = Arc::new(PostgresServer::private());
    let proxy = PgBouncer::before(&server, &[]);
    let harness = PostgresHarness::private_pooled(Arc::clone(&server), proxy).await;
    survives(&harness, async || cut(&server, &harness).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_and_comes_back_has_lost_nothing() {
    let server = Arc::new(PostgresServer::private());
    let harness = PostgresHarness::private(Arc::clone(&server)).await;
    survives(&harness, async || {
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_millis(700)).await;
            tokio::task::block_in_place(|| {
                server.kill();
                server.restart();
            });
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    })
    .await;
}
