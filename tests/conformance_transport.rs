//! Every transport of this repository keeps the promises: one line per backend, one test per case.

use domain_events::{
    conformance_transport,
    testkit::conformance::{KafkaHarness, MemoryTransportHarness, RedisHarness},
};

conformance_transport!(memory, connect = MemoryTransportHarness::connect());
conformance_transport!(redis, connect = RedisHarness::streams());
conformance_transport!(redis_pubsub, connect = RedisHarness::pubsub());
conformance_transport!(kafka, connect = KafkaHarness::mock());
