//! A handler's dead letters: a queue, looked through by taking its messages and giving them back.

use std::collections::BTreeMap;

use lapin::{
    Channel, Connection,
    options::{BasicAckOptions, BasicGetOptions, BasicNackOptions},
};

use super::{
    connect::Broker,
    declare::{exists, look},
    lock::Lock,
    names::{Names, short},
    publish, wire,
};
use crate::{error::Result, transport::record::DeadMessage};

/// How far is looked for the oldest: each is a question to the broker.
const LOOK: usize = 10_000;

/// The oldest dead letters; they stay where they are. A quorum queue puts back what was taken behind what was not, so all
/// of them are looked at, and put in order by their names, which begin with the time.
pub(super) async fn list(
    broker: &Broker,
    connection: &Connection,
    names: &Names,
    limit: usize,
) -> Result<Vec<DeadMessage>> {
    let Some(desk) = Desk::open(broker, connection, names).await? else { return Ok(Vec::new()) };
    let mut letters = BTreeMap::new();
    for number in 0..LOOK {
        let Some(message) = desk.next().await? else { break };
        let delivery = message.delivery;
        let letter = wire::dead_letter(&delivery.routing_key, &delivery.properties, delivery.data);
        letters.insert((letter.id.clone(), number), letter);
        if letters.len() > limit {
            letters.pop_last();
        }
    }
    desk.put_back().await?;
    Ok(letters.into_values().collect())
}

/// Makes a dead letter a delivery again, or removes it; `false` if there is none of this name.
pub(super) async fn take_out(
    broker: &Broker,
    connection: &Connection,
    names: &Names,
    id: &str,
    redrive: bool,
) -> Result<bool> {
    let Some(desk) = Desk::open(broker, connection, names).await? else { return Ok(false) };
    let mut found = false;
    while let Some(message) = desk.next().await? {
        let delivery = message.delivery;
        if wire::dead_id(&delivery.properties) != id {
            continue;
        }
        let number = delivery.delivery_tag;
        if redrive {
            let from = wire::dead_queue(&delivery.properties);
            let letter = wire::dead_letter(&delivery.routing_key, &delivery.properties, delivery.data);
            desk.deliver(&letter, from).await?;
        }
        // Only now: what ends in between is there twice rather than not at all.
        let acknowledging = desk.channel.basic_ack(number, BasicAckOptions::default());
        broker.in_time("remove a dead letter", acknowledging).await?;
        found = true;
        break;
    }
    desk.put_back().await?;
    Ok(found)
}

/// One look through the queue, by one process at a time: what one has taken, another would not see.
struct Desk<'a> {
    broker: &'a Broker,
    channel: Channel,
    names: &'a Names,
    lock: Lock,
}

impl<'a> Desk<'a> {
    /// None if the handler has no dead letters' queue, for want of a subscription.
    async fn open(broker: &'a Broker, connection: &Connection, names: &'a Names) -> Result<Option<Self>> {
        let asking = broker.channel(connection).await?;
        if !exists(broker, look(&asking, names.dead())).await? {
            return Ok(None);
        }
        let lock = Lock::take(broker, connection, names.lock("dead")).await?;
        let channel = publish::confirming(broker, connection).await?;
        Ok(Some(Self { broker, channel, names, lock }))
    }

    async fn next(&self) -> Result<Option<lapin::message::BasicGetMessage>> {
        let getting = self.channel.basic_get(self.names.dead(), BasicGetOptions::default());
        self.broker.in_time("read dead letters", getting).await
    }

    /// To the queue that it came out of, or the handler's first where that one is gone.
    async fn deliver(&self, letter: &DeadMessage, from: Option<String>) -> Result<()> {
        let first = self.names.queue(0);
        let from = from.map_or_else(|| first.clone(), |name| short(&name));
        for queue in [from, first] {
            let properties = wire::redriven(&letter.message);
            if publish::into_queue(self.broker, &self.channel, queue, &letter.message.body, properties).await? {
                return Ok(());
            }
        }
        let cannot = self.broker.cannot("redrive a dead letter");
        let message = format!("{cannot}: there is no queue `{}`; start the handler first", self.names.queue(0));
        Err(crate::error::Error::new(crate::error::ErrorKind::NotFound, message))
    }

    async fn put_back(self) -> Result<()> {
        // Number 0: all that are left, and none is no error.
        let requeue = BasicNackOptions { multiple: true, requeue: true };
        self.broker.in_time("put dead letters back", self.channel.basic_nack(0, requeue)).await?;
        // Its end is answered when all of that has happened: the next one in line finds all of them.
        self.broker.in_time("put dead letters back", self.channel.close(200, Default::default())).await?;
        self.lock.release(self.broker).await
    }
}
