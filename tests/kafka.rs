//! Events over Kafka: what is published arrives, in order, at least once, through outages and between processes.
#![expect(clippy::unwrap_used, reason = "a test that can't be set up has failed")]

#[path = "kafka/access.rs"]
mod access;
#[path = "certificates.rs"]
mod certificates;
#[path = "kafka/dead_letters.rs"]
mod dead_letters;
#[path = "kafka/delivery.rs"]
mod delivery;
#[path = "kafka/front.rs"]
mod front;
#[path = "kafka/kit.rs"]
mod kit;
#[path = "kafka/outages.rs"]
mod outages;
#[path = "kafka/sharing.rs"]
mod sharing;
