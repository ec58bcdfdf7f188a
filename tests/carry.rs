//! Relay and consumer from end to end, over a transport in memory that can be sent away: what a broker's failures come to.
#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

#[path = "carry/bursts.rs"]
mod bursts;
#[path = "carry/child.rs"]
mod child;
#[path = "carry/consumer.rs"]
mod consumer;
#[path = "flow/hall.rs"]
mod hall;
#[path = "carry/inbox.rs"]
mod inbox;
#[path = "carry/killed.rs"]
mod killed;
#[path = "flow/library.rs"]
#[expect(dead_code, reason = "shared with the tests of the log, which use all of it")]
mod library;
#[path = "carry/parking.rs"]
mod parking;
#[path = "carry/relay.rs"]
mod relay;
#[path = "carry/stage.rs"]
mod stage;
