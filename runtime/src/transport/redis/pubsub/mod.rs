//! Redis Pub/Sub as a transport: at most once, for what may be missed.

mod inbound;
mod publish;

use std::sync::Arc;

use redis::ProtocolVersion;

use self::{inbound::PubSubInbound, publish::PubSubPublisher};
use super::connect::{ANSWER, Server};
use crate::{
    error::Result,
    transport::{
        BoxFuture, Capabilities, Inbound, Ordering, Publisher, Transport,
        address::Address,
        record::{DeadMessage, Subscription},
    },
};

/// Redis Pub/Sub at an address.
#[derive(Debug)]
pub(super) struct PubSub {
    server: Arc<Server>,
    prefix: String,
}

impl PubSub {
    pub(super) fn new(address: Address) -> Result<Self> {
        // Messages come on the connection that commands are answered on: what Redis calls RESP3.
        let server = Arc::new(Server::new(&address, ProtocolVersion::RESP3)?);
        Ok(Self { server, prefix: address.prefix })
    }
}

impl Transport for PubSub {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            ordering: Ordering::WithinProcess,
            several_processes: true,
            ..Capabilities::none("redis+pubsub")
        }
    }

    fn address(&self) -> &str {
        self.server.shown()
    }

    fn publisher(&self) -> BoxFuture<'_, Result<Box<dyn Publisher>>> {
        Box::pin(async move {
            let connection = self.server.connect(ANSWER).await?;
            let publisher = PubSubPublisher { server: self.server.clone(), connection, prefix: self.prefix.clone() };
            Ok(Box::new(publisher) as Box<dyn Publisher>)
        })
    }

    fn ensure<'a>(&'a self, _: &'a Subscription) -> BoxFuture<'a, Result<()>> {
        // Nothing is kept for anybody; what is wrong with the address shows here all the same.
        Box::pin(async move { self.server.connect(ANSWER).await.map(|_| ()) })
    }

    fn subscribe<'a>(&'a self, subscription: &'a Subscription) -> BoxFuture<'a, Result<Arc<dyn Inbound>>> {
        Box::pin(async move {
            let inbound = PubSubInbound::new(self.server.clone(), &self.prefix, subscription);
            inbound.begin().await?;
            Ok(Arc::new(inbound) as Arc<dyn Inbound>)
        })
    }

    fn dead_letters<'a>(&'a self, _: &'a str, _: usize) -> BoxFuture<'a, Result<Vec<DeadMessage>>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn redrive<'a>(&'a self, _: &'a str, _: &'a str) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async { Ok(false) })
    }

    fn discard<'a>(&'a self, _: &'a str, _: &'a str) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async { Ok(false) })
    }

    fn forget<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async { Ok(false) })
    }
}

/// The channel of an event.
fn channel(prefix: &str, event: &str) -> String {
    format!("{prefix}:{event}")
}
