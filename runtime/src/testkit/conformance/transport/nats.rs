//! The sides of NATS in the suite: JetStream, and core NATS.

use std::sync::{Arc, OnceLock};

use super::{
    Broker, TransportHarness,
    own::{Server, broker_in_a_process, prefix},
};
use crate::{
    testkit::server::NatsServer,
    transport::{Transport, connect},
};

/// NATS for the suite: `conformance_transport!(nats, connect = NatsHarness::jetstream())`.
#[derive(Debug)]
pub struct NatsHarness {
    server: Server<NatsServer>,
    prefix: String,
    scheme: &'static str,
}

impl NatsHarness {
    /// JetStream, on the server that all cases share.
    ///
    /// # Panics
    ///
    /// If the server is not installed, or does not start.
    #[expect(clippy::unused_async, reason = "`connect` expressions are futures")]
    pub async fn jetstream() -> Self {
        Self { server: Server::Shared(NatsServer::shared()), prefix: prefix(), scheme: "nats" }
    }

    /// Core NATS, on the same server.
    ///
    /// # Panics
    ///
    /// If the server is not installed, or does not start.
    pub async fn core() -> Self {
        Self { scheme: "nats+core", ..Self::jetstream().await }
    }

    fn at(&self, credentials: &str, port: u16, prefix: &str) -> Arc<dyn Transport> {
        let url = format!("{}://{credentials}127.0.0.1:{port}?prefix={prefix}", self.scheme);
        connect(&url).expect("the server's address can be read")
    }
}

impl TransportHarness for NatsHarness {
    async fn open(&self) -> Arc<dyn Transport> {
        self.at("", self.server.port(), &self.prefix)
    }

    async fn neighbour(&self) -> Arc<dyn Transport> {
        self.at("", self.server.port(), &prefix())
    }

    async fn alone(&self) -> Option<(Self, Arc<dyn Broker>)> {
        let server = Arc::new(NatsServer::private());
        let harness = Self { server: Server::Own(Arc::clone(&server)), prefix: prefix(), scheme: self.scheme };
        Some((harness, server))
    }

    async fn refused(&self) -> Option<(Arc<dyn Transport>, String)> {
        // For as long as the process lives: the transport does not hold it.
        static GUARDED: OnceLock<NatsServer> = OnceLock::new();
        let port = GUARDED.get_or_init(|| NatsServer::with_password("events", "the-right-one")).port();
        Some((self.at("events:wrong-s3cret@", port, &self.prefix), "wrong-s3cret".to_owned()))
    }

    fn nowhere(&self) -> Option<Arc<dyn Transport>> {
        let url = format!("{}://nowhere.invalid:4222?prefix={}", self.scheme, self.prefix);
        Some(connect(&url).expect("the address can be read"))
    }
}

broker_in_a_process!(NatsServer);
