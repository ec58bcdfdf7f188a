//! For the tests of the contexts: databases that nobody else uses.

use super::{Database, Place};

/// Runs a test on a new SQLite database, then on a new PostgreSQL database: what a context promises, it promises on both.
pub async fn on_each_database(test: impl AsyncFn(Database)) {
    // Shown when the test fails.
    eprintln!("on SQLite:");
    test(Database::open(&Place::Memory).await.expect("a database")).await;
    #[cfg(unix)]
    {
        eprintln!("on PostgreSQL:");
        test(Database::open(&new_postgres()).await.expect("a database")).await;
    }
}

/// An empty database on the server that all tests of this process share; it goes with the process.
#[cfg(unix)]
pub(super) fn new_postgres() -> Place {
    use domain_events::testkit::conformance::PostgresServer;

    let name = format!("test_{}", uuid::Uuid::now_v7().simple());
    let server = PostgresServer::shared();
    server.client("createdb", &[&name]);
    Place::Postgres(server.url(&name))
}
