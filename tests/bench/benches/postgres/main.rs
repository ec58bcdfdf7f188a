//! What the store on PostgreSQL costs: appending, draining a backlog, the way from a commit to a handler. On a server of
//! its own, where every commit waits for the disk. `cargo bench --bench postgres -- append` runs a part of it.

mod append;
mod batch;
mod drain;
mod latency;
mod plain;

use domain_events::testkit::conformance::PostgresServer;
use domain_events::{PostgresStore, store::postgres::PostgresOptions};

/// As many as there are writers at most, on either side.
const CONNECTIONS: u32 = 16;

/// An empty database, of which [`open`] and [`plain::pool`] make connections.
fn database(server: &PostgresServer, name: &str) -> String {
    server.client("createdb", &[name]);
    server.url(name)
}

async fn open(url: &str) -> PostgresStore {
    PostgresStore::connect_with(url, PostgresOptions::new().connections(CONNECTIONS)).await.expect("a store")
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let server = PostgresServer::measured();
    let parts: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let wanted = |part: &str| parts.is_empty() || parts.iter().any(|wanted| wanted == part);
    if wanted("append") {
        append::measure(&runtime, &server);
    }
    if wanted("batch") {
        batch::measure(&runtime, &server);
    }
    if wanted("drain") {
        runtime.block_on(drain::measure(&server));
    }
    if wanted("latency") {
        runtime.block_on(latency::measure(&server));
    }
}
