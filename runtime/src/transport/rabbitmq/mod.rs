//! RabbitMQ, `amqp://` and `amqps://`: publishing with confirmations, and durable queues for each handler.
//!
//! Made by [`connect`](super::connect) for an address like `amqp://user:password@host:5672/vhost?prefix=library`. Without
//! a user it is `guest`, without a path the default virtual host. Nothing needs a plugin or the management interface.
//! RabbitMQ 3.10 or newer.
//!
//! | option | meaning |
//! |---|---|
//! | `prefix` | what everything on the broker begins with, and the exchange's name; `events` unless said |
//! | `queue` | `quorum` (replicated, unless said) or `classic` (which does not count deliveries); a queue that exists keeps its kind |
//! | `ca` | with `amqps://`: a file with the authorities to trust, instead of the system's |
//!
//! # On the broker
//!
//! | name | what | for |
//! |---|---|---|
//! | `{prefix}` | durable topic exchange | everything is published here, under `{event}.{shard}`; the shard, 0 to 63, is the aggregate's |
//! | `{prefix}.{handler}` | durable topic exchange | bound to exactly the handler's events, as `{event}` and `{event}.*`; spreads the shards over the handler's queues |
//! | `{prefix}.{handler}`, `{prefix}.{handler}.1`, ... | durable queues with a single active consumer | the handler's deliveries: one queue for each of its partitions, 64 at most |
//! | `{prefix}.{handler}.dead` | durable queue | dead letters; also what the broker itself throws out of the handler's queues |
//! | `{prefix}.{handler}.members` | durable queue, always empty | its consumers are the processes that take part |
//! | `{prefix}.{handler}.{n}.owner`, `{prefix}.{handler}.bindings.lock`, `.dead.lock` | queues of one connection | locks: who takes in a queue, changes bindings, looks through dead letters |
//! | `{prefix}.{handler}.bindings` | durable queue of one message | what is bound, written down: the broker can't be asked without its management interface |
//! | `{prefix}.{handler}.next` | topic exchange | stands in for the handler's while its bindings are made anew |
//!
//! Other programs get all events of a name with the binding `{event}.#`. They may publish CloudEvents under the bare name of
//! an event; that is delivered by each handler's first queue, so it is in order among itself, not with the same
//! aggregate's events from here.
//!
//! A message is persistent; `content_type`, `message_id` (the event's id) and `type` (its name) are set, `traceparent` is a
//! header. In binary mode the attributes are headers, `cloudEvents:subject`, as in CloudEvents' binding of AMQP 1.0; there
//! is none for this protocol.
//!
//! # Who takes in what
//!
//! A process looks how many processes there are (every 2 s, or every 0.5 s while it has less than its share) and takes in at
//! most that part of the queues, rounded up. A closed or killed process is followed within about a second, one that is
//! frozen or cut off within about 10 s: two missed heartbeats. A queue is handed over when nothing of it is unsettled; if
//! that takes longer than 2 s, as with a delivery that waits for its retry, it stays where it is for now.
//!
//! Order holds across processes that stay. When one leaves or dies while another takes over, the broker may put what the one
//! gives back behind what the other gives back, and so deliver an event before an earlier one of its aggregate.
//!
//! What is on its way to a process is bounded by the window, and by 64 for each of its queues.
//!
//! # Not promised
//!
//! - An event to which no handler is bound is dropped by the broker: there is no history to read, a new subscription begins
//!   with what is published after `ensure`, whatever `from_now` says.
//! - The broker takes back a delivery that is not settled within its `consumer_timeout` (30 min; 15 min in some releases)
//!   and ends the channel. That counts as a lost connection: the delivery comes again, and so does everything else that
//!   was unsettled. Raise the limit where retries wait longer.
//! - When the number of partitions changes, an aggregate may change queues, and its events that wait in the old one may be
//!   delivered beside newer ones. Nothing is lost: queues that are too many are taken in for as long as they exist.
//! - A quorum queue gives back what a process had behind what was given back before. Order holds as long as the processes
//!   of a handler have windows of one size.
//! - RabbitMQ 3.10 notes which quorum queues a node has up to seconds after it has made one. A broker that is killed before
//!   loses what was published to the queue, and the queue has no leader from then on: delete it, so that it is made anew.
//! - The same event published twice is delivered twice.
//! - The queues of a handler that no longer exists fill, until it is [forgotten](super::Transport::forget).
//! - What was settled behind something that was not is told to the broker within 20 ms, with what else is settled by then: of
//!   a process that dies before, it comes again.
//! - `ensure` by an older release takes the handler's bindings back to that release's events.
//! - A process killed between keeping a dead letter and settling its delivery leaves both.

mod bindings;
mod connect;
mod dead_letter;
mod declare;
mod error;
mod forget;
mod inbound;
mod ledger;
mod lock;
mod names;
mod publish;
mod session;
mod settling;
mod share;
mod wire;

use std::{str::FromStr, sync::Arc};

use self::{connect::Broker, inbound::AmqpInbound, names::Names, publish::AmqpPublisher};
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
        connection.hang_up().await;
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
            ordering: Ordering::AcrossStayingProcesses,
            shares: true,
            holds: true,
            counts: self.broker.queue == QueueKind::Quorum,
            dead_letters: true,
            forgets: true,
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
            connection.hang_up().await;
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
            connection.hang_up().await;
            outcome
        })
    }

    fn redrive<'a>(&'a self, handler: &'a str, id: &'a str) -> BoxFuture<'a, Result<bool>> {
        Box::pin(self.take_out(handler, id, true))
    }

    fn discard<'a>(&'a self, handler: &'a str, id: &'a str) -> BoxFuture<'a, Result<bool>> {
        Box::pin(self.take_out(handler, id, false))
    }

    fn forget<'a>(&'a self, handler: &'a str) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move {
            let names = self.names(handler)?;
            let connection = self.broker.connect(handler).await?;
            let outcome = forget::all(&self.broker, &connection, handler, &names).await;
            connection.hang_up().await;
            outcome
        })
    }
}
