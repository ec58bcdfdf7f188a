//! Kafka: one topic for all events, a consumer group per handler.
//!
//! `kafka://[user:password@]host[:9092][?options]`, and `kafka+ssl://` with the feature `kafka-tls`. Credentials are those
//! of SASL/PLAIN.
//!
//! | option | meaning, and what it is without |
//! |---|---|
//! | `prefix` | what all names below begin with: `events` |
//! | `brokers` | more brokers to begin with, `host:port` and commas between them |
//! | `partitions` | the partitions of the events' topic, if it is made here: 8; at most so many processes share a handler |
//! | `replication` | the copies of topics that are made here: -1, which leaves it to the broker (Kafka 2.4) |
//! | `publish_timeout_ms` | how long a message may stay unconfirmed: 30000 |
//! | `session_timeout_ms` | how long a process may be silent before others take over: 8000; brokers refuse less than 6000 |
//! | `ca` | a file of the authorities to trust, for `kafka+ssl://` |
//!
//! | on the broker | |
//! |---|---|
//! | topic `{prefix}` | all events; the key is the aggregate, the partition is chosen as Java's clients do (murmur2) |
//! | group `{prefix}.{handler}` | a handler's subscription; its offsets say how far it has settled each partition |
//! | topic `{prefix}.{handler}.retry` | what was redriven for the handler; the group takes it in too |
//! | topic `{prefix}.{handler}.dead` | its dead letters, compacted; a tombstone is what was redriven or discarded |
//!
//! Characters that Kafka allows in no name are written as `-u{hex}-`. A topic that exists is used as it is. The number of
//! partitions must not be raised while events are on the way: aggregates would change their partition and overtake
//! themselves.
//!
//! The topic's partitions are the shares that processes divide among them: `Subscription::partitions` is not used. A
//! broker does not filter: what a handler does not take is fetched, recognised by the header `event` or `ce_type`, and
//! dropped.
//!
//! # What is not promised
//!
//! - How long the broker keeps events is the topic's `retention.ms` (a week, unless set): what a handler that is away for
//!   longer has not taken in is gone. A group that is away longer than `offsets.retention.minutes` begins anew, with the
//!   first event that is still there.
//! - Offsets settle a partition from its beginning: behind a delivery that is held for long, what was settled in its
//!   partition comes again if the process dies.
//! - Partitions are spread evenly by their number (cooperative-sticky), the handler's retry partition counted with them:
//!   with few partitions for many processes, one of them may have nothing but that.
//! - When processes of a handler come or go, a partition can move away from one that still holds deliveries of it, for a
//!   handler that runs or waits for another attempt: they come to the new owner as well. A broker of this kind asks nobody.
//! - Kafka does not count deliveries; who has a partition counts itself in the note (metadata) of the group's offset:
//!   `deaths=2 before=4107` is, two ended without a word while they may have had what is before 4107. So `redelivered` is
//!   the number of those who may have had the message, not of those who had it.
//! - A delivery that is returned comes to the same process again until it closes: a partition has one owner.

mod dead_letter;
mod forget;
mod held;
mod inbound;
mod names;
mod poller;
mod progress;
mod publish;
mod settings;
mod topics;
mod voice;
mod wire;

use std::sync::Arc;

use inbound::KafkaInbound;
use names::Names;
use publish::{KafkaPublisher, Sender};
use settings::Settings;
use topics::{Inquirer, blocking};

use super::{
    BoxFuture, Capabilities, Inbound, Ordering, Publisher, Transport,
    record::{DeadMessage, Subscription},
};
use crate::error::{Error, ErrorKind, Result};

/// The transport at this address.
pub(super) fn open(url: &str) -> Result<Arc<dyn Transport>> {
    Ok(Arc::new(Kafka { settings: Settings::parse(url)? }))
}

#[derive(Debug)]
struct Kafka {
    settings: Settings,
}

impl Kafka {
    fn names(&self, handler: &str) -> Result<Names> {
        Names::of(&self.settings.prefix, handler)
    }
}

impl Transport for Kafka {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            confirms: true,
            redelivers: true,
            keeps_for_absent: true,
            replays: true,
            outlives_broker: true,
            ordering: Ordering::AcrossProcesses,
            shares: true,
            counts: true,
            dead_letters: true,
            forgets: true,
            several_processes: true,
            message_bytes: Some(1_000_000),
            ..Capabilities::none("kafka")
        }
    }

    fn address(&self) -> &str {
        &self.settings.shown
    }

    fn publisher(&self) -> BoxFuture<'_, Result<Box<dyn Publisher>>> {
        Box::pin(async {
            let settings = self.settings.clone();
            let sender = blocking(move || {
                Inquirer::new(&settings, None)?.make(&settings.prefix, settings.partitions, &[])?;
                let sender = Sender::new(&settings)?;
                sender.meet(&settings.prefix);
                Ok(sender)
            });
            Ok(Box::new(KafkaPublisher { sender: sender.await?, topic: self.settings.prefix.clone() }) as _)
        })
    }

    fn ensure<'a>(&'a self, subscription: &'a Subscription) -> BoxFuture<'a, Result<()>> {
        Box::pin(async {
            let names = self.names(&subscription.handler)?;
            let (settings, from_now) = (self.settings.clone(), subscription.from_now);
            blocking(move || {
                let inquirer = Inquirer::new(&settings, Some(&names.group))?;
                inquirer.make(&names.dead, 1, dead_letter::COMPACTED)?;
                let retried = inquirer.make(&names.retry, 1, &[])?;
                let partitions = inquirer.make(&settings.prefix, settings.partitions, &[])?;
                inquirer.begin(&names.retry, retried, false)?;
                inquirer.begin(&settings.prefix, partitions, from_now)
            })
            .await
        })
    }

    fn subscribe<'a>(&'a self, subscription: &'a Subscription) -> BoxFuture<'a, Result<Arc<dyn Inbound>>> {
        Box::pin(async {
            let (settings, subscription) = (self.settings.clone(), subscription.clone());
            blocking(move || {
                // Asked first, since a consumer that nobody answers says nothing.
                if Inquirer::new(&settings, None)?.partitions(&settings.prefix)?.is_none() {
                    let message = format!("there is no topic `{}` at {}", settings.prefix, settings.shown);
                    return Err(Error::new(ErrorKind::Unavailable, message));
                }
                Ok(Arc::new(KafkaInbound::new(&settings, &subscription)?) as _)
            })
            .await
        })
    }

    fn dead_letters<'a>(&'a self, handler: &'a str, limit: usize) -> BoxFuture<'a, Result<Vec<DeadMessage>>> {
        Box::pin(async move { dead_letter::list(&self.settings, &self.names(handler)?, limit).await })
    }

    fn redrive<'a>(&'a self, handler: &'a str, id: &'a str) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move { dead_letter::redrive(&self.settings, &self.names(handler)?, id).await })
    }

    fn discard<'a>(&'a self, handler: &'a str, id: &'a str) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move { dead_letter::discard(&self.settings, &self.names(handler)?, id).await })
    }

    fn forget<'a>(&'a self, handler: &'a str) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move {
            let (names, settings, handler) = (self.names(handler)?, self.settings.clone(), handler.to_owned());
            blocking(move || forget::all(&settings, &names, &handler)).await
        })
    }
}
