//! A way out of the transport in memory. Dropped, it is a process that has died.

use std::sync::Arc;

use super::{Hub, away, queue::Member};
use crate::{
    error::{Error, ErrorKind, Result},
    transport::{
        BoxFuture, Inbound,
        record::{Delivery, Settlement, Subscription},
    },
};

pub(super) struct MemoryInbound {
    hub: Arc<Hub>,
    handler: Arc<str>,
    window: usize,
    member: Member,
    closed: tokio::sync::watch::Sender<bool>,
}

impl MemoryInbound {
    pub(super) fn new(hub: Arc<Hub>, subscription: &Subscription, member: Member) -> Self {
        let (handler, closed) = (Arc::clone(&subscription.handler), tokio::sync::watch::Sender::new(false));
        Self { hub, handler, window: subscription.window.max(1), member, closed }
    }

    /// What there is now, if anything.
    fn take(&self, max: usize) -> Result<Vec<Delivery>> {
        let mut state = self.hub.state();
        let (is_away, lost) = (state.away, state.queue(&self.handler).is_some_and(|queue| queue.lost(self.member)));
        if is_away {
            return Err(away());
        }
        if lost {
            return Err(Error::new(ErrorKind::Unavailable, "the connection to the transport in memory was lost"));
        }
        Ok(state.queue(&self.handler).map_or_else(Vec::new, |queue| queue.take(self.member, max.max(1), self.window)))
    }

    fn leave(&self) {
        if let Some(queue) = self.hub.state().queue(&self.handler) {
            queue.leave(self.member);
        }
        self.hub.bell.notify_waiters();
    }
}

impl Inbound for MemoryInbound {
    fn receive(&self, max: usize) -> BoxFuture<'_, Result<Vec<Delivery>>> {
        Box::pin(async move {
            loop {
                // Before the look: what rings in between must not be missed.
                let rung = self.hub.bell.notified();
                if *self.closed.borrow() {
                    return Ok(Vec::new());
                }
                let deliveries = self.take(max)?;
                if !deliveries.is_empty() {
                    return Ok(deliveries);
                }
                rung.await;
            }
        })
    }

    fn settle(&self, settlements: Vec<Settlement>) -> BoxFuture<'_, Result<()>> {
        Box::pin(async {
            if let Some(queue) = self.hub.reached()?.queue(&self.handler) {
                queue.settle(self.member, settlements);
            }
            self.hub.bell.notify_waiters();
            Ok(())
        })
    }

    fn close(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async {
            self.closed.send_replace(true);
            self.leave();
            Ok(())
        })
    }
}

impl Drop for MemoryInbound {
    fn drop(&mut self) {
        self.leave();
    }
}
