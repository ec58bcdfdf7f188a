//! The way in: one idempotent producer, a window of messages on the way, and an end at the first that fails.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use rdkafka::{
    client::ClientContext,
    config::{FromClientConfigAndContext, RDKafkaLogLevel},
    error::{KafkaError, RDKafkaErrorCode as Code},
    message::OwnedHeaders,
    producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, PurgeConfig, ThreadedProducer},
};
use tokio::sync::Notify;

use super::{
    settings::Settings,
    voice::{self, Voice, lock},
    wire,
};
use crate::{
    error::{Error, ErrorKind, Result},
    transport::{
        BoxFuture, Publisher,
        record::{Outgoing, Unconfirmed},
    },
};

/// So many messages are on the way at a time, at most.
const WINDOW: usize = 1_024;

/// And so many bytes: far below what librdkafka's queue holds.
const WINDOW_BYTES: usize = 64 << 20;

/// What is larger is in no batch with others: if the broker refuses it for its size, it is the one that is too large.
pub(super) const BATCH_BYTES: usize = 128 << 10;

/// How long one of the answers is waited for that a producer begins with.
const GREETING: Duration = Duration::from_secs(1);

/// A record to send. No body is a tombstone.
pub(super) struct Record<'a> {
    pub(super) topic: &'a str,
    /// Chosen by the key if not given.
    pub(super) partition: Option<i32>,
    pub(super) key: &'a str,
    pub(super) headers: OwnedHeaders,
    pub(super) body: Option<&'a [u8]>,
}

/// A producer. After its first failure it sends nothing more.
pub(super) struct Sender {
    producer: Option<ThreadedProducer<Courier>>,
    ended: AtomicBool,
    broker: String,
}

impl Sender {
    pub(super) fn new(settings: &Settings) -> Result<Self> {
        let producer = ThreadedProducer::from_config_and_context(&settings.producer(), Courier::default())
            .map_err(|error| voice::failure("making a producer", &settings.shown, &error, None))?;
        Ok(Self { producer: Some(producer), ended: AtomicBool::new(false), broker: settings.shown.clone() })
    }

    /// Blocks until the broker has answered twice: behind an answer librdkafka asks for the producer's id, but behind the
    /// first it finds no connection for it, and waits half a second. What is wrong is said by the first publish.
    pub(super) fn meet(&self, topic: &str) {
        let Some(producer) = &self.producer else { return };
        for _ in 0..2 {
            let _ = producer.client().fetch_metadata(Some(topic), GREETING);
        }
    }

    /// Sends in this order, and returns when all of it is confirmed or something failed.
    pub(super) async fn send<'a>(&self, records: impl Iterator<Item = Record<'a>> + Send) -> Result<(), Unconfirmed> {
        let Some(producer) = self.producer.as_ref().filter(|_| !self.ended.load(Relaxed)) else {
            return Err(Unconfirmed::all(Error::new(ErrorKind::Unavailable, "the producer has ended")));
        };
        let mut records = records.peekable();
        let mut confirmed = 0;
        while records.peek().is_some() {
            let batch = Arc::new(Batch::default());
            let (mut bytes, mut sizes) = (0, Vec::new());
            for index in 0..WINDOW {
                let Some(record) = records.next_if(|_| bytes < WINDOW_BYTES) else { break };
                sizes.push(record.body.map_or(0, <[u8]>::len));
                bytes += sizes[index];
                batch.add();
                let base =
                    BaseRecord::with_opaque_to(record.topic, Box::new(Receipt { batch: Arc::clone(&batch), index }));
                let base = base.key(record.key).headers(record.headers);
                let base = if let Some(partition) = record.partition { base.partition(partition) } else { base };
                let base = if let Some(body) = record.body { base.payload(body) } else { base };
                if let Err((error, _)) = producer.send(base) {
                    batch.done(index, Err(error));
                    break;
                }
            }
            let (leading, error) = batch.wait(|| self.end(producer)).await;
            confirmed += leading;
            if let Some((index, error)) = error {
                self.end(producer);
                // Only of the first that is not confirmed can it be said that it will never be.
                let is_too_large = error.rdkafka_error_code() == Some(Code::MessageSizeTooLarge)
                    && index == leading
                    && sizes[index] > BATCH_BYTES;
                let mut error = self.explain(producer, &error);
                if is_too_large {
                    error = Error::new(ErrorKind::InvalidEvent, error.to_string());
                }
                return Err(Unconfirmed { confirmed, error });
            }
        }
        Ok(())
    }

    /// Sends nothing more: a later message must not overtake the second try of the one that failed.
    fn end(&self, producer: &ThreadedProducer<Courier>) {
        self.ended.store(true, Relaxed);
        producer.purge(PurgeConfig::default().queue().inflight());
    }

    fn explain(&self, producer: &ThreadedProducer<Courier>, error: &KafkaError) -> Error {
        let heard = producer.context().voice.take();
        // "Fatal" says only that an earlier message failed: that one's error is the cause.
        let fatal = producer.client().fatal_error().filter(|_| error.rdkafka_error_code() == Some(Code::Fatal));
        let doing = "publishing";
        match fatal {
            Some((code, reason)) => voice::failed(doing, &self.broker, code, heard.or(Some((code, reason)))),
            None => voice::failure(doing, &self.broker, error, heard),
        }
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        let Some(producer) = self.producer.take() else { return };
        // What is still queued must not arrive behind the back of whoever publishes it again.
        producer.purge(PurgeConfig::default().queue().inflight());
        // Its end waits for its threads, which an executor's thread must not.
        std::thread::spawn(move || drop(producer));
    }
}

