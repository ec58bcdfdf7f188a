//! RabbitMQ, `amqp://` and `amqps://`: confirmed publishing, and durable queues for each handler.
mod connect;
mod dead_letter;
mod declare;
mod error;
mod inbound;
mod ledger;
mod lock;
mod names;
mod publish;
mod session;
mod share;
mod wire;

use std::{str::FromStr, sync::Arc};

use self::{
    connect::{Broker, hang_up},
    inbound::AmqpInbound,
    names::Names,
    publish::AmqpPublisher,
};
use super::{
    BoxFuture, Capabilities, Inbound, Ordering, Publisher, Transport,
    address::Address,
    record::{DeadMessage, Subscription},
};
use crate::error::Result;

/// The transport at this address.
pub(super) fn open(url: &str) -> Result<Arc<dyn Transport>> {
    let mut address = Address::parse(url, &["queue"])?;
    let queue = address.option("queue")?.unwrap_or(QueueKind::Quorum);
    Ok(Arc::new(RabbitMq { broker: Arc::new(Broker { address, queue }) }))
}

/// Which queues handlers get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum QueueKind {
    /// Replicated, written to disk before it is confirmed.
    Quorum,
    /// On one node.
    Classic,
}

impl FromStr for QueueKind {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "quorum" => Ok(Self::Quorum),
            "classic" => Ok(Self::Classic),
            _ => Err("it is `quorum` or `classic`"),
        }
    }
}

/// A RabbitMQ broker, or a cluster of them.
#[derive(Debug)]
struct RabbitMq {
    broker: Arc<Broker>,
}

impl RabbitMq {
    fn names(&self, handler: &str) -> Result<Names> {
        Names::new(&self.broker.address.prefix, handler)
    }

    async fn take_out(&self, handler: &str, id: &str, redrive: bool) -> Result<bool> {
        let names = self.names(handler)?;
        let connection = self.broker.connect("dead letters").await?;
        let outcome = dead_letter::take_out(&self.broker, &connection, &names, id, redrive).await;
        hang_up(&connection).await;
        outcome
    }
}

impl Transport for RabbitMq {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            confirms: true,
            redelivers: true,
            keeps_for_absent: true,
            outlives_broker: true,
            ordering: Ordering::AcrossProcesses,
            shares: true,
            dead_letters: true,
            several_processes: true,
            ..Capabilities::none("amqp")
        }
    }

    fn address(&self) -> &str {
        self.broker.address.shown()
    }

    fn publisher(&self) -> BoxFuture<'_, Result<Box<dyn Publisher>>> {
        Box::pin(async move {
            let publisher = AmqpPublisher::connect(self.broker.clone()).await?;
            Ok(Box::new(publisher) as Box<dyn Publisher>)
        })
    }

    fn ensure<'a>(&'a self, subscription: &'a Subscription) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let names = self.names(&subscription.handler)?;
            let connection = self.broker.connect(&subscription.handler).await?;
            let outcome = declare::subscription(&self.broker, &connection, subscription, &names).await;
            hang_up(&connection).await;
            outcome
        })
    }

    fn subscribe<'a>(&'a self, subscription: &'a Subscription) -> BoxFuture<'a, Result<Arc<dyn Inbound>>> {
        Box::pin(async move {
            let names = self.names(&subscription.handler)?;
            let inbound = AmqpInbound::connect(self.broker.clone(), subscription.clone(), names).await?;
            Ok(Arc::new(inbound) as Arc<dyn Inbound>)
        })
    }

    fn dead_letters<'a>(&'a self, handler: &'a str, limit: usize) -> BoxFuture<'a, Result<Vec<DeadMessage>>> {
        Box::pin(async move {
            let names = self.names(handler)?;
            let connection = self.broker.connect("dead letters").await?;
            let outcome = dead_letter::list(&self.broker, &connection, &names, limit).await;
            hang_up(&connection).await;
            outcome
        })
    }

    fn redrive<'a>(&'a self, handler: &'a str, id: &'a str) -> BoxFuture<'a, Result<bool>> {
        Box::pin(self.take_out(handler, id, true))
    }

    fn discard<'a>(&'a self, handler: &'a str, id: &'a str) -> BoxFuture<'a, Result<bool>> {
        Box::pin(self.take_out(handler, id, false))
    }
}
