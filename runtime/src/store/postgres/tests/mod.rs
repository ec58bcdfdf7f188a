//! What only the PostgreSQL store promises: about the server, transactions that are open at a time, and other programs.

#[path = "../../../testkit/server/process.rs"]
#[allow(
    clippy::duplicate_mod,
    dead_code,
    unreachable_pub,
    reason = "a file of the test kit, which a store can't name and which may not be built"
)]
mod process;
#[path = "../../../testkit/conformance/postgres/server.rs"]
#[allow(
    clippy::duplicate_mod,
    dead_code,
    unreachable_pub,
    reason = "a file of the test kit, which a store can't name and which may not be built"
)]
mod server;

mod interleavings;
mod partitions;
mod plans;
mod server_changes;
mod transactions;
mod waking;

use std::time::Duration;

pub(super) use server::PostgresServer;

use super::{PostgresOptions, PostgresStore};
use crate::error::Result;

/// An empty store, in a schema of its own on the server that the tests share.
pub(in crate::store) async fn fresh() -> Result<PostgresStore> {
    open(PostgresOptions::new().schema(format!("test \"{}\"", uuid::Uuid::now_v7().simple()))).await
}

/// The same, whose log has partitions of so many events.
pub(in crate::store) async fn fresh_with_partitions(events: u32) -> Result<PostgresStore> {
    let schema = format!("test \"{}\"", uuid::Uuid::now_v7().simple());
    open(PostgresOptions::new().schema(schema).partition_events(events)).await
}

async fn open(options: PostgresOptions) -> Result<PostgresStore> {
    PostgresStore::connect_with(
        &PostgresServer::shared().url("postgres"),
        options.acquire_timeout(Duration::from_secs(30)),
    )
    .await
}
