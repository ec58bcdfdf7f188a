//! The RabbitMQ transport, on servers of its own: what it promises beyond the suite that all transports pass.
#![expect(clippy::unwrap_used, reason = "a test that can't be set up has failed")]

#[path = "rabbitmq/access.rs"]
mod access;
#[path = "rabbitmq/dead_letters.rs"]
mod dead_letters;
#[path = "rabbitmq/delivery.rs"]
mod delivery;
#[path = "rabbitmq/dropped.rs"]
mod dropped;
#[path = "rabbitmq/outage.rs"]
mod outage;
#[path = "rabbitmq/sharing.rs"]
mod sharing;
#[path = "rabbitmq/stage.rs"]
mod stage;
#[path = "rabbitmq/subscription.rs"]
mod subscription;
