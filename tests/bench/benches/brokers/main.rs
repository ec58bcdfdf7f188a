//! What the transports cost beside the raw clients: publishing a backlog, taking it in, and committing while it is
//! published. Each broker is a server of its own on this machine. Kafka's is librdkafka's mock in this process, unless the
//! environment variable `DOMAIN_EVENTS_KAFKA_BROKER` names a broker's program; which of them it was is printed.
//! `cargo bench --bench brokers -- redis publish` runs a part of it; without words, all of it.

mod broker;
mod commit;
mod consume;
mod kafka;
mod nats;
mod publish;
mod rabbitmq;
mod redis;

use self::broker::Broker;

/// The words of the command line: brokers and parts, in any order.
struct Wanted(Vec<String>);

impl Wanted {
    fn broker(&self, name: &str) -> bool {
        self.any_or_all(name, &["redis", "nats", "amqp", "kafka"])
    }

    fn part(&self, name: &str) -> bool {
        self.any_or_all(name, &["publish", "consume", "commit"])
    }

    /// Whether it is named, or none of its kind is.
    fn any_or_all(&self, name: &str, kind: &[&str]) -> bool {
        self.0.iter().any(|word| word == name) || !self.0.iter().any(|word| kind.contains(&word.as_str()))
    }
}

async fn measure<B: Broker>(wanted: &Wanted, start: impl AsyncFnOnce() -> B) {
    if !wanted.broker(B::NAME) || !(wanted.part("publish") || wanted.part("consume")) {
        return;
    }
    let broker = start().await;
    if wanted.part("publish") {
        publish::measure(&broker).await;
    }
    if wanted.part("consume") {
        consume::measure(&broker).await;
    }
}

fn main() {
    let words = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let wanted = Wanted(words);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        measure(&wanted, redis::Redis::start).await;
        measure(&wanted, nats::Nats::start).await;
        measure(&wanted, rabbitmq::Rabbit::start).await;
        measure(&wanted, kafka::Kafka::start).await;
        if wanted.broker("redis") && wanted.part("commit") {
            commit::measure().await;
        }
    });
}
