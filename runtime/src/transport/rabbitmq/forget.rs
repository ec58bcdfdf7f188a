//! Removing all that belongs to a handler.

use lapin::{
    Connection,
    options::{ExchangeDeleteOptions, QueueDeleteOptions},
};

use super::{
    connect::Broker,
    declare::{found, look},
    lock::Lock,
    names::{Names, SHARDS},
};
use crate::{error::Result, transport::taken_in};

/// Deletes the exchanges and queues of a handler that nobody takes part in; `false` if there are none.
pub(super) async fn all(broker: &Broker, connection: &Connection, handler: &str, names: &Names) -> Result<bool> {
    // Whoever comes meanwhile waits with making them.
    let lock = Lock::take(broker, connection, names.lock("bindings")).await?;
    let mut is_known = false;
    for queue in [names.members(), names.queue(0), names.dead()] {
        // One of its own, since asking for what does not exist ends a channel.
        let channel = broker.channel(connection).await?;
        let Some(queue) = found(broker, look(&channel, queue)).await? else { continue };
        if queue.name() == &names.members() && queue.consumer_count() > 0 {
            let who = format!("a process (in all: {})", queue.consumer_count());
            return Err(taken_in(handler, broker.address.shown(), &who));
        }
        is_known = true;
    }
    let channel = broker.channel(connection).await?;
    // The exchanges first, so that nothing more comes. What is not there is no error.
    let deleting = async {
        for exchange in [names.exchange(), names.stand_in()] {
            channel.exchange_delete(exchange, ExchangeDeleteOptions::default()).await?;
        }
        let own = [names.dead(), names.members(), names.bindings()];
        for queue in (0..SHARDS).map(|partition| names.queue(partition)).chain(own) {
            channel.queue_delete(queue, QueueDeleteOptions::default()).await?;
        }
        Ok(())
    };
    broker.in_time("forget the handler", deleting).await?;
    lock.release(broker).await?;
    Ok(is_known)
}
