//! Which events reach a handler's queues: the bindings that `ensure` makes, and takes away where they are no longer wanted.
//!
//! The broker can't be asked for its bindings. So what is bound is written down beside them, and where something else is
//! wanted, the handler's exchange, which holds all of them, is made anew, while a stand-in routes the same: a queue that a
//! message reaches by two ways gets it once.

use futures_util::future::try_join_all;
use lapin::{
    Channel, Connection, ExchangeKind,
    options::{
        BasicAckOptions, BasicGetOptions, BasicNackOptions, ExchangeBindOptions, ExchangeDeclareOptions,
        ExchangeDeleteOptions, QueueBindOptions,
    },
    types::{FieldTable, ShortString},
};

use super::{
    connect::Broker,
    declare::{exists, partitions, topic},
    names::{Names, SHARDS, short},
    publish, wire,
};
use crate::{error::Result, transport::record::Subscription};

/// Makes sure that the subscription's events, and no others, reach its queues; `known` if all queues have been there, so
/// that what is written down about them still holds. To be called under the handler's lock.
pub(super) async fn follow(
    broker: &Broker,
    connection: &Connection,
    subscription: &Subscription,
    names: &Names,
    known: bool,
) -> Result<()> {
    let channel = publish::confirming(broker, connection).await?;
    let wanted = note(subscription);
    let written = broker.in_time("read what is bound", take_note(&channel, names, wanted.as_bytes())).await?;
    let made = is_made(broker, connection, names).await?;
    if !(known && made && written) {
        let binding = async {
            if made {
                make(&channel, subscription, names, &names.stand_in()).await?;
                channel.exchange_delete(names.exchange(), ExchangeDeleteOptions::default()).await?;
            }
            make(&channel, subscription, names, &names.exchange()).await?;
            channel.exchange_delete(names.stand_in(), ExchangeDeleteOptions::default()).await
        };
        broker.in_time("bind the handler's queues", binding).await?;
        publish::into_queue(broker, &channel, names.bindings(), wanted.as_bytes(), wire::note()).await?;
    }
    Ok(())
}

/// What is wanted, in the form in which it is written down.
fn note(subscription: &Subscription) -> String {
    format!("{}\n{}", partitions(subscription), subscription.events.join("\n"))
}

/// Whether this is written down. What is not as wanted is taken away: nothing is known while bindings change.
async fn take_note(channel: &Channel, names: &Names, wanted: &[u8]) -> lapin::Result<bool> {
    let Some(message) = channel.basic_get(names.bindings(), BasicGetOptions::default()).await? else {
        return Ok(false);
    };
    let delivery = message.delivery;
    let same = delivery.data == wanted;
    if same {
        channel.basic_nack(delivery.delivery_tag, BasicNackOptions { multiple: false, requeue: true }).await?;
    } else {
        channel.basic_ack(delivery.delivery_tag, BasicAckOptions::default()).await?;
    }
    Ok(same)
}

async fn is_made(broker: &Broker, connection: &Connection, names: &Names) -> Result<bool> {
    // One of its own, since asking for what does not exist ends a channel.
    let channel = broker.channel(connection).await?;
    let options = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
    let asking = channel.exchange_declare(names.exchange(), ExchangeKind::Topic, options, FieldTable::default());
    exists(broker, asking).await
}

/// An exchange between the application's and the handler's queues.
async fn make(
    channel: &Channel,
    subscription: &Subscription,
    names: &Names,
    exchange: &ShortString,
) -> lapin::Result<()> {
    topic(channel, exchange.clone()).await?;
    // Its queues first: what is routed to it must not end there.
    bind_queues(channel, subscription, names, exchange).await?;
    bind_events(channel, subscription, names, exchange).await
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
