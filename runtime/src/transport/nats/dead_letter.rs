//! Dead letters: a stream of their own, with a subject for each handler. `inbound` keeps them, people list, redrive and
//! discard them through the transport.

use async_nats::{
    Client, HeaderMap,
    header::NATS_MESSAGE_ID,
    jetstream::{
        Context,
        context::PublishErrorKind,
        message::{PublishMessage, StreamMessage},
        stream::{LastRawMessageErrorKind, Stream},
    },
};

use super::{
    super::record::{DeadMessage, Epitaph, Incoming},
    connect::unavailable,
    headers, names,
    options::Options,
    shard::Room,
    stream,
};
use crate::error::{Error, ErrorKind, Result};

/// Stores a dead letter; returns when the server has confirmed it.
pub(super) async fn keep(room: &Room, sequence: u64, message: &Incoming, epitaph: &Epitaph) -> Result<()> {
    let subject = names::dead_subject(room.options.prefix(), &room.handler);
    let mut headers = headers::dead(message, epitaph);
    // Told twice because a confirmation was lost, it is kept once.
    headers.insert(NATS_MESSAGE_ID, format!("{}-{sequence}", names::token(&room.handler)));
    publish(&room.jetstream, &room.options, subject, headers, &message.body).await
}

async fn publish(
    jetstream: &Context,
    options: &Options,
    subject: String,
    headers: HeaderMap,
    body: &[u8],
) -> Result<()> {
    let message = PublishMessage::build().headers(headers).payload(body.to_vec().into());
    let trouble = |error: async_nats::jetstream::context::PublishError| match error.kind() {
        PublishErrorKind::MaxPayloadExceeded => Error::new(
            ErrorKind::InvalidEvent,
            format!("{}: a message of {} bytes can't be kept: {error}", options.address.shown(), body.len()),
        ),
        _ => unavailable(options, "a message could not be stored", error),
    };
    jetstream.send_publish(subject, message).await.map_err(trouble)?.await.map_err(trouble)?;
    Ok(())
}

/// The dead letters of one server.
pub(super) struct DeadLetters<'a> {
    options: &'a Options,
    jetstream: Context,
    stream: Stream,
    subject: String,
    handler: &'a str,
}

impl<'a> DeadLetters<'a> {
    pub(super) async fn open(client: &Client, options: &'a Options, handler: &'a str) -> Result<Self> {
        let jetstream = stream::jetstream(client);
        let stream = stream::dead(&jetstream, options).await?;
        let subject = names::dead_subject(options.prefix(), handler);
        Ok(Self { options, jetstream, stream, subject, handler })
    }

    fn trouble(&self, error: impl std::fmt::Display) -> Error {
        unavailable(self.options, &format!("the dead letters of `{}`", self.handler), error)
    }

    /// Oldest first.
    pub(super) async fn list(&self, limit: usize) -> Result<Vec<DeadMessage>> {
        let mut letters = Vec::new();
        let mut from = 1;
        while letters.len() < limit {
            let next = self.stream.raw_message_builder().sequence(from).next_by_subject(self.subject.clone());
            let Some(letter) = self.found(next.send().await)? else { break };
            from = letter.sequence + 1;
            let (message, epitaph) = headers::epitaph(&letter.subject, &letter.headers, &letter.payload);
            letters.push(DeadMessage::new(letter.sequence.to_string(), message, epitaph));
        }
        Ok(letters)
    }

    /// Stores it in the stream of events again, for its handler alone.
    pub(super) async fn redrive(&self, id: &str) -> Result<bool> {
        let Some(letter) = self.letter(id).await? else { return Ok(false) };
        let (message, _) = headers::epitaph(&letter.subject, &letter.headers, &letter.payload);
        let mut headers = headers::again(&message);
        headers.insert(headers::ONLY_FOR, self.handler);
        headers.insert(NATS_MESSAGE_ID, format!("redriven-{}-{}", names::token(self.handler), letter.sequence));
        publish(&self.jetstream, self.options, message.origin, headers, &message.body).await?;
        self.stream.delete_message(letter.sequence).await.map_err(|error| self.trouble(error))
    }

    /// Removes it.
    pub(super) async fn discard(&self, id: &str) -> Result<bool> {
        let Some(letter) = self.letter(id).await? else { return Ok(false) };
        self.stream.delete_message(letter.sequence).await.map_err(|error| self.trouble(error))
    }

    /// Removes all of them; how many there were.
    pub(super) async fn discard_all(&self) -> Result<u64> {
        let purged = self.stream.purge().filter(self.subject.clone()).await;
        purged.map(|purged| purged.purged).map_err(|error| self.trouble(error))
    }

    async fn letter(&self, id: &str) -> Result<Option<StreamMessage>> {
        let Ok(sequence) = id.parse::<u64>() else { return Ok(None) };
        if sequence == 0 {
            return Ok(None);
        }
        let letter = self.found(self.stream.get_raw_message(sequence).await)?;
        Ok(letter.filter(|letter| *letter.subject == *self.subject))
    }

    fn found(
        &self,
        letter: Result<StreamMessage, async_nats::jetstream::stream::RawMessageError>,
    ) -> Result<Option<StreamMessage>> {
        match letter {
            Ok(letter) => Ok(Some(letter)),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(self.trouble(error)),
        }
    }
}
