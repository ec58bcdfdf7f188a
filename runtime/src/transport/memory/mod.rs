//! A transport within one process: for tests, and for programs that may get a broker later. It keeps every promise that
//! does not outlive the process.
//!
//! | what a broker has | what it is here |
//! |---|---|
//! | topic | the event's name, looked up in each subscription's list |
//! | durable subscription | a queue per handler, in as many shares as it has partitions; at most 100,000 messages wait in one, then publishing is refused until some are taken |
//! | replay | what was published last, up to 10,000 messages and 64 MiB, goes into a new subscription |
//! | dead letters | a list per handler |
//! | death of a process | an [`Inbound`](super::Inbound) that is dropped: what it had goes to the others at once |
//!
//! Not promised: anything after the process has ended, and that a second publish of one event id is noticed.

mod inbound;
mod queue;
mod state;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use self::{inbound::MemoryInbound, state::State};
use super::{
    BoxFuture, Capabilities, Inbound, Ordering, Publisher, Transport,
    record::{DeadMessage, Outgoing, Subscription, Unconfirmed},
};
use crate::error::{Error, ErrorKind, Result};

/// A transport in memory. Its clones are the same one.
///
/// ```
/// use domain_events::transport::{MemoryTransport, Transport};
///
/// let transport = MemoryTransport::new();
/// assert_eq!(transport.address(), "memory");
/// ```
#[derive(Clone, Default)]
pub struct MemoryTransport(Arc<Hub>);

/// What the clones share.
#[derive(Default)]
struct Hub {
    state: Mutex<State>,
    /// Rung when there may be something to receive, or to fail for.
    bell: Notify,
}

impl Hub {
    /// Never held across an await.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, unless a test has made the transport unreachable.
    fn reached(&self) -> Result<MutexGuard<'_, State>> {
        let state = self.state();
        if state.away { Err(away()) } else { Ok(state) }
    }
}

fn away() -> Error {
    Error::new(ErrorKind::Unavailable, "the transport in memory was made unreachable; call `come_back()`")
}

impl MemoryTransport {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on it is away, as a broker that was killed: connections are lost, and everything fails with
    /// [`Unavailable`](ErrorKind::Unavailable). What it keeps stays.
    #[cfg(any(test, feature = "testkit"))]
    pub fn go_away(&self) {
        self.0.state().go_away();
        self.0.bell.notify_waiters();
    }

    /// It takes so many messages more, and one that it does not confirm any more; then it is away.
    #[cfg(any(test, feature = "testkit"))]
    pub fn go_away_after(&self, messages: usize) {
        self.0.state().doomed_after = Some(messages);
    }

    /// It is reachable again.
    #[cfg(any(test, feature = "testkit"))]
    pub fn come_back(&self) {
        let mut state = self.0.state();
        (state.away, state.doomed_after) = (false, None);
        drop(state);
        self.0.bell.notify_waiters();
    }
}

impl Transport for MemoryTransport {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            confirms: true,
            redelivers: true,
            keeps_for_absent: true,
            replays: true,
            ordering: Ordering::AcrossProcesses,
            shares: true,
            holds: true,
            counts: true,
            dead_letters: true,
            forgets: true,
            ..Capabilities::none("memory")
        }
    }

    fn address(&self) -> &str {
        "memory"
    }

    fn publisher(&self) -> BoxFuture<'_, Result<Box<dyn Publisher>>> {
        Box::pin(async {
            drop(self.0.reached()?);
            Ok(Box::new(MemoryPublisher(Arc::clone(&self.0))) as Box<dyn Publisher>)
        })
    }

    fn ensure<'a>(&'a self, subscription: &'a Subscription) -> BoxFuture<'a, Result<()>> {
        Box::pin(async {
            self.0.reached()?.ensure(subscription);
            Ok(())
        })
    }

    fn subscribe<'a>(&'a self, subscription: &'a Subscription) -> BoxFuture<'a, Result<Arc<dyn Inbound>>> {
        Box::pin(async {
            let member = {
                let mut state = self.0.reached()?;
                state.ensure(subscription);
                state.join(&subscription.handler)
            };
            // A share may have to change hands.
            self.0.bell.notify_waiters();
            Ok(Arc::new(MemoryInbound::new(Arc::clone(&self.0), subscription, member)) as Arc<dyn Inbound>)
        })
    }

    fn dead_letters<'a>(&'a self, handler: &'a str, limit: usize) -> BoxFuture<'a, Result<Vec<DeadMessage>>> {
        Box::pin(async move { Ok(self.0.reached()?.queue(handler).map_or_else(Vec::new, |queue| queue.dead(limit))) })
    }

    fn redrive<'a>(&'a self, handler: &'a str, id: &'a str) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move {
            let found = self.0.reached()?.queue(handler).is_some_and(|queue| queue.redrive(id));
            self.0.bell.notify_waiters();
            Ok(found)
        })
    }

    fn discard<'a>(&'a self, handler: &'a str, id: &'a str) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move { Ok(self.0.reached()?.queue(handler).is_some_and(|queue| queue.discard(id))) })
    }

    fn forget<'a>(&'a self, handler: &'a str) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move { self.0.reached()?.forget(handler) })
    }
}

impl fmt::Debug for MemoryTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryTransport").field("away", &self.0.state().away).finish_non_exhaustive()
    }
}

struct MemoryPublisher(Arc<Hub>);

impl Publisher for MemoryPublisher {
    fn publish<'a>(&'a mut self, messages: &'a [Outgoing]) -> BoxFuture<'a, Result<(), Unconfirmed>> {
        Box::pin(async {
            let published = {
                let mut state = self.0.state();
                let taken = messages.iter().enumerate();
                taken
                    .map(|(at, message)| (at, state.publish(message)))
                    .find_map(|(at, result)| Some((at, result.err()?)))
            };
            self.0.bell.notify_waiters();
            match published {
                None => Ok(()),
                Some((confirmed, error)) => Err(Unconfirmed { confirmed, error }),
            }
        })
    }
}

#[cfg(test)]
mod tests;
