//! Reading one shard: what an earlier owner left unsettled, then what a consumer of its own delivers, in order. `keeper`
//! runs one such task for each shard that this process holds.

use std::{collections::HashSet, convert::Infallible, sync::Arc, time::Duration};

use async_nats::{
    Client, HeaderMap,
    jetstream::{
        self, Context, ErrorCode, Message,
        consumer::{AckPolicy, Consumer, DeliverPolicy, pull},
        context::ConsumerInfoErrorKind,
        stream::{ConsumerError, ConsumerErrorKind, Stream},
    },
};
use futures_util::{StreamExt, future::join_all, stream};
use tokio::sync::{Semaphore, mpsc, watch};

use super::{
    connect::unavailable,
    desk::{Desk, Item},
    headers,
    ledger::{Position, Shard},
    names,
    options::Options,
    pull::Pull,
};
use crate::error::{Error, Result};

/// Never reached in practice: a delivery stays with the shard's owner, and a dead owner's shard is read anew. Where a
/// delivery takes longer than this, the copies that then come, of it and of what stands behind it, are dropped.
const ACK_WAIT: Duration = Duration::from_secs(3_600);

/// How many messages an earlier owner left are fetched at a time.
const FETCH: usize = 64;

/// How many generations back a consumer is looked for: takings that died before they made one.
const GENERATIONS: u64 = 8;

/// What the readers of one connection share.
pub(super) struct Room {
    pub(super) options: Arc<Options>,
    pub(super) handler: Arc<str>,
    pub(super) node: Arc<str>,
    pub(super) window: usize,
    pub(super) shards: u16,
    pub(super) client: Client,
    pub(super) jetstream: Context,
    pub(super) stream: Stream,
    pub(super) desk: Arc<Desk>,
    pub(super) permits: Arc<Semaphore>,
    pub(super) items: mpsc::Sender<Result<Item>>,
    /// The events that the handler takes, as subjects say them.
    pub(super) events: watch::Sender<HashSet<String>>,
}

/// A shard that this process has taken just now.
#[derive(Clone)]
pub(super) struct Taken {
    pub(super) index: u16,
    /// Its entry, with the new generation.
    pub(super) shard: Shard,
    /// Its last owner died.
    pub(super) crashed: bool,
}

/// How far a shard is, from its entry and from what the last owner's consumer knows.
pub(super) struct Found {
    pub(super) position: Position,
    pub(super) deaths: Vec<u64>,
}

impl Room {
    fn trouble(&self, what: &str, error: impl std::fmt::Display) -> Error {
        unavailable(&self.options, &format!("`{}`: {what}", self.handler), error)
    }

    /// Finds out how far a shard is that was taken.
    /// `known`: what this process itself knows, having held it last.
    pub(super) async fn find(&self, taken: &Taken, known: Option<Position>) -> Result<Found> {
        let Taken { index, shard, crashed } = taken;
        let generations = if known.is_some() { 0 } else { GENERATIONS };
        let mut found =
            Found { position: known.unwrap_or_else(|| shard.position.clone()), deaths: shard.deaths.clone() };
        let mut delivered = found.position.last;
        for generation in (shard.generation.saturating_sub(generations)..shard.generation).rev() {
            let name = names::consumer(&self.handler, *index, generation);
            let info = match self.stream.consumer_info(&name).await {
                Ok(info) => info,
                Err(error) if is_missing(&error.kind()) => continue,
                Err(error) => return Err(self.trouble("a consumer can't be looked at", error)),
            };
            let DeliverPolicy::ByStartSequence { start_sequence } = info.config.deliver_policy else { continue };
            let floor = info.ack_floor.stream_sequence;
            // What lies before the consumer's start was not delivered by it.
            found.position.held.retain(|held| *held < start_sequence || *held > floor);
            found.position.last = found.position.last.max(floor);
            delivered = delivered.max(info.delivered.stream_sequence);
            break;
        }
        let state = self.stream.get_info().await;
        let state = state.map_err(|error| self.trouble("the stream can't be looked at", error))?.state;
        // The stream was made anew, or lost its end in a power cut.
        found.position.last = found.position.last.min(state.last_sequence);
        found.position.held.retain(|held| *held <= state.last_sequence && *held >= state.first_sequence);
        if *crashed && (delivered > found.position.last || !found.position.held.is_empty()) {
            found.deaths.push(delivered.max(found.position.last));
        }
        Ok(found)
    }

    /// Reads a shard until it is aborted, or something is lost.
    /// `left`: what earlier owners left unsettled up to `last`.
    pub(super) async fn read(self: Arc<Self>, shard: u16, generation: u64, last: u64, left: Vec<u64>) -> Error {
        match self.run(shard, generation, last, left).await {
            Err(error) => error,
            Ok(never) => match never {},
        }
    }

    async fn run(&self, shard: u16, generation: u64, last: u64, left: Vec<u64>) -> Result<Infallible> {
        let consumer = self.consumer(shard, generation, last + 1).await?;
        self.remove_older(shard, generation).await?;
        let mut left = stream::iter(left).map(|sequence| self.left(sequence)).buffered(FETCH);
        while let Some((sequence, message)) = left.next().await.transpose()? {
            match message {
                Some(message) => {
                    let incoming = headers::incoming(&message.subject, Some(&message.headers), &message.payload);
                    let redelivered = self.desk.deaths_since(shard, sequence);
                    self.pass_on(shard, generation, sequence, redelivered, incoming).await?;
                }
                None => self.desk.skipped(shard, generation, sequence),
            }
        }
        // The batches of all shards together are about what may be unsettled.
        let batch = (self.window / usize::from(self.shards)).clamp(1, 256);
        let begun = Pull::begin(&self.client, &self.stream, &consumer, batch).await;
        let mut messages = begun.map_err(|error| self.trouble("nothing can be asked for", error))?;
        let (mut expected, mut context) = (1, self.jetstream.clone());
        loop {
            let message = messages.next().await.map_err(|error| self.trouble("the deliveries stopped", error))?;
            let message = Message { message, context };
            self.delivered(shard, generation, &message, &mut expected).await?;
            // A clone of it for each message would cost more than reading its headers.
            context = message.context;
        }
    }

