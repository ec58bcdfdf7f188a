//! Every transport of this repository keeps the promises: one line per backend, one test per case.

use domain_events::{
    conformance_transport,
    testkit::conformance::{KafkaHarness, MemoryTransportHarness, NatsHarness, RabbitHarness, RedisHarness},
};

conformance_transport!(memory, connect = MemoryTransportHarness::connect());
conformance_transport!(redis, connect = RedisHarness::streams());
conformance_transport!(redis_pubsub, connect = RedisHarness::pubsub());
conformance_transport!(nats, connect = NatsHarness::jetstream());
conformance_transport!(nats_core, connect = NatsHarness::core());
conformance_transport!(rabbitmq, connect = RabbitHarness::connect());
conformance_transport!(kafka, connect = KafkaHarness::connect());
