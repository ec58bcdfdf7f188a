//! Which of a handler's queues this process takes in: its fair share of them. Run in the background by an inbound's
//! session.
//!
//! Who owns a queue holds its lock. How many processes take part is how many consume the members' queue, in which nothing
//! ever is. So nobody needs to know anybody else, and a process that dies is gone with its connection. That a queue has a
//! single active consumer guards what the locks leave open: a new owner gets nothing before the old one's connection is
//! gone and what it had is back.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::{StreamExt, future::try_join_all};
use lapin::{
    Channel, Consumer,
    options::{BasicCancelOptions, BasicConsumeOptions},
    types::{FieldTable, ShortString},
};
use tokio::{sync::mpsc::UnboundedSender, task::JoinHandle, time::timeout};

use super::{
    connect::{Broker, Connected},
    declare::look,
    lock::Lock,
    names::{Names, short},
    session::{Arrived, Shared, lock},
    wire,
};
use crate::{
    error::{Error, ErrorKind, Result},
    transport::record::{Delivery, Tag},
};

/// How often a process that has less than its share looks for a queue without an owner.
const HUNGRY: Duration = Duration::from_millis(500);

/// How often the others look whether there are more processes to share with.
const SATED: Duration = Duration::from_secs(2);

/// How long a queue that is to be handed over may take to be drained. One whose deliveries wait for a retry takes longer,
/// and is kept: a stall would be worse than an uneven share.
const DRAIN: Duration = Duration::from_secs(2);

/// A process's part in a subscription.
pub(super) struct Share {
    pub(super) broker: Arc<Broker>,
    pub(super) connection: Arc<Connected>,
    /// For questions.
    pub(super) control: Channel,
    /// For deliveries.
    pub(super) data: Channel,
    pub(super) names: Names,
    /// This session, unique.
    pub(super) member: String,
    /// How many consumers there have been.
    pub(super) consumers: u32,
    /// How many queues there are.
    pub(super) queues: u16,
    pub(super) shared: Arc<Shared>,
    pub(super) arrived: UnboundedSender<Arrived>,
    pub(super) owned: BTreeMap<u16, Owned>,
}

/// A queue that this process takes in.
pub(super) struct Owned {
    lock: Lock,
    consumer: ShortString,
    forwarder: Forwarder,
}

impl Share {
    /// Keeps the share fair until the connection is lost.
    pub(super) async fn keep(mut self) {
        loop {
            match self.turn().await {
                Ok(pause) => tokio::time::sleep(pause).await,
                Err(error) => {
                    let _ = self.arrived.send(Arrived::Lost(error));
                    return;
                }
            }
        }
    }

    /// Takes what is free up to the fair share, or hands over one queue that is too many.
    async fn turn(&mut self) -> Result<Duration> {
        let members = self.count(self.names.members()).await?.max(1);
        let fair = u32::from(self.queues).div_ceil(members) as usize;
        if self.owned.len() > fair {
            self.hand_over().await?;
        } else if self.owned.len() < fair {
            let missing: Vec<u16> = (0..self.queues).filter(|queue| !self.owned.contains_key(queue)).collect();
            let asked = missing.iter().map(|queue| self.count(self.names.queue(*queue)));
            let counts = try_join_all(asked).await?;
            let mut free: Vec<u16> = missing.into_iter().zip(counts).filter(|(_, n)| *n == 0).map(|(q, _)| q).collect();
            // Others may be looking at the same queues.
            fastrand::shuffle(&mut free);
            for queue in free {
                if self.owned.len() < fair {
                    self.claim(queue).await?;
                }
            }
        }
        Ok(if self.owned.len() < fair { HUNGRY } else { SATED })
    }

    async fn count(&self, queue: ShortString) -> Result<u32> {
        let state = self.broker.in_time("count consumers", look(&self.control, queue)).await?;
        Ok(state.consumer_count())
    }

