//! NATS: JetStream (`nats://`, `nats+tls://`), which keeps messages, and core NATS (`nats+core://`, `nats+core+tls://`),
//! which keeps nothing: at most once, no order, no retries over a restart. `connect` opens it.
//!
//! | on the server, for the prefix `events` | what it is |
//! |---|---|
//! | stream `events` | all events, in files; subjects `events.{shard}.{event}`, the shard by the aggregate's hash |
//! | consumer `{handler}-{shard}-{n}` | how a handler's shard is read; `n` goes up each time it changes hands |
//! | bucket `events-handlers`, key `{handler}` | who lives, who holds which shard, how far each is, which events are taken |
//! | stream `events-dead`, subjects `events-dead.{handler}` | dead letters, with reason, error and attempts in headers |
//! | subject `events-wake.{handler}` | where its processes call each other |
//!
//! In names, `=2E` and the like stand for bytes that NATS does not allow there: `notices.tell` is `notices=2Etell`.
//!
//! | option | meaning | default |
//! |---|---|---|
//! | `shards` | into how many shards a new stream is split, 1 to 256; with another number than the stream has: an error | 8, or the stream's |
//! | `replicas` | of what is made, in a cluster, 1 to 5 | 1 |
//! | `max_age` | seconds after which events are dropped, handled or not; 0: never | 0 |
//! | `max_bytes` | the stream's greatest size; when it is full, publishing fails and is tried again | without limit |
//! | `duplicate_window` | seconds in which an event id that comes again is dropped | 120 |
//! | `lease` | seconds without a sign of life after which a process has lost its shards | 6 |
//!
//! Options of a stream count when it is made; later they are changed with NATS's own tools. Core NATS has none of them.
//!
//! **How order holds.** A shard is read by one process at a time. Whoever takes it makes a new consumer behind what is
//! known to be settled and removes the old one: an earlier owner gets nothing more, and what it acknowledges counts for
//! nothing. Single messages that were left unsettled are read from the stream first. An acknowledgement tells the
//! server of all that lies before it in the shard; what is settled behind something that is not stands in the handler's
//! document. A lost connection is not mended but made anew, so that nothing is sent behind something that was lost.
//! `Subscription::partitions` is not used: the shards are the shares.
//!
//! **Not promised.** JetStream writes to its files at once, and has the disk confirm it every two minutes: what a power cut
//! takes was confirmed all the same, unless the server is set to `sync_interval: always`, or has replicas. After the death of
//! a process, what it settled in its last second may come again, where something before it was unsettled. A process that is
//! cut off from the server learns it after half the lease. Handlers with few of many events still read all of a shard, since
//! servers before 2.10 ignore lists of filters. `redelivered` counts deaths of owners, not lost connections.

mod balance;
mod connect;
mod core;
mod dead_letter;
mod desk;
mod headers;
mod inbound;
mod keeper;
mod ledger;
mod names;
mod options;
mod publish;
mod pull;
mod shard;
mod stream;
mod subscription;

use std::sync::Arc;

use super::{
    BoxFuture, Capabilities, Inbound, Ordering, Publisher, Transport,
    record::{DeadMessage, Subscription},
};
use crate::error::Result;
use connect::connect;
use dead_letter::DeadLetters;
use inbound::JetStreamInbound;
use options::Options;
use publish::JetStreamPublisher;

/// The transport at this address.
pub(super) fn open(url: &str) -> Result<Arc<dyn Transport>> {
    if url.starts_with("nats+core") {
        return Ok(Arc::new(core::Core { options: Arc::new(Options::core(url)?) }));
    }
    Ok(Arc::new(JetStream { options: Arc::new(Options::jetstream(url)?) }))
}

/// A server, or a cluster, with JetStream.
#[derive(Debug)]
struct JetStream {
    options: Arc<Options>,
}

impl Transport for JetStream {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            confirms: true,
            redelivers: true,
            keeps_for_absent: true,
            replays: true,
            outlives_broker: true,
            ordering: Ordering::AcrossProcesses,
            shares: true,
            holds: true,
            counts: true,
            deduplicates: true,
            dead_letters: true,
            forgets: true,
            several_processes: true,
            message_bytes: Some(1_048_576 - publish::SPARE),
            ..Capabilities::none("nats")
        }
    }

    fn address(&self) -> &str {
        self.options.address.shown()
    }

    fn publisher(&self) -> BoxFuture<'_, Result<Box<dyn Publisher>>> {
        Box::pin(async {
            let client = connect(&self.options).await?;
            let jetstream = stream::jetstream(&client);
            let (_, shards) = stream::events(&jetstream, &self.options).await?;
            let publisher = JetStreamPublisher { options: self.options.clone(), client, jetstream, shards };
            Ok(Box::new(publisher) as Box<dyn Publisher>)
        })
    }

    fn ensure<'a>(&'a self, subscription: &'a Subscription) -> BoxFuture<'a, Result<()>> {
        Box::pin(async {
            let client = connect(&self.options).await?;
            subscription::ensure(&client, &self.options, subscription).await
        })
    }

    fn subscribe<'a>(&'a self, subscription: &'a Subscription) -> BoxFuture<'a, Result<Arc<dyn Inbound>>> {
        Box::pin(async {
            let inbound = JetStreamInbound::open(self.options.clone(), subscription.clone()).await?;
            Ok(Arc::new(inbound) as Arc<dyn Inbound>)
        })
    }

    fn dead_letters<'a>(&'a self, handler: &'a str, limit: usize) -> BoxFuture<'a, Result<Vec<DeadMessage>>> {
        Box::pin(async move {
            let client = connect(&self.options).await?;
            DeadLetters::open(&client, &self.options, handler).await?.list(limit).await
        })
    }

    fn redrive<'a>(&'a self, handler: &'a str, id: &'a str) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move {
            let client = connect(&self.options).await?;
            DeadLetters::open(&client, &self.options, handler).await?.redrive(id).await
        })
    }

    fn discard<'a>(&'a self, handler: &'a str, id: &'a str) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move {
            let client = connect(&self.options).await?;
            DeadLetters::open(&client, &self.options, handler).await?.discard(id).await
        })
    }

    fn forget<'a>(&'a self, handler: &'a str) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move {
            let client = connect(&self.options).await?;
            subscription::forget(&client, &self.options, handler).await
        })
    }
}
