//! Kafka's side of the suite: on a broker in a process of its own, where one is given; else on librdkafka's mock, with real
//! clients and real connections, which keeps what it has in memory. So a kill is an outage there: all connections are cut,
//! and none is taken until the restart.

use std::{
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use super::{
    Broker, TransportHarness,
    own::{Server, broker_in_a_process, prefix},
};
use crate::{
    testkit::server::{KafkaMock, KafkaServer},
    transport::{Capabilities, Transport, connect},
};

/// Kafka for the suite: `conformance_transport!(kafka, connect = KafkaHarness::connect())`.
#[derive(Debug)]
pub struct KafkaHarness {
    host: Host,
    prefix: String,
}

#[derive(Debug)]
enum Host {
    Mock(Server<KafkaMock>),
    Broker(PathBuf, Server<KafkaServer>),
}

impl KafkaHarness {
    /// The broker that all cases share: the one that the environment variable `DOMAIN_EVENTS_KAFKA_BROKER` names, or the
    /// mock. Each case says which.
    ///
    /// # Panics
    ///
    /// If the program that is named is not there or does not start, or if librdkafka makes no mock.
    #[expect(clippy::unused_async, reason = "`connect` expressions are futures")]
    #[expect(clippy::print_stdout, reason = "which broker it was belongs to a test's output")]
    pub async fn connect() -> Self {
        static MOCK: OnceLock<KafkaMock> = OnceLock::new();
        let host = if let Some(program) = KafkaServer::program() {
            println!("on the broker {}", program.display());
            let server = Server::Shared(KafkaServer::shared(&program));
            Host::Broker(program, server)
        } else {
            println!("on librdkafka's mock: a kill is an outage there (`just kafka-broker` builds a broker)");
            Host::Mock(Server::Shared(MOCK.get_or_init(KafkaMock::start)))
        };
        Self { host, prefix: prefix() }
    }

    fn at(&self, prefix: &str) -> Arc<dyn Transport> {
        let options = format!("prefix={prefix}");
        let url = match &self.host {
            Host::Mock(mock) => mock.url(&options),
            Host::Broker(_, server) => server.url(&options),
        };
        connect(&url).expect("the broker's address can be read")
    }
}

impl TransportHarness for KafkaHarness {
    async fn open(&self) -> Arc<dyn Transport> {
        self.at(&self.prefix)
    }

    /// A broker of `just kafka-broker` forgets the notes beside offsets, in which deaths are counted. The mock can delete
    /// neither groups nor topics.
    async fn capabilities(&self) -> Capabilities {
        let capabilities = self.open().await.capabilities();
        let is_mock = matches!(self.host, Host::Mock(_));
        Capabilities {
            counts: capabilities.counts && is_mock,
            forgets: capabilities.forgets && !is_mock,
            ..capabilities
        }
    }

    async fn neighbour(&self) -> Arc<dyn Transport> {
        self.at(&prefix())
    }

    async fn alone(&self) -> Option<(Self, Arc<dyn Broker>)> {
        let (host, broker): (_, Arc<dyn Broker>) = match &self.host {
            Host::Mock(_) => {
                let mock = Arc::new(KafkaMock::start());
                (Host::Mock(Server::Own(Arc::clone(&mock))), mock)
            }
            Host::Broker(program, _) => {
                let server = Arc::new(KafkaServer::private(program));
                (Host::Broker(program.clone(), Server::Own(Arc::clone(&server))), server)
            }
        };
        Some((Self { host, prefix: prefix() }, broker))
    }

    async fn refused(&self) -> Option<(Arc<dyn Transport>, String)> {
        // Neither asks for credentials.
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

broker_in_a_process!(KafkaServer);
