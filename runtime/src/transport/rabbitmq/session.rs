//! One connection of an inbound, from connecting to its loss. An inbound makes a new one after each loss.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use lapin::{
    Channel,
    options::{BasicConsumeOptions, BasicQosOptions},
    types::FieldTable,
};
use tokio::{
    sync::{
        Notify,
        mpsc::{UnboundedReceiver, unbounded_channel},
    },
    task::JoinHandle,
};

use super::{
    connect::{Broker, Connected},
    declare,
    ledger::Ledger,
    names::{Names, short},
    publish, settling,
    share::Share,
};
use crate::{
    error::{Error, ErrorKind, Result},
    transport::record::{Delivery, Subscription},
};

/// The least that each queue may have on the way, so that one held-up aggregate does not hold up all that share its queue.
const PREFETCH: usize = 64;

/// How often a session that has no room for deliveries looks whether it is still connected.
const LOOK: Duration = Duration::from_millis(100);

/// More acknowledgements than a quorum queue may take at a time, with room to spare.
const MANY: usize = 16;

/// What comes out of a session's background.
#[derive(Debug)]
pub(super) enum Arrived {
    /// A delivery, already in the ledger.
    Delivery(Delivery),
    /// The client library reports the loss of the connection.
    Broken(lapin::Error),
    /// The session is of no use any more.
    Lost(Error),
}

/// What an inbound and the background of its session both use. It outlives sessions.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) ledger: Mutex<Ledger>,
    /// Rung when something was settled.
    pub(super) settled: Notify,
    /// Acknowledgements must reach the broker in the order in which the ledger planned them.
    pub(super) settling: tokio::sync::Mutex<()>,
    /// Rung when something is settled of which the broker was not told.
    pub(super) late: Notify,
    /// When many were acknowledged one by one, the last time.
    pub(super) singly: Mutex<Option<Instant>>,
}

impl Shared {
    /// So many are acknowledged one by one now.
    pub(super) fn note_singly(&self, single: usize) {
        if single > MANY {
            *lock(&self.singly) = Some(Instant::now());
        }
    }
}

/// A connected session. Dropped, its connection is closed: the broker delivers what is unsettled to others.
pub(super) struct Session {
    pub(super) arrived: UnboundedReceiver<Arrived>,
    pub(super) line: Line,
    broker: Arc<Broker>,
    keeper: JoinHandle<()>,
    teller: JoinHandle<()>,
}

/// Where settlements go.
#[derive(Clone)]
pub(super) struct Line {
    pub(super) connection: Arc<Connected>,
    /// The channel of the deliveries.
    pub(super) data: Channel,
    /// A channel with confirmations, for dead letters.
    pub(super) letters: Channel,
    /// How many settled deliveries may wait to be told.
    pub(super) patience: usize,
}

impl Session {
    pub(super) async fn connect(
        broker: &Arc<Broker>,
        subscription: &Subscription,
        names: &Names,
        shared: &Arc<Shared>,
    ) -> Result<Self> {
        let connection = Arc::new(broker.connect(&subscription.handler).await?);
        // Without a change of bindings, if everything is there: this may be an older release that reconnects.
        let asking = broker.channel(&connection).await?;
        if declare::exists(broker, declare::look(&asking, names.queue(0))).await? {
            declare::queues(broker, &asking, subscription, names).await?;
        } else {
            declare::subscription(broker, &connection, subscription, names).await?;
        }
        let queues = declare::existing(broker, &connection, subscription, names).await?;
        let (control, data) = (broker.consuming(&connection).await?, broker.consuming(&connection).await?);
        let letters = publish::confirming(broker, &connection).await?;
        let prefetch = (subscription.window / usize::from(queues)).max(PREFETCH.min(subscription.window)).max(1);
        let prefetch = u16::try_from(prefetch).unwrap_or(u16::MAX);
        broker.in_time("set the prefetch", data.basic_qos(prefetch, BasicQosOptions::default())).await?;
        // Not the node alone: one process may take part twice.
        let member = uuid::Uuid::now_v7().to_string();
        let joining = control.basic_consume(
            names.members(),
            short(&format!("{member}.{}", subscription.node)),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        );
        // Dropped, it would take itself out of the count.
        let membership = broker.in_time("take part", joining).await?;
        let (sender, arrived) = unbounded_channel();
        let share = Share {
            broker: broker.clone(),
            connection: connection.clone(),
            control,
            data: data.clone(),
            names: names.clone(),
            member,
            consumers: 0,
            queues,
            shared: shared.clone(),
            arrived: sender,
            owned: BTreeMap::new(),
        };
        let keeper = tokio::spawn(async move {
            let _membership = membership;
            share.keep().await;
        });
        let teller = tokio::spawn(settling::tell_late(broker.clone(), shared.clone(), data.clone()));
        let line = Line { connection, data, letters, patience: settling::patience(prefetch) };
        Ok(Self { arrived, line, broker: broker.clone(), keeper, teller })
    }
}

impl Session {
    /// Waits for the loss of the connection, leaving deliveries where they are.
    pub(super) async fn lost(&self) -> Arrived {
        let (doing, broker) = ("take in deliveries", &self.broker);
        loop {
            tokio::time::sleep(LOOK).await;
            let Line { connection, data, .. } = &self.line;
            let alive = connection.status().connected() && data.status().connected() && !self.keeper.is_finished();
            if !alive {
                let error =
                    Error::new(ErrorKind::Unavailable, format!("{}: the connection is lost", broker.cannot(doing)));
                return Arrived::Lost(error);
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.keeper.abort();
        self.teller.abort();
    }
}

/// The guard of a lock that is only ever held for a moment, whatever became of its last holder.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
