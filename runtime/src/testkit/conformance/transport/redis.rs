//! The sides of Redis in the suite: Streams, and Pub/Sub.

use std::sync::Arc;

use super::{
    Broker, TransportHarness,
    own::{Server, broker_in_a_process, prefix},
};
use crate::{
    testkit::server::RedisServer,
    transport::{Transport, connect},
};

/// Redis for the suite: `conformance_transport!(redis, connect = RedisHarness::streams())`.
#[derive(Debug)]
pub struct RedisHarness {
    server: Server<RedisServer>,
    prefix: String,
    pubsub: bool,
}

impl RedisHarness {
    /// Streams, on the server that all cases share.
    ///
    /// # Panics
    ///
    /// If Redis is not installed, or does not start.
    #[expect(clippy::unused_async, reason = "`connect` expressions are futures")]
    pub async fn streams() -> Self {
        Self { server: Server::Shared(RedisServer::shared()), prefix: prefix(), pubsub: false }
    }

    /// Pub/Sub, on the same server.
    ///
    /// # Panics
    ///
    /// If Redis is not installed, or does not start.
    pub async fn pubsub() -> Self {
        Self { pubsub: true, ..Self::streams().await }
    }

    fn at(&self, server: &RedisServer, prefix: &str) -> Arc<dyn Transport> {
        let url = if self.pubsub { server.pubsub_url(prefix) } else { server.url(prefix) };
        connect(&url).expect("the server's address can be read")
    }

    fn scheme(&self) -> &'static str {
        if self.pubsub { "redis+pubsub" } else { "redis" }
    }
}

impl TransportHarness for RedisHarness {
    async fn open(&self) -> Arc<dyn Transport> {
        self.at(&self.server, &self.prefix)
    }

    async fn neighbour(&self) -> Arc<dyn Transport> {
        self.at(&self.server, &prefix())
    }

    async fn alone(&self) -> Option<(Self, Arc<dyn Broker>)> {
        let server = Arc::new(RedisServer::private());
        let harness = Self { server: Server::Own(Arc::clone(&server)), prefix: prefix(), pubsub: self.pubsub };
        Some((harness, server))
    }

    async fn refused(&self) -> Option<(Arc<dyn Transport>, String)> {
        // For as long as the process lives: the transport does not hold it.
        static GUARDED: std::sync::OnceLock<RedisServer> = std::sync::OnceLock::new();
        let port = GUARDED.get_or_init(|| RedisServer::with_password("the-right-one")).port();
        let url = format!("{}://:wrong-s3cret@127.0.0.1:{port}?prefix={}", self.scheme(), self.prefix);
        Some((connect(&url).expect("the address can be read"), "wrong-s3cret".to_owned()))
    }

    fn nowhere(&self) -> Option<Arc<dyn Transport>> {
        let url = format!("{}://nowhere.invalid:6379?prefix={}", self.scheme(), self.prefix);
        Some(connect(&url).expect("the address can be read"))
    }
}

broker_in_a_process!(RedisServer);
