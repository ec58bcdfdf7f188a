//! The keeper: renews a node's lease on its shards, takes its share of those that are free, gives back what is too many, and
//! trims behind all groups. One task for each way in, over a connection that never waits.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use redis::aio::MultiplexedConnection;

use super::{Setup, feed::Feed, script};
use crate::error::{Error, ErrorKind, Result};

/// For how long a node counts as alive after a sign of life.
const LEASE: Duration = Duration::from_secs(6);

/// How often it gives one; more often while it hopes for shards.
const TICK: Duration = Duration::from_secs(1);
const HUNGRY: Duration = Duration::from_millis(250);

/// How long the reader's calls wait for new entries.
pub(super) const BLOCK: Duration = Duration::from_secs(1);

/// So long after a sign of life a read may be sent: its answer is there before the lease is over.
pub(super) const READABLE: Duration = Duration::from_secs(4);

/// What a sign of life comes back with.
type Tended = (Vec<u16>, usize, Vec<u64>, usize);

/// Keeps the lease until the connection fails.
pub(super) struct Keeper {
    pub(super) setup: Arc<Setup>,
    pub(super) control: MultiplexedConnection,
    /// The id of the connection that reads.
    pub(super) reader: u64,
    pub(super) feed: Arc<Feed>,
}

impl Keeper {
    /// Runs until something fails; then tells the feed.
    pub(super) async fn run(mut self) {
        if let Err(error) = self.keep().await {
            self.feed.fail(error);
        }
    }

    async fn keep(&mut self) -> Result<()> {
        let mut round = 0_usize;
        loop {
            let (owned, hopes) = self.tend().await?;
            if !owned.is_empty() {
                self.trim(owned[round % owned.len()]).await?;
            }
            round = round.wrapping_add(1);
            let tick = if hopes > 0 { HUNGRY } else { TICK };
            let _ = tokio::time::timeout(tick, self.feed.drained.notified()).await;
        }
    }

    async fn tend(&mut self) -> Result<(Vec<u16>, usize)> {
        let Setup { names, subscription, shards, server, .. } = &*self.setup;
        let handler = &*subscription.handler;
        let mut call = script::TEND.key(names.nodes(handler));
        call.key(names.owners(handler)).key(names.takes(handler));
        call.arg(&*self.setup.node).arg(LEASE.as_millis() as u64).arg(*shards);
        call.arg(subscription.partitions).arg(self.reader).arg(&*self.setup.takes);
        for shard in self.feed.take_drained() {
            call.arg(shard);
        }
        let sent = Instant::now();
        let answer: redis::RedisResult<Tended> = call.invoke_async(&mut self.control).await;
        let (owned, excess, cut, hopes) = answer.map_err(|error| server.failed("renewing the lease", &error))?;
        for connection in cut {
            // A former owner that was frozen must not take anything in when it wakes. Where the right is missing, it still
            // sees that its lease is over before it reads.
            let cut = redis::cmd("CLIENT").arg("KILL").arg("ID").arg(connection).exec_async(&mut self.control).await;
            if let Err(error) = cut
                && error.is_io_error()
            {
                return Err(server.failed("taking over a shard", &error));
            }
        }
        let Some(changed) = self.feed.renewed(sent, &owned, excess) else {
            let text = format!(
                "`{handler}` at {} has lost its lease on a shard to another process, since it gave no sign of life for {} \
                 seconds; what is unsettled is delivered again",
                server.shown(),
                LEASE.as_secs()
            );
            return Err(Error::new(ErrorKind::Unavailable, text));
        };
        if changed {
            unblock(&mut self.control, self.reader).await;
        }
        Ok((owned, hopes))
    }

    async fn trim(&mut self, shard: u16) -> Result<()> {
        let keep = u64::try_from(self.setup.keep.as_millis()).unwrap_or(u64::MAX);
        let mut call = script::TRIM.key(self.setup.names.stream(shard));
        let trimmed = call.arg(keep).invoke_async::<i64>(&mut self.control).await;
        trimmed.map(|_| ()).map_err(|error| self.setup.server.failed("trimming", &error))
    }
}

/// Ends a read that waits, so that the next one knows what has changed. Where the right is missing, it ends by itself soon.
pub(super) async fn unblock(control: &mut MultiplexedConnection, reader: u64) {
    let _ = redis::cmd("CLIENT").arg("UNBLOCK").arg(reader).exec_async(control).await;
}
