//! The reader: takes entries in as far as the window allows, on a connection of its own whose calls wait on the server.
//! What a former owner left comes first; what the handler does not take is settled here.

use std::{sync::Arc, time::Duration};

use redis::{Value, aio::MultiplexedConnection};

use super::{
    Setup,
    entry::{self, Fields},
    feed::{Feed, Plan, Taken},
    lease::BLOCK,
    names::CONSUMER,
    reply::{self, Entry, Id},
    script,
};
use crate::error::Result;

/// With less room than this the reader waits a moment for more, so that it does not take in entries one by one.
const WORTHWHILE: usize = 64;
const MOMENT: Duration = Duration::from_millis(2);

/// Reads until the connection fails.
pub(super) struct Reader {
    pub(super) setup: Arc<Setup>,
    pub(super) connection: MultiplexedConnection,
    pub(super) feed: Arc<Feed>,
}

impl Reader {
    /// Runs until something fails; then tells the feed.
    pub(super) async fn run(mut self) {
        if let Err(error) = self.read().await {
            self.feed.fail(error);
        }
    }

    async fn read(&mut self) -> Result<()> {
        loop {
            if self.feed.free() < WORTHWHILE.min(self.setup.subscription.window / 4) {
                let _ = tokio::time::timeout(MOMENT, self.feed.room.notified()).await;
            }
            match self.feed.plan() {
                None => {
                    self.feed.room.notified().await;
                    continue;
                }
                Some(Plan::CatchUp { shard, after, count }) => self.catch_up(shard, after, count).await?,
                Some(Plan::Read { shards, count }) => self.read_new(&shards, count).await?,
            }
            self.feed.read_over();
        }
    }

    async fn read_new(&mut self, shards: &[u16], count: usize) -> Result<()> {
        let mut command = redis::cmd("XREADGROUP");
        command.arg("GROUP").arg(&*self.setup.subscription.handler).arg(CONSUMER).arg("COUNT").arg(count);
        command.arg("BLOCK").arg(BLOCK.as_millis() as u64).arg("STREAMS");
        for shard in shards {
            command.arg(self.setup.names.stream(*shard));
        }
        for _ in shards {
            command.arg(">");
        }
        let answer = command.query_async::<Value>(&mut self.connection).await;
        let answer = answer.map_err(|error| self.setup.server.failed("reading", &error))?;
        for (stream, entries) in reply::by_stream(answer) {
            let Some(shard) = shards.iter().find(|shard| self.setup.names.stream(**shard) == stream) else { continue };
            self.accept(*shard, entries.into_iter().map(|entry| (entry, 0))).await?;
        }
        Ok(())
    }

    async fn catch_up(&mut self, shard: u16, after: Id, count: usize) -> Result<()> {
        let (stream, group) = (self.setup.names.stream(shard), &*self.setup.subscription.handler);
        let mut both = redis::pipe();
        // Counted before it is read, since reading counts.
        both.cmd("XPENDING").arg(&stream).arg(group).arg(format!("({after}")).arg("+").arg(count).arg(CONSUMER);
        both.cmd("XREADGROUP").arg("GROUP").arg(group).arg(CONSUMER).arg("COUNT").arg(count);
        both.arg("STREAMS").arg(&stream).arg(after.to_string());
        let answer = both.query_async::<(Value, Value)>(&mut self.connection).await;
        let (counts, entries) =
            answer.map_err(|error| self.setup.server.failed("reading what is unsettled", &error))?;
        let counts = reply::pending(counts);
        let entries: Vec<_> = reply::by_stream(entries).into_iter().flat_map(|(_, entries)| entries).collect();
        let (read, last) = (entries.len(), entries.last().map_or(after, |entry| entry.id));
        let counted = entries.into_iter().map(|entry| {
            let at = counts.binary_search_by_key(&entry.id, |(id, _)| *id);
            let times = at.ok().and_then(|at| counts.get(at)).map_or(1, |(_, times)| *times);
            (entry, times)
        });
        self.accept(shard, counted).await?;
        self.feed.caught_up(shard, last, read < count);
        Ok(())
    }

    async fn accept(&mut self, shard: u16, entries: impl Iterator<Item = (Entry, u32)>) -> Result<()> {
        let stream = self.setup.names.stream(shard);
        let (mut taken, mut skipped) = (Vec::new(), Vec::new());
        for (entry, redelivered) in entries {
            // One without fields was cut off by `maxlen`.
            match entry.fields.map(|fields| entry::read(&stream, reply::pairs(fields))) {
                Some(fields) if self.takes(&fields) => {
                    taken.push(Taken { id: entry.id, message: fields.message, redelivered });
                }
                _ => skipped.push(entry.id.to_string()),
            }
        }
        if !skipped.is_empty() {
            let handler = &*self.setup.subscription.handler;
            let mut call = script::SKIP.key(&stream);
            call.key(self.setup.names.takes(handler)).arg(&*self.setup.takes).arg(handler).arg(skipped);
            let settled = call.invoke_async::<i64>(&mut self.connection).await;
            settled.map_err(|error| self.setup.server.failed("settling what is not subscribed to", &error))?;
        }
        if !taken.is_empty() {
            self.feed.accept(shard, taken);
        }
        Ok(())
    }

    fn takes(&self, fields: &Fields) -> bool {
        let subscription = &self.setup.subscription;
        if let Some(meant_for) = &fields.meant_for {
            return *meant_for == subscription.handler.as_bytes();
        }
        let Some(event) = &fields.event else { return true };
        subscription.events.binary_search_by(|name| name.as_bytes().cmp(event)).is_ok()
    }
}
