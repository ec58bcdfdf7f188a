//! Kafka's side of the suite, on librdkafka's mock: real clients and real connections, but what it keeps it keeps in memory.
//! So a kill is an outage there: all connections are cut, and none is taken until the restart.

use std::sync::{Arc, OnceLock};

use super::{
    Broker, TransportHarness,
    own::{Server, prefix},
};
use crate::{
    testkit::server::KafkaMock,
    transport::{Transport, connect},
};

/// Kafka for the suite: `conformance_transport!(kafka, connect = KafkaHarness::mock())`.
#[derive(Debug)]
pub struct KafkaHarness {
    server: Server<KafkaMock>,
    prefix: String,
}

impl KafkaHarness {
    /// The mock that all cases share.
    ///
    /// # Panics
    ///
    /// If librdkafka makes none.
    #[expect(clippy::unused_async, reason = "`connect` expressions are futures")]
    pub async fn mock() -> Self {
        static SHARED: OnceLock<KafkaMock> = OnceLock::new();
        Self { server: Server::Shared(SHARED.get_or_init(KafkaMock::start)), prefix: prefix() }
    }

    fn at(&self, prefix: &str) -> Arc<dyn Transport> {
        connect(&self.server.url(&format!("prefix={prefix}"))).expect("the mock's address can be read")
    }
}

impl TransportHarness for KafkaHarness {
    async fn open(&self) -> Arc<dyn Transport> {
        self.at(&self.prefix)
    }

    async fn neighbour(&self) -> Arc<dyn Transport> {
        self.at(&prefix())
    }

    async fn alone(&self) -> Option<(Self, Arc<dyn Broker>)> {
        let server = Arc::new(KafkaMock::start());
        Some((Self { server: Server::Own(Arc::clone(&server)), prefix: prefix() }, server))
    }

    async fn refused(&self) -> Option<(Arc<dyn Transport>, String)> {
        // The mock asks for no credentials.
        None
    }

    fn nowhere(&self) -> Option<Arc<dyn Transport>> {
        let url = format!("kafka://nowhere.invalid:9092?prefix={}", self.prefix);
        Some(connect(&url).expect("the address can be read"))
    }
}

impl Broker for KafkaMock {
    fn kill(&self) {
        self.outage();
    }

    fn restart(&self) {
        self.recover();
    }

    fn freeze(&self) {
        self.outage();
    }

    fn thaw(&self) {
        self.recover();
    }
}
