//! Every store of this repository keeps the promises: one line per backend, one test per case.

use domain_events::{
    conformance_store,
    testkit::conformance::{MemoryHarness, SqliteHarness},
};

conformance_store!(memory, connect = MemoryHarness::connect());
conformance_store!(sqlite, connect = SqliteHarness::connect());