    async fn claim(&mut self, queue: u16) -> Result<()> {
        let owner = self.names.owner(queue);
        if let Some(lock) = Lock::try_take(&self.broker, &self.connection, owner).await? {
            let (consumer, forwarder) = self.consume(queue).await?;
            self.owned.insert(queue, Owned { lock, consumer, forwarder });
        }
        Ok(())
    }

    async fn consume(&mut self, queue: u16) -> Result<(ShortString, Forwarder)> {
        // A process that dies may have deliveries of two consumers of one queue, where a hand-over was broken off: a quorum
        // queue takes them back in the order of the consumers' names.
        self.consumers += 1;
        let tag = short(&format!("{}.{:010}", self.member, self.consumers));
        let consuming = self.data.basic_consume(
            self.names.queue(queue),
            tag,
            BasicConsumeOptions::default(),
            FieldTable::default(),
        );
        let consumer = self.broker.in_time("consume", consuming).await?;
        Ok((consumer.tag(), Forwarder::start(consumer, queue, self.shared.clone(), self.arrived.clone())))
    }

    /// Gives up the queue that is closest to being drained.
    async fn hand_over(&mut self) -> Result<()> {
        let Some(queue) = self.owned.keys().copied().min_by_key(|queue| self.unsettled(*queue)) else { return Ok(()) };
        let Some(mut owned) = self.owned.remove(&queue) else { return Ok(()) };
        owned.forwarder.expect_end();
        let cancelling = self.data.basic_cancel(owned.consumer, BasicCancelOptions::default());
        self.broker.in_time("stop consuming", cancelling).await?;
        // Until then, deliveries may still be on their way to the ledger.
        owned.forwarder.ended().await;
        if timeout(DRAIN, self.drained(queue)).await.is_ok() {
            return owned.lock.release(&self.broker).await;
        }
        (owned.consumer, owned.forwarder) = self.consume(queue).await?;
        self.owned.insert(queue, owned);
        Ok(())
    }

    async fn drained(&self, queue: u16) {
        loop {
            // Before the look, so that nothing is missed between the two.
            let settled = self.shared.settled.notified();
            if self.unsettled(queue) == 0 {
                return;
            }
            settled.await;
        }
    }

    fn unsettled(&self, queue: u16) -> usize {
        lock(&self.shared.ledger).unsettled_of(queue)
    }
}

/// The task that writes down what a consumer gets, and passes it on in order. Nothing holds it up: how much it has in hand
/// is bounded by the consumer's prefetch.
struct Forwarder {
    task: JoinHandle<()>,
    leaving: Arc<AtomicBool>,
}

impl Forwarder {
    fn start(mut consumer: Consumer, queue: u16, shared: Arc<Shared>, arrived: UnboundedSender<Arrived>) -> Self {
        let leaving = Arc::new(AtomicBool::new(false));
        let left = leaving.clone();
        let task = tokio::spawn(async move {
            while let Some(next) = consumer.next().await {
                let arrival = match next {
                    Ok(delivery) => {
                        let tag = lock(&shared.ledger).open(delivery.delivery_tag, queue);
                        let redelivered = wire::redelivered(delivery.redelivered, &delivery.properties);
                        let message = wire::incoming(&delivery.routing_key, &delivery.properties, delivery.data);
                        Arrived::Delivery(Delivery { tag: Tag(tag), message: Arc::new(message), redelivered })
                    }
                    Err(error) => Arrived::Broken(error),
                };
                if arrived.send(arrival).is_err() {
                    return;
                }
            }
            if !left.load(Ordering::Acquire) {
                let message =
                    format!("the broker ended the consumer of `{}`: was the queue deleted?", consumer.queue());
                let _ = arrived.send(Arrived::Lost(Error::new(ErrorKind::Unavailable, message)));
            }
        });
        Self { task, leaving }
    }

    /// The consumer is about to be cancelled.
    fn expect_end(&self) {
        self.leaving.store(true, Ordering::Release);
    }

    async fn ended(&mut self) {
        let _ = (&mut self.task).await;
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.task.abort();
    }
}
