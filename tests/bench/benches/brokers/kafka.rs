//! Kafka by hand: the transport's topic, an idempotent producer that is handed everything at once, and a group with one
//! consumer that commits what it has read every 100 ms, as often as the transport does.

use std::{
    sync::atomic::{AtomicUsize, Ordering::AcqRel},
    time::{Duration, Instant},
};

use domain_events::{
    testkit::server::{KafkaMock, KafkaServer},
    transport::{connect, record::Outgoing},
};
use rdkafka::{
    ClientConfig, ClientContext,
    config::FromClientConfigAndContext,
    consumer::{BaseConsumer, CommitMode, Consumer},
    message::{Header, Message, OwnedHeaders},
    producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer},
};
use tokio::sync::Notify;

use crate::broker::{Broker, Seen};

/// How long the broker may take for anything.
const LIMIT: Duration = Duration::from_secs(60);
/// Between two commits.
const GATHER: Duration = Duration::from_millis(100);

pub enum Kafka {
    Broker(KafkaServer),
    Mock(KafkaMock),
}

impl Kafka {
    pub async fn start() -> Self {
        if let Some(program) = KafkaServer::program() {
            println!("\nkafka is the broker {}", program.display());
            Self::Broker(KafkaServer::private(&program))
        } else {
            println!("\nkafka is librdkafka's mock, in this process and in memory");
            Self::Mock(KafkaMock::start())
        }
    }

    fn client(&self, settings: &[(&str, &str)]) -> ClientConfig {
        let bootstrap = match self {
            Self::Broker(server) => server.bootstrap(),
            Self::Mock(mock) => mock.bootstrap().to_owned(),
        };
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", bootstrap);
        for (name, value) in settings {
            client.set(*name, *value);
        }
        client
    }
}

/// Counts what is not confirmed yet.
struct Unconfirmed {
    left: AtomicUsize,
    none: Notify,
}

impl ClientContext for Unconfirmed {}

impl ProducerContext for Unconfirmed {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if result.is_ok() && self.left.fetch_sub(1, AcqRel) == 1 {
            self.none.notify_one();
        }
    }
}

impl Broker for Kafka {
    const NAME: &'static str = "kafka";
    const RAW: &'static str = "rdkafka, all at once, a commit every 100 ms:";

    fn url(&self, prefix: &str) -> String {
        let options = format!("prefix={prefix}");
        match self {
            Self::Broker(server) => server.url(&options),
            Self::Mock(mock) => mock.url(&options),
        }
    }

    /// As the transport makes it, so that it has as many partitions.
    async fn prepare(&self, name: &str) {
        connect(&self.url(name)).expect("an address").publisher().await.expect("a topic");
    }

    async fn publish(&self, name: &str, messages: &[Outgoing]) {
        let settings =
            [("enable.idempotence", "true"), ("acks", "all"), ("linger.ms", "0"), ("partitioner", "murmur2_random")];
        let unconfirmed = Unconfirmed { left: AtomicUsize::new(messages.len()), none: Notify::new() };
        let client = self.client(&settings);
        let producer = ThreadedProducer::from_config_and_context(&client, unconfirmed).expect("a producer");
        // A producer's id is asked for behind these answers; without the second one, only after half a second.
        for _ in 0..2 {
            producer.client().fetch_metadata(Some(name), LIMIT).expect("a topic");
        }
        for message in messages {
            let headers = OwnedHeaders::new_with_capacity(2)
                .insert(Header { key: "content-type", value: Some(message.content.content_type()) })
                .insert(Header { key: "event", value: Some(&message.event) });
            let record = BaseRecord::to(name).key(&message.key).headers(headers).payload(message.content.body());
            producer.send(record).map_err(|(error, _)| error).expect("a queue that holds all");
        }
        let all = tokio::time::timeout(LIMIT, producer.context().none.notified());
        all.await.expect("each message is confirmed in time");
        // Its end waits for its threads, which is no part of publishing.
        std::thread::spawn(move || drop(producer));
    }

    async fn take(&self, name: &str, seen: &mut Seen, count: usize) {
        let settings = [
            ("group.id", name),
            ("auto.offset.reset", "earliest"),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
        ];
        let consumer: BaseConsumer = self.client(&settings).create().expect("a consumer");
        consumer.subscribe(&[name]).expect("a subscription");
        let mut committed = Instant::now();
        while seen.count < count {
            let Some(message) = consumer.poll(GATHER) else {
                // Partitions were assigned, or nothing came: whoever has a time limit may look at it.
                tokio::task::yield_now().await;
                continue;
            };
            let message = message.expect("a message");
            seen.read(message.payload().expect("a body"));
            consumer.store_offset_from_message(&message).expect("a partition of its own");
            if committed.elapsed() >= GATHER {
                consumer.commit_consumer_state(CommitMode::Async).expect("a commit");
                committed = Instant::now();
            }
        }
        consumer.commit_consumer_state(CommitMode::Sync).expect("a commit");
    }

    async fn stored(&self, name: &str) -> usize {
        let client: BaseConsumer = self.client(&[]).create().expect("a client");
        let metadata = client.fetch_metadata(Some(name), LIMIT).expect("a topic");
        let ends = metadata.topics()[0].partitions().iter().map(|partition| {
            let (first, next) = client.fetch_watermarks(name, partition.id(), LIMIT).expect("a partition's ends");
            (next - first) as usize
        });
        ends.sum()
    }

    async fn stored_by_transport(&self, prefix: &str) -> usize {
        self.stored(prefix).await
    }
}
