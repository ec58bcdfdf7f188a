//! The way in: transactions of many entries, one after the other, so that a failure leaves no gap in an aggregate's order.

use std::sync::Arc;

use redis::{Cmd, RedisError, Value, aio::MultiplexedConnection};

use super::{entry, names::Names};
use crate::{
    event::partition_of,
    transport::{
        BoxFuture, Publisher,
        record::{Outgoing, Unconfirmed},
        redis::connect::Server,
    },
};

/// The most entries of a transaction.
const BATCH: usize = 256;
/// No more entries in a transaction that has so many bytes: it keeps all others waiting.
const BYTES: usize = 1 << 20;

/// A connection that publishes.
pub(super) struct StreamPublisher {
    pub(super) server: Arc<Server>,
    pub(super) connection: MultiplexedConnection,
    streams: Vec<String>,
    maxlen: Option<u64>,
}

impl StreamPublisher {
    pub(super) fn new(
        server: Arc<Server>,
        connection: MultiplexedConnection,
        names: &Names,
        shards: u16,
        maxlen: Option<u64>,
    ) -> Self {
        Self { server, connection, streams: (0..shards).map(|shard| names.stream(shard)).collect(), maxlen }
    }

    fn add(&self, message: &Outgoing) -> Cmd {
        let shard = partition_of(message.key_hash, u16::try_from(self.streams.len()).unwrap_or(u16::MAX));
        let mut command = Cmd::new();
        command.arg("XADD").arg(&self.streams[usize::from(shard)]);
        if let Some(maxlen) = self.maxlen {
            command.arg("MAXLEN").arg("~").arg(maxlen);
        }
        command.arg("*");
        entry::write(&mut command, message);
        command
    }

    /// Sends a transaction; returns how many of its first entries are there, and what went wrong behind them.
    async fn send(&mut self, messages: &[Outgoing]) -> (usize, Option<RedisError>) {
        let mut transaction = redis::pipe();
        transaction.atomic().ignore_errors();
        for message in messages {
            transaction.add_command(self.add(message));
        }
        match transaction.query_async::<Vec<Value>>(&mut self.connection).await {
            Err(error) => (0, Some(error)),
            Ok(answers) => {
                for (index, answer) in answers.into_iter().enumerate() {
                    if let Value::ServerError(error) = answer {
                        return (index, Some(error.into()));
                    }
                }
                (messages.len(), None)
            }
        }
    }
}

impl Publisher for StreamPublisher {
    fn publish<'a>(&'a mut self, messages: &'a [Outgoing]) -> BoxFuture<'a, Result<(), Unconfirmed>> {
        Box::pin(async move {
            let mut confirmed = 0;
            while confirmed < messages.len() {
                let count = batch(&messages[confirmed..]);
                let (done, error) = self.send(&messages[confirmed..confirmed + count]).await;
                confirmed += done;
                if let Some(error) = error {
                    return Err(Unconfirmed { confirmed, error: self.server.failed("publishing", &error) });
                }
            }
            Ok(())
        })
    }
}

/// How many of these messages, at least one, go into one transaction.
fn batch(messages: &[Outgoing]) -> usize {
    let mut bytes = 0;
    let fitting = messages.iter().take(BATCH).take_while(|message| {
        let fits = bytes < BYTES;
        bytes += message.content.body().len();
        fits
    });
    fitting.count().max(1)
}
