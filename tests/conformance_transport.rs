//! Every transport of this repository keeps the promises: one line per backend, one test per case.

use domain_events::{conformance_transport, testkit::conformance::MemoryTransportHarness};

conformance_transport!(memory, connect = MemoryTransportHarness::connect());
