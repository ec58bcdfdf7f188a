//! NATS as a transport, against real servers: JetStream's promises, through restarts and handovers, and what core NATS does.
#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

#[path = "nats/access.rs"]
mod access;
#[path = "certificates.rs"]
mod certificates;
#[path = "nats/core.rs"]
mod core;
#[path = "nats/dead_letter.rs"]
mod dead_letter;
#[path = "nats/delivery.rs"]
mod delivery;
#[path = "nats/handover.rs"]
mod handover;
#[path = "nats/outage.rs"]
mod outage;
#[path = "nats/tools.rs"]
mod tools;
