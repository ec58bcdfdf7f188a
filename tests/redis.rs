//! Redis as a transport, against servers of the tests' own.
#![expect(clippy::unwrap_used, reason = "a test that can't be set up has failed")]

#[path = "redis/address.rs"]
mod address;
#[path = "redis/common.rs"]
mod common;
#[path = "redis/dead_letters.rs"]
mod dead_letters;
#[path = "redis/outage.rs"]
mod outage;
#[path = "redis/pubsub.rs"]
mod pubsub;
#[path = "redis/sharing.rs"]
mod sharing;
#[path = "redis/streams.rs"]
mod streams;
