//! RabbitMQ by hand: a topic exchange, and one durable quorum queue bound to the event; 256 unconfirmed messages at a time, each to survive the broker; a prefetch
//! of 256 twice, acknowledged 256 at a time.

use std::collections::VecDeque;

use domain_events::{DomainEvent, testkit::server::RabbitServer, transport::record::Outgoing};
use domain_events_bench::CardAddedToLibraryEvent;
use futures_util::StreamExt;
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, ExchangeKind, PublisherConfirm,
    options::{
        BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
        ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
    },
    types::{AMQPValue, FieldTable},
};

use crate::broker::{BATCH, Broker, HANDLER, Seen};

/// `delivery_mode` of messages that are written to the disk.
const PERSISTENT: u8 = 2;

pub struct Rabbit(RabbitServer);

impl Rabbit {
    pub async fn start() -> Self {
        Self(RabbitServer::private())
    }

    async fn channel(&self) -> (Connection, Channel) {
        let uri = format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.0.port());
        let connection = Connection::connect(&uri, ConnectionProperties::default()).await.expect("a connection");
        let channel = connection.create_channel().await.expect("a channel");
        (connection, channel)
    }
}

impl Broker for Rabbit {
    const NAME: &'static str = "amqp";
    const RAW: &'static str = "lapin, 256 unconfirmed, 256 an acknowledgement:";

    fn url(&self, prefix: &str) -> String {
        self.0.url(prefix)
    }

    async fn prepare(&self, name: &str) {
        let (_connection, channel) = self.channel().await;
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
        let options = QueueDeclareOptions::durable();
        channel.queue_declare(name.into(), options, arguments).await.expect("a queue");
        // Whoever publishes an event does not know who takes it in.
        let (options, kind) = (ExchangeDeclareOptions::default(), ExchangeKind::Topic);
        channel.exchange_declare(name.into(), kind, options, FieldTable::default()).await.expect("an exchange");
        let (key, options) = (CardAddedToLibraryEvent::NAME.into(), QueueBindOptions::default());
        channel.queue_bind(name.into(), name.into(), key, options, FieldTable::default()).await.expect("a binding");
    }

    async fn publish(&self, name: &str, messages: &[Outgoing]) {
        let (_connection, channel) = self.channel().await;
        channel.confirm_select(ConfirmSelectOptions::default()).await.expect("confirmations");
        let mut waiting = VecDeque::with_capacity(BATCH);
        for message in messages {
            if waiting.len() == BATCH {
                let confirm: PublisherConfirm = waiting.pop_front().expect("the first");
                assert!(matches!(confirm.await, Ok(Confirmation::Ack(None))));
            }
            let properties = BasicProperties::default()
                .with_delivery_mode(PERSISTENT)
                .with_message_id(message.id.to_string().as_str().into());
            let (key, options) = (message.event.as_str().into(), BasicPublishOptions::default());
            let body = message.content.body();
            let sent = channel.basic_publish(name.into(), key, options, body, properties).await;
            waiting.push_back(sent.expect("a message is sent"));
        }
        for confirm in waiting {
            assert!(matches!(confirm.await, Ok(Confirmation::Ack(None))));
        }
    }

    async fn take(&self, name: &str, seen: &mut Seen, count: usize) {
        let (_connection, channel) = self.channel().await;
        channel.basic_qos(2 * BATCH as u16, BasicQosOptions::default()).await.expect("a prefetch");
        let options = BasicConsumeOptions::default();
        let consuming = channel.basic_consume(name.into(), "me".into(), options, FieldTable::default()).await;
        let mut deliveries = consuming.expect("deliveries");
        while seen.count < count {
            let delivery = deliveries.next().await.expect("no end").expect("a delivery");
            seen.read(&delivery.data);
            if seen.count.is_multiple_of(BATCH) || seen.count == count {
                let options = BasicAckOptions { multiple: true };
                channel.basic_ack(delivery.delivery_tag, options).await.expect("an acknowledgement");
            }
        }
    }

    async fn stored(&self, name: &str) -> usize {
        let (_connection, channel) = self.channel().await;
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let queue = channel.queue_declare(name.into(), options, FieldTable::default()).await.expect("a queue");
        queue.message_count() as usize
    }

    async fn stored_by_transport(&self, prefix: &str) -> usize {
        self.stored(&format!("{prefix}.{HANDLER}")).await
    }
}
