//! Exchanges and queues of a subscription: made by `ensure`, and looked for when an inbound connects.

use std::time::Duration;

use lapin::{
    Channel, Connection, ExchangeKind, Queue,
    options::{ExchangeDeclareOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable, ShortString},
};

use super::{
    QueueKind, bindings,
    connect::{Broker, PATIENCE},
    error::is_not_found,
    lock::Lock,
    names::{Names, SHARDS, short},
};
use crate::{error::Result, transport::record::Subscription};

/// After so long a new quorum queue survives a broker that is killed: the broker writes its register of them down half a
/// second late, and a queue that is not in there starts empty, and without a leader.
const REGISTERED: Duration = Duration::from_millis(800);

/// What is never reached. RabbitMQ 4 would count 20 deliveries otherwise and drop the message; attempts are counted by
/// the consumer.
const DELIVERIES: i64 = 1_000_000;

/// Into how many queues a subscription is split on this broker.
pub(super) fn partitions(subscription: &Subscription) -> u16 {
    subscription.partitions.clamp(1, SHARDS)
}

/// The application's exchange.
pub(super) async fn events(broker: &Broker, channel: &Channel, exchange: &ShortString) -> Result<()> {
    broker.in_time("declare the exchange", topic(channel, exchange.clone())).await
}

/// All that belongs to a subscription.
pub(super) async fn subscription(
    broker: &Broker,
    connection: &Connection,
    subscription: &Subscription,
    names: &Names,
) -> Result<()> {
    let channel = broker.channel(connection).await?;
    events(broker, &channel, &names.events()).await?;
    // Many workers may start at a time: those who waited find everything done.
    let lock = Lock::take(broker, connection, names.lock("bindings")).await?;
    let existed = all_exist(broker, connection, subscription, names).await?;
    queues(broker, &channel, subscription, names).await?;
    if !existed && broker.queue == QueueKind::Quorum {
        tokio::time::sleep(REGISTERED).await;
    }
    bindings::follow(broker, connection, subscription, names, existed).await?;
    lock.release(broker).await
}

/// Whether none of the queues is missing.
async fn all_exist(
    broker: &Broker,
    connection: &Connection,
    subscription: &Subscription,
    names: &Names,
) -> Result<bool> {
    // One of its own, since asking for what does not exist ends a channel.
    let channel = broker.channel(connection).await?;
    for partition in 0..partitions(subscription) {
        if !exists(broker, look(&channel, names.queue(partition))).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether something is there.
pub(super) async fn exists<T>(broker: &Broker, asking: impl Future<Output = lapin::Result<T>>) -> Result<bool> {
    found(broker, asking).await.map(|found| found.is_some())
}

/// The answer to a question for something that may not exist.
pub(super) async fn found<T>(broker: &Broker, asking: impl Future<Output = lapin::Result<T>>) -> Result<Option<T>> {
    const DOING: &str = "look for what belongs to the handler";
    match tokio::time::timeout(PATIENCE, asking).await {
        Ok(Ok(found)) => Ok(Some(found)),
        Ok(Err(error)) if is_not_found(&error) => Ok(None),
        Ok(Err(error)) => Err(broker.failed(DOING, &error)),
        Err(_) => Err(broker.silent(DOING)),
    }
}

/// The queues of a subscription. Those that exist are left as they are.
pub(super) async fn queues(
    broker: &Broker,
    channel: &Channel,
    subscription: &Subscription,
    names: &Names,
) -> Result<()> {
    let declaring = async {
        queue(broker, channel, names.dead(), FieldTable::default()).await?;
        queue(broker, channel, names.members(), FieldTable::default()).await?;
        queue(broker, channel, names.bindings(), latest_only()).await?;
        for partition in 0..partitions(subscription) {
            queue(broker, channel, names.queue(partition), working(names)).await?;
        }
        Ok(())
    };
    broker.in_time("declare the handler's queues", declaring).await
}

/// How many queues the subscription has on the broker: more than it wants, where it was split into more before. They get
/// nothing new, and must be emptied.
pub(super) async fn existing(
    broker: &Broker,
    connection: &Connection,
    subscription: &Subscription,
    names: &Names,
) -> Result<u16> {
    let mut count = partitions(subscription);
    while count < SHARDS {
        // One of its own, since asking for what does not exist ends a channel.
        let channel = broker.channel(connection).await?;
        if !exists(broker, look(&channel, names.queue(count))).await? {
            break;
        }
        count += 1;
    }
    Ok(count)
}

/// Asks for a queue's state, which is `NOT_FOUND` if it does not exist.
pub(super) async fn look(channel: &Channel, queue: ShortString) -> lapin::Result<Queue> {
    let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(queue, options, FieldTable::default()).await
}

/// A queue that survives the broker.
async fn queue(broker: &Broker, channel: &Channel, name: ShortString, mut arguments: FieldTable) -> lapin::Result<()> {
    if broker.queue == QueueKind::Quorum {
        arguments.insert(short("x-queue-type"), text("quorum"));
        arguments.insert(short("x-delivery-limit"), AMQPValue::LongLongInt(DELIVERIES));
    }
    channel.queue_declare(name, QueueDeclareOptions::durable(), arguments).await.map(drop)
}

/// A queue of deliveries: one consumer gets them at a time, the next one when the broker has back what the first one had.
/// What the broker throws out, for a limit that its operator set, is a dead letter.
fn working(names: &Names) -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert(short("x-single-active-consumer"), AMQPValue::Boolean(true));
    arguments.insert(short("x-dead-letter-exchange"), text(""));
    arguments.insert(short("x-dead-letter-routing-key"), text(names.dead().as_str()));
    arguments
}

/// A queue of one message: a new one replaces it.
fn latest_only() -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert(short("x-max-length"), AMQPValue::LongLongInt(1));
    arguments
}

/// A topic exchange that survives the broker.
pub(super) async fn topic(channel: &Channel, name: ShortString) -> lapin::Result<()> {
    let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    channel.exchange_declare(name, ExchangeKind::Topic, options, FieldTable::default()).await
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}
