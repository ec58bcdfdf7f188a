//! A lock on the broker: a queue that belongs to one connection, and is gone with it. Taken while bindings or dead letters
//! are worked on, and held by whoever owns a handler's queue.

use std::time::Duration;

use lapin::{
    Channel, Connection,
    options::{QueueDeclareOptions, QueueDeleteOptions},
    types::{FieldTable, ShortString},
};
use tokio::time::{Instant, sleep, timeout};

use super::{
    connect::{Broker, PATIENCE},
    error::is_locked,
};
use crate::error::{Error, ErrorKind, Result};

/// Who waits for a lock asks again after so long, and each time so much longer, up to so many times: each refusal ends a
/// channel, and is a line in the broker's log.
const RETRY: Duration = Duration::from_millis(100);
const LONGER: u32 = 8;

/// A lock that is held. [Let go](Self::release), or dropped with its connection, it is free.
#[derive(Debug)]
pub(super) struct Lock {
    channel: Channel,
    name: ShortString,
}

impl Lock {
    /// Takes the lock, waiting for whoever has it.
    pub(super) async fn take(broker: &Broker, connection: &Connection, name: ShortString) -> Result<Self> {
        let begun = Instant::now();
        for attempt in 1.. {
            if let Some(lock) = Self::try_take(broker, connection, name.clone()).await? {
                return Ok(lock);
            }
            if begun.elapsed() >= PATIENCE {
                break;
            }
            // Those who came together do not come back together.
            sleep((RETRY * attempt.min(LONGER)).mul_f64(0.5 + fastrand::f64())).await;
        }
        let message =
            format!("{}: another process has had it for {PATIENCE:?}", broker.cannot(&format!("lock `{name}`")));
        Err(Error::new(ErrorKind::Unavailable, message))
    }

    /// Takes the lock, unless somebody else has it.
    pub(super) async fn try_take(broker: &Broker, connection: &Connection, name: ShortString) -> Result<Option<Self>> {
        // A refusal ends the channel.
        let channel = broker.channel(connection).await?;
        let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
        let declaring = channel.queue_declare(name.clone(), options, FieldTable::default());
        match timeout(PATIENCE, declaring).await {
            Ok(Ok(_)) => Ok(Some(Self { channel, name })),
            Ok(Err(error)) if is_locked(&error) => Ok(None),
            Ok(Err(error)) => Err(broker.failed("take a lock", &error)),
            Err(_) => Err(broker.silent("take a lock")),
        }
    }

    /// Lets others have it.
    pub(super) async fn release(self, broker: &Broker) -> Result<()> {
        let deleting = self.channel.queue_delete(self.name.clone(), QueueDeleteOptions::default());
        broker.in_time("give a lock back", deleting).await.map(drop)
    }
}
