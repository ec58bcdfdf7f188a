//! The way in: messages in order on one connection, up to 256 unconfirmed at a time. The relay uses it.

use std::{collections::VecDeque, sync::Arc};

use async_nats::{
    Client,
    jetstream::{
        Context,
        context::{PublishAckFuture, PublishError, PublishErrorKind},
        message::PublishMessage,
    },
};

use super::{
    super::{
        BoxFuture, Publisher,
        record::{Outgoing, Unconfirmed},
    },
    connect::{misconfigured, unavailable},
    headers, names,
    options::Options,
    stream::PIPELINE,
};
use crate::{
    error::{Error, ErrorKind, Result},
    event::partition_of,
};

/// How much of the server's limit is left free, so that a dead letter of the same message fits too: it has the reason and
/// the error beside what the message has.
pub(super) const SPARE: usize = 4_096;

/// A connected way in.
pub(super) struct JetStreamPublisher {
    pub(super) options: Arc<Options>,
    pub(super) client: Client,
    pub(super) jetstream: Context,
    pub(super) shards: u16,
}

impl JetStreamPublisher {
    async fn send(&self, message: &Outgoing) -> Result<PublishAckFuture> {
        let shard = partition_of(message.key_hash, self.shards);
        let subject = names::subject(self.options.prefix(), shard, &message.event);
        let headers = headers::of(message, true);
        fits(&self.client, &self.options, message, &headers)?;
        let publish = PublishMessage::build().headers(headers).payload(message.content.body().to_vec().into());
        let sent = self.jetstream.send_publish(subject, publish).await;
        sent.map_err(|error| failed(&self.options, message, &error))
    }

    async fn all(&self, messages: &[Outgoing]) -> Result<(), Unconfirmed> {
        let mut waiting: VecDeque<(&Outgoing, PublishAckFuture)> = VecDeque::with_capacity(PIPELINE);
        let mut confirmed = 0;
        let mut stopped = None;
        for message in messages {
            if waiting.len() >= PIPELINE {
                confirmed = self.confirm(&mut waiting, confirmed, PIPELINE / 2).await?;
            }
            match self.send(message).await {
                Ok(ack) => waiting.push_back((message, ack)),
                Err(error) => {
                    stopped = Some(error);
                    break;
                }
            }
        }
        let confirmed = self.confirm(&mut waiting, confirmed, 0).await?;
        stopped.map_or(Ok(()), |error| Err(Unconfirmed { confirmed, error }))
    }

    /// Waits for confirmations, in order, until only so many are left.
    async fn confirm(
        &self,
        waiting: &mut VecDeque<(&Outgoing, PublishAckFuture)>,
        mut confirmed: usize,
        left: usize,
    ) -> Result<usize, Unconfirmed> {
        while waiting.len() > left {
            let Some((message, ack)) = waiting.pop_front() else { break };
            match ack.await {
                Ok(_) => confirmed += 1,
                Err(error) => return Err(Unconfirmed { confirmed, error: failed(&self.options, message, &error) }),
            }
        }
        Ok(confirmed)
    }
}

impl Publisher for JetStreamPublisher {
    fn publish<'a>(&'a mut self, messages: &'a [Outgoing]) -> BoxFuture<'a, Result<(), Unconfirmed>> {
        Box::pin(self.all(messages))
    }
}

/// That the server will take a message of this size; it would cut the connection otherwise.
pub(super) fn fits(
    client: &Client,
    options: &Options,
    message: &Outgoing,
    headers: &async_nats::HeaderMap,
) -> Result<()> {
    let lines = headers.iter().map(|(name, values)| {
        values.iter().map(|value| name.to_string().len() + value.as_str().len() + 4).sum::<usize>()
    });
    let (limit, size) = (client.max_payload(), lines.sum::<usize>() + message.content.body().len());
    if size.saturating_add(SPARE) <= limit {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::InvalidEvent,
        format!(
            "{}: the event {} `{}` has {size} bytes with its headers; the server's `max_payload` of {limit} leaves room for \
             {}: raise it, or make the event smaller",
            options.address.shown(),
            message.id,
            message.event,
            limit.saturating_sub(SPARE),
        ),
    ))
}

fn failed(options: &Options, message: &Outgoing, error: &PublishError) -> Error {
    let what = format!("the event {} was not confirmed", message.id);
    let cause = std::error::Error::source(error).map(|source| format!("{error}: {source}"));
    let cause = cause.unwrap_or_else(|| error.to_string());
    match error.kind() {
        PublishErrorKind::MaxPayloadExceeded => Error::new(ErrorKind::InvalidEvent, format!("{what}: {cause}")),
        PublishErrorKind::StreamNotFound => {
            unavailable(options, &format!("{what}, since the stream is gone or the server starts"), cause)
        }
        PublishErrorKind::WrongLastMessageId | PublishErrorKind::WrongLastSequence => {
            misconfigured(options, format!("{what}: {cause}"))
        }
        _ => unavailable(options, &what, cause),
    }
}
