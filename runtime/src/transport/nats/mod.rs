//! NATS: JetStream (`nats://`), which keeps messages, and core NATS (`nats+core://`), which does not.

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
            deduplicates: true,
            dead_letters: true,
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
}