    /// From here on whoever held the shard before gets nothing, and what it acknowledges counts for nothing.
    async fn remove_older(&self, shard: u16, generation: u64) -> Result<()> {
        let removed = match generation.checked_sub(1) {
            Some(last) => remove_up_to(&self.stream, &self.handler, shard, last).await,
            None => Ok(()),
        };
        removed.map_err(|error| self.trouble("an old consumer can't be removed", error))
    }

    async fn delivered(&self, shard: u16, generation: u64, message: &Message, expected: &mut u64) -> Result<()> {
        let info = message.info().map_err(|error| self.trouble("a delivery can't be read", error))?;
        if info.consumer_sequence != *expected {
            return Err(self.trouble("a delivery was lost on the way", format!("it had number {expected}")));
        }
        *expected += 1;
        let sequence = info.stream_sequence;
        if !self.takes(&message.subject, message.headers.as_ref()) {
            return self.acknowledge(self.desk.passed_over(shard, generation, sequence, message.reply.clone())).await;
        }
        let Some(redelivered) = self.desk.pulled(shard, generation, sequence, message.reply.clone()) else {
            return Ok(());
        };
        let incoming = headers::incoming(&message.subject, message.headers.as_ref(), &message.payload);
        self.pass_on(shard, generation, sequence, redelivered, incoming).await
    }

    fn takes(&self, subject: &str, headers: Option<&HeaderMap>) -> bool {
        let only = headers.and_then(|headers| headers.get(headers::ONLY_FOR));
        only.is_none_or(|only| only.as_str() == &*self.handler) && self.events.borrow().contains(names::tail(subject))
    }

    async fn pass_on(
        &self,
        shard: u16,
        generation: u64,
        sequence: u64,
        redelivered: u32,
        message: super::super::record::Incoming,
    ) -> Result<()> {
        // Closed with the connection's end, as the channel is.
        let permit = self.permits.clone().acquire_owned().await;
        let permit = permit.map_err(|error| self.trouble("it was closed", error))?;
        let item = Item { shard, generation, sequence, redelivered, message: Arc::new(message), permit };
        let sent = self.items.send(Ok(item)).await;
        sent.map_err(|_| self.trouble("it was closed", "nobody receives"))
    }

    /// A message that an earlier owner had and did not settle, from the stream itself.
    async fn left(&self, sequence: u64) -> Result<(u64, Option<async_nats::jetstream::message::StreamMessage>)> {
        match self.stream.get_raw_message(sequence).await {
            Ok(message) => Ok((sequence, Some(message))),
            Err(error) if error.kind() == async_nats::jetstream::stream::LastRawMessageErrorKind::NoMessageFound => {
                Ok((sequence, None))
            }
            Err(error) => Err(self.trouble("an unsettled message can't be read", error)),
        }
    }

    /// Each of them acknowledges all that was delivered before it, too.
    pub(super) async fn acknowledge(&self, replies: impl IntoIterator<Item = async_nats::Subject>) -> Result<()> {
        for reply in replies {
            let sent = self.client.publish(reply, "+ACK".into()).await;
            sent.map_err(|error| self.trouble("nothing can be settled", error))?;
        }
        Ok(())
    }

    async fn consumer(&self, shard: u16, generation: u64, start: u64) -> Result<Consumer<pull::Config>> {
        let config = pull::Config {
            durable_name: Some(names::consumer(&self.handler, shard, generation)),
            description: Some(format!("domain-events: `{}`", self.handler)),
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: start },
            // What is settled behind something that is not is written down in the handler's document.
            ack_policy: AckPolicy::All,
            ack_wait: ACK_WAIT,
            max_deliver: -1,
            filter_subject: names::shard_subjects(self.options.prefix(), shard),
            // What is bounded is bounded by what is asked for; the server's own limit would stop all for one that waits.
            max_ack_pending: -1,
            ..pull::Config::default()
        };
        let made = self.stream.create_consumer(config).await;
        made.map_err(|error| self.trouble("a consumer can't be made", error))
    }
}

/// Removes the consumers of a shard up to this generation, as far back as there may be any.
pub(super) async fn remove_up_to(
    stream: &Stream,
    handler: &str,
    shard: u16,
    generation: u64,
) -> std::result::Result<(), ConsumerError> {
    let generations = (generation + 1).saturating_sub(GENERATIONS)..=generation;
    let names = generations.map(|old| names::consumer(handler, shard, old));
    let removed = names.map(|name| async move { stream.delete_consumer(&name).await });
    for removed in join_all(removed).await {
        match removed {
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ConsumerErrorKind::JetStream(error) if is_unknown(&error)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn is_missing(kind: &ConsumerInfoErrorKind) -> bool {
    match kind {
        ConsumerInfoErrorKind::NotFound => true,
        ConsumerInfoErrorKind::JetStream(error) => is_unknown(error),
        _ => false,
    }
}

fn is_unknown(error: &jetstream::Error) -> bool {
    error.error_code() == ErrorCode::CONSUMER_NOT_FOUND
}