/// The publisher of a transport.
pub(super) struct KafkaPublisher {
    pub(super) sender: Sender,
    pub(super) topic: String,
}

impl Publisher for KafkaPublisher {
    fn publish<'a>(&'a mut self, messages: &'a [Outgoing]) -> BoxFuture<'a, Result<(), Unconfirmed>> {
        let records = messages.iter().map(|message| Record {
            topic: &self.topic,
            partition: None,
            key: &message.key,
            headers: wire::headers_of(message),
            body: Some(message.content.body()),
        });
        Box::pin(self.sender.send(records))
    }
}

/// What became of messages that were sent together.
#[derive(Default)]
struct Batch {
    state: Mutex<Results>,
    changed: Notify,
}

#[derive(Default)]
struct Results {
    /// Whether each is confirmed.
    confirmed: Vec<bool>,
    /// So many have neither been confirmed nor failed.
    left: usize,
    /// Which failed first, and why.
    cause: Option<(usize, KafkaError)>,
}

impl Batch {
    fn add(&self) {
        let mut results = lock(&self.state);
        results.confirmed.push(false);
        results.left += 1;
    }

    fn done(&self, index: usize, result: Result<(), KafkaError>) {
        let mut results = lock(&self.state);
        results.left = results.left.saturating_sub(1);
        match result {
            Ok(()) => {
                if let Some(confirmed) = results.confirmed.get_mut(index) {
                    *confirmed = true;
                }
            }
            Err(error) => drop(results.cause.get_or_insert((index, error))),
        }
        if results.left == 0 || results.cause.is_some() {
            self.changed.notify_one();
        }
    }

    /// Waits until nothing is left: how many leading ones were confirmed, and which failed first. Stops the rest at the first
    /// that fails.
    async fn wait(&self, stop: impl Fn()) -> (usize, Option<(usize, KafkaError)>) {
        let mut stopped = false;
        loop {
            {
                let mut results = lock(&self.state);
                if results.left == 0 {
                    let leading = results.confirmed.iter().take_while(|confirmed| **confirmed).count();
                    return (leading, results.cause.take());
                }
                let failed = results.cause.is_some();
                drop(results);
                if failed && !std::mem::replace(&mut stopped, true) {
                    stop();
                }
            }
            // Bounded by `message.timeout.ms`, and by the purge when the producer is dropped.
            self.changed.notified().await;
        }
    }
}

/// A message's place in its batch.
struct Receipt {
    batch: Arc<Batch>,
    index: usize,
}

/// The producer's callbacks.
#[derive(Default)]
struct Courier {
    voice: Voice,
}

impl ClientContext for Courier {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.voice.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.voice.error(error, reason);
    }
}

impl ProducerContext for Courier {
    type DeliveryOpaque = Box<Receipt>;

    fn delivery(&self, result: &DeliveryResult<'_>, receipt: Box<Receipt>) {
        let result = result.as_ref().map(drop).map_err(|(error, _)| error.clone());
        receipt.batch.done(receipt.index, result);
    }
}
