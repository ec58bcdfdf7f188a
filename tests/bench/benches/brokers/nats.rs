//! JetStream by hand: a stream on files; 256 unconfirmed messages at a time, with the id that the server drops repetitions
//! by; a pull consumer's batches of 256, each message acknowledged, as its documentation does it.

use std::collections::VecDeque;

use async_nats::jetstream::{
    self, AckKind, Context,
    consumer::pull,
    message::PublishMessage,
    stream::{Config, StorageType},
};
use domain_events::{testkit::server::NatsServer, transport::record::Outgoing};
use futures_util::StreamExt;

use crate::broker::{BATCH, Broker, Seen};

pub struct Nats(NatsServer);

impl Nats {
    pub async fn start() -> Self {
        Self(NatsServer::private())
    }

    async fn jetstream(&self) -> Context {
        jetstream::new(async_nats::connect(self.0.url()).await.expect("a connection"))
    }
}

impl Broker for Nats {
    const NAME: &'static str = "nats";
    const RAW: &'static str = "async-nats, 256 unconfirmed, 256 a batch:";

    fn url(&self, prefix: &str) -> String {
        format!("{}?prefix={prefix}", self.0.url())
    }

    async fn prepare(&self, name: &str) {
        let config = Config {
            name: name.to_owned(),
            subjects: vec![format!("{name}.>")],
            storage: StorageType::File,
            ..Config::default()
        };
        let jetstream = self.jetstream().await;
        let stream = jetstream.create_stream(config).await.expect("a stream");
        let config = pull::Config {
            durable_name: Some("me".to_owned()),
            max_ack_pending: 2 * BATCH as i64,
            ..pull::Config::default()
        };
        stream.create_consumer(config).await.expect("a consumer");
    }

    async fn publish(&self, name: &str, messages: &[Outgoing]) {
        let jetstream = self.jetstream().await;
        let subject = format!("{name}.{}", messages[0].event);
        let mut waiting = VecDeque::with_capacity(BATCH);
        for message in messages {
            if waiting.len() == BATCH {
                let ack: jetstream::context::PublishAckFuture = waiting.pop_front().expect("the first");
                ack.await.expect("a confirmation");
            }
            let publish = PublishMessage::build()
                .message_id(message.id.to_string())
                .payload(message.content.body().to_vec().into());
            waiting.push_back(jetstream.send_publish(subject.clone(), publish).await.expect("a message is sent"));
        }
        for ack in waiting {
            ack.await.expect("a confirmation");
        }
    }

    async fn take(&self, name: &str, seen: &mut Seen, count: usize) {
        let jetstream = self.jetstream().await;
        let consumer: jetstream::consumer::PullConsumer =
            jetstream.get_consumer_from_stream("me", name).await.expect("a consumer");
        let stream = consumer.stream().max_messages_per_batch(BATCH);
        let mut stream = stream.messages().await.expect("messages");
        while seen.count < count {
            let message = stream.next().await.expect("no end").expect("a message");
            seen.read(&message.payload);
            message.ack_with(AckKind::Ack).await.expect("an acknowledgement");
        }
    }

    async fn stored(&self, name: &str) -> usize {
        let jetstream = self.jetstream().await;
        let stream = jetstream.get_stream(name).await.expect("a stream");
        stream.cached_info().state.messages as usize
    }

    async fn stored_by_transport(&self, prefix: &str) -> usize {
        self.stored(prefix).await
    }
}
