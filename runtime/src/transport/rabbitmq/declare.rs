//! Exchanges, queues and bindings of a subscription: made by `ensure`, and looked for when an inbound connects.
//!
//! The broker can't be asked for its bindings, so those that are no longer wanted can't be looked for. The handler's
//! exchange, which holds all of them, is made anew instead, while a stand-in routes the same: a queue that a message
//! reaches by two ways gets it once.

use futures_util::future::try_join_all;
use lapin::{
    Channel, Connection, ExchangeKind, Queue,
    options::{
        ExchangeBindOptions, ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions,
    },
    types::{AMQPValue, FieldTable, ShortString},
};

use super::{
    QueueKind,
    connect::Broker,
    error::is_not_found,
    lock::Lock,
    names::{Names, SHARDS, short},
};
use crate::{error::Result, transport::record::Subscription};

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
    queues(broker, &channel, subscription, names).await?;
    let _lock = Lock::take(broker, connection, names.lock("bindings")).await?;
    let binding = async {
        for (make, remove) in [(names.stand_in(), names.exchange()), (names.exchange(), names.stand_in())] {
            topic(&channel, make.clone()).await?;
            // Its queues first: what is routed to it must not end there.
            bind_queues(&channel, subscription, names, &make).await?;
            bind_events(&channel, subscription, names, &make).await?;
            channel.exchange_delete(remove, ExchangeDeleteOptions::default()).await?;
        }
        Ok(())
    };
    broker.in_time("bind the handler's queues", binding).await
}

/// The queues of a subscription. Those that exist are left as they are.
pub(super) async fn queues(
    broker: &Broker,
    channel: &Channel,
    subscription: &Subscription,
    names: &Names,
) -> Result<()> {
    let declaring = async {
        let kept = FieldTable::default();
        queue(broker, channel, names.dead(), kept).await?;
        queue(broker, channel, names.members(), FieldTable::default()).await?;
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
        let asking = look(&channel, names.queue(count));
        match tokio::time::timeout(super::connect::PATIENCE, asking).await {
            Ok(Ok(_)) => count += 1,
            Ok(Err(error)) if is_not_found(&error) => break,
            Ok(Err(error)) => return Err(broker.failed("look for the handler's queues", &error)),
            Err(_) => return Err(broker.silent("look for the handler's queues")),
        }
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

async fn topic(channel: &Channel, name: ShortString) -> lapin::Result<()> {
    let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    channel.exchange_declare(name, ExchangeKind::Topic, options, FieldTable::default()).await
}

/// Each shard to its queue; what others publish under the bare name of an event has none, and goes to the first queue.
async fn bind_queues(
    channel: &Channel,
    subscription: &Subscription,
    names: &Names,
    exchange: &ShortString,
) -> lapin::Result<()> {
    let partitions = partitions(subscription);
    let routes: Vec<(String, u16)> = if partitions == 1 {
        vec![("#".to_owned(), 0)]
    } else {
        let shards = (0..SHARDS).map(|shard| (format!("#.{shard}"), shard % partitions));
        shards.chain(subscription.events.iter().map(|event| (event.clone(), 0))).collect()
    };
    let bind = |(key, partition): (String, u16)| {
        let (queue, options) = (names.queue(partition), QueueBindOptions::default());
        channel.queue_bind(queue, exchange.clone(), short(&key), options, FieldTable::default())
    };
    try_join_all(routes.into_iter().map(bind)).await.map(drop)
}

async fn bind_events(
    channel: &Channel,
    subscription: &Subscription,
    names: &Names,
    exchange: &ShortString,
) -> lapin::Result<()> {
    let keys = subscription.events.iter().flat_map(|event| [event.clone(), format!("{event}.*")]);
    let bind = |key: String| {
        let options = ExchangeBindOptions::default();
        channel.exchange_bind(exchange.clone(), names.events(), short(&key), options, FieldTable::default())
    };
    try_join_all(keys.map(bind)).await.map(drop)
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}
