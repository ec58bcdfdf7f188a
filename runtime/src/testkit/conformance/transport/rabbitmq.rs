//! RabbitMQ's side of the suite.

use std::sync::Arc;

use super::{
    Broker, TransportHarness,
    own::{Server, broker_in_a_process, prefix},
};
use crate::{
    testkit::server::RabbitServer,
    transport::{Transport, connect},
};

/// RabbitMQ for the suite: `conformance_transport!(rabbitmq, connect = RabbitHarness::connect())`.
#[derive(Debug)]
pub struct RabbitHarness {
    server: Server<RabbitServer>,
    prefix: String,
}

impl RabbitHarness {
    /// On the server that all cases share.
    ///
    /// # Panics
    ///
    /// If RabbitMQ is not installed, or does not start.
    #[expect(clippy::unused_async, reason = "`connect` expressions are futures")]
    pub async fn connect() -> Self {
        Self { server: Server::Shared(RabbitServer::shared()), prefix: prefix() }
    }

    fn at(&self, prefix: &str) -> Arc<dyn Transport> {
        connect(&self.server.url(prefix)).expect("the server's address can be read")
    }
}

impl TransportHarness for RabbitHarness {
    async fn open(&self) -> Arc<dyn Transport> {
        self.at(&self.prefix)
    }

    async fn neighbour(&self) -> Arc<dyn Transport> {
        self.at(&prefix())
    }

    async fn alone(&self) -> Option<(Self, Arc<dyn Broker>)> {
        let server = Arc::new(RabbitServer::private());
        Some((Self { server: Server::Own(Arc::clone(&server)), prefix: prefix() }, server))
    }

    async fn refused(&self) -> Option<(Arc<dyn Transport>, String)> {
        let url = format!("amqp://guest:wrong-s3cret@127.0.0.1:{}/?prefix={}", self.server.port(), self.prefix);
        Some((connect(&url).expect("the address can be read"), "wrong-s3cret".to_owned()))
    }

    fn nowhere(&self) -> Option<Arc<dyn Transport>> {
        let url = format!("amqp://nowhere.invalid:5672/?prefix={}", self.prefix);
        Some(connect(&url).expect("the address can be read"))
    }
}

broker_in_a_process!(RabbitServer);
