//! Every store of this repository keeps the promises: one line per backend, one test per case.

#[path = "conformance_store/chosen.rs"]
mod chosen;

use domain_events::{
    conformance_store,
    testkit::conformance::{MemoryHarness, PostgresHarness, SqliteHarness},
};

use chosen::Chosen;

conformance_store!(memory, connect = MemoryHarness::connect());
conformance_store!(sqlite, connect = SqliteHarness::connect());
conformance_store!(postgres, connect = PostgresHarness::connect());
conformance_store!(postgres_partitioned, connect = PostgresHarness::partitioned(50));
conformance_store!(sql_on_sqlite, connect = async { Chosen(SqliteHarness::connect().await) });
conformance_store!(sql_on_postgres, connect = async { Chosen(PostgresHarness::connect().await) });
conformance_store!(postgres_pooled, connect = PostgresHarness::pooled());
