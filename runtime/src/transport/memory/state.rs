//! What the transport in memory holds: the queues of all handlers, and what a new one begins with.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use super::{
    away,
    queue::{Member, Queue, Stored},
};
use crate::{
    error::{Error, ErrorKind, Result},
    transport::{
        record::{Incoming, Outgoing, Subscription},
        taken_in,
    },
};

/// What is kept for new subscriptions: so many messages, and so many bytes of them, at most.
const HISTORY: usize = 10_000;
const HISTORY_BYTES: usize = 64 * 1024 * 1024;

/// The most messages that wait in one queue.
const WAITING: usize = 100_000;

#[derive(Default)]
pub(super) struct State {
    queues: BTreeMap<Arc<str>, Queue>,
    history: VecDeque<Stored>,
    history_bytes: usize,
    members: u64,
    /// A test has made it unreachable.
    pub(super) away: bool,
    /// A test makes it unreachable after so many messages.
    pub(super) doomed_after: Option<usize>,
}

impl State {
    pub(super) fn queue(&mut self, handler: &str) -> Option<&mut Queue> {
        self.queues.get_mut(handler)
    }

    pub(super) fn ensure(&mut self, subscription: &Subscription) {
        if let Some(queue) = self.queues.get_mut(&subscription.handler) {
            queue.update(subscription);
            return;
        }
        let mut queue = Queue::new(subscription);
        if !subscription.from_now {
            self.history.iter().for_each(|stored| queue.offer(stored));
        }
        self.queues.insert(Arc::clone(&subscription.handler), queue);
    }

    /// Removes a handler's queue, unless somebody takes from it; `false` if there is none.
    pub(super) fn forget(&mut self, handler: &str) -> Result<bool> {
        if self.queues.get(handler).is_some_and(Queue::is_taken) {
            return Err(taken_in(handler, "the memory", "this process"));
        }
        Ok(self.queues.remove(handler).is_some())
    }

    /// One more that takes from a handler's queue.
    pub(super) fn join(&mut self, handler: &str) -> Member {
        self.members += 1;
        let member = Member(self.members);
        if let Some(queue) = self.queue(handler) {
            queue.join(member);
        }
        member
    }

    /// Takes a message into all queues that want it; an error means that it is not confirmed.
    pub(super) fn publish(&mut self, message: &Outgoing) -> Result<()> {
        if self.away {
            return Err(away());
        }
        if let Some((handler, _)) = self.queues.iter().find(|(_, queue)| queue.wants(message) && queue.len() >= WAITING)
        {
            let error = format!("{WAITING} messages wait for `{handler}`, and the transport in memory keeps no more");
            return Err(Error::new(ErrorKind::Unavailable, error));
        }
        self.keep(Stored::new(message));
        match &mut self.doomed_after {
            None => Ok(()),
            Some(0) => {
                self.go_away();
                Err(away())
            }
            Some(left) => {
                *left -= 1;
                Ok(())
            }
        }
    }

    fn keep(&mut self, stored: Stored) {
        self.queues.values_mut().for_each(|queue| queue.offer(&stored));
        self.history_bytes += size_of(&stored.message);
        self.history.push_back(stored);
        while self.history.len() > HISTORY || self.history_bytes > HISTORY_BYTES {
            let Some(oldest) = self.history.pop_front() else { break };
            self.history_bytes -= size_of(&oldest.message);
        }
    }

    pub(super) fn go_away(&mut self) {
        self.away = true;
        self.queues.values_mut().for_each(Queue::cut);
    }
}

fn size_of(message: &Incoming) -> usize {
    message.body.len() + message.attributes.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>()
}
