//! What this process holds of its shards: which messages are on the way to the consumer, in its hands, or settled. Kept in
//! memory; written into the handler's document from time to time, and when a shard is given away.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_nats::Subject;
use tokio::sync::{Notify, OwnedSemaphorePermit};

use super::{
    super::record::{Incoming, Tag},
    ledger::Position,
};

/// A message between a shard's reader and `receive`.
pub(super) struct Item {
    pub(super) shard: u16,
    pub(super) generation: u64,
    pub(super) sequence: u64,
    /// Where to acknowledge it; `None` where it was read from the stream itself.
    pub(super) reply: Option<Subject>,
    pub(super) redelivered: u32,
    pub(super) message: Arc<Incoming>,
    pub(super) permit: OwnedSemaphorePermit,
}

/// A message in the consumer's hands.
pub(super) struct Ticket {
    pub(super) shard: u16,
    pub(super) sequence: u64,
    pub(super) reply: Option<Subject>,
    _permit: OwnedSemaphorePermit,
}

#[derive(Default)]
struct Held {
    generation: u64,
    last: u64,
    /// Unsettled: on the way or handed out.
    held: BTreeSet<u64>,
    /// Handed out.
    out: BTreeSet<u64>,
    deaths: Vec<u64>,
    /// Nothing of it is handed out any more.
    leaving: bool,
    /// Something was returned: it must be read again.
    returned: bool,
}

impl Held {
    fn position(&self) -> Position {
        Position { last: self.last, held: self.held.iter().copied().collect() }
    }

    fn floor(&self) -> u64 {
        self.held.first().map_or(self.last, |first| first - 1)
    }
}

/// A shard as the keeper writes it down.
pub(super) struct Standing {
    pub(super) shard: u16,
    pub(super) generation: u64,
    pub(super) position: Position,
    pub(super) deaths: Vec<u64>,
    pub(super) leaving: bool,
    pub(super) idle: bool,
    pub(super) returned: bool,
}

#[derive(Default)]
struct State {
    shards: HashMap<u16, Held>,
    tickets: HashMap<u64, Ticket>,
}

/// The desk of one connection.
#[derive(Default)]
pub(super) struct Desk {
    state: Mutex<State>,
    /// Somebody waits for a shard to be settled, and it is; or something was returned.
    pub(super) changed: Notify,
}

impl Desk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A shard is read from now on, from this position: which of its unsettled messages nobody has in hand.
    pub(super) fn begin(&self, shard: u16, generation: u64, position: &Position, deaths: Vec<u64>) -> Vec<u64> {
        let mut state = self.state();
        let held = state.shards.entry(shard).or_default();
        (held.generation, held.last, held.deaths) = (generation, position.last, deaths);
        held.held = position.held.iter().copied().collect();
        (held.leaving, held.returned) = (false, false);
        held.held.difference(&held.out).copied().collect()
    }

    /// A message was delivered by the server; `false` if it is here already, or the shard is not ours any more.
    pub(super) fn pulled(&self, shard: u16, generation: u64, sequence: u64) -> bool {
        let mut state = self.state();
        let Some(held) = state.shards.get_mut(&shard).filter(|held| held.generation == generation) else {
            return false;
        };
        if sequence <= held.last {
            return false;
        }
        held.last = sequence;
        held.held.insert(sequence)
    }

    /// A message that is not for this handler, or that the stream does not have any more.
    pub(super) fn skipped(&self, shard: u16, generation: u64, sequence: u64) {
        if let Some(held) = self.state().shards.get_mut(&shard).filter(|held| held.generation == generation) {
            held.held.remove(&sequence);
            held.last = held.last.max(sequence);
        }
    }

    /// How many owners of the shard have died since the message was first delivered.
    pub(super) fn deaths_since(&self, shard: u16, sequence: u64) -> u32 {
        let state = self.state();
        let deaths =
            state.shards.get(&shard).map_or(0, |held| held.deaths.iter().filter(|last| **last >= sequence).count());
        u32::try_from(deaths).unwrap_or(u32::MAX)
    }

    /// Hands a message out under this tag; `false` if its shard is read anew or leaving.
    pub(super) fn hand_out(&self, tag: Tag, item: Item) -> bool {
        let mut state = self.state();
        let ours = state.shards.get_mut(&item.shard);
        let Some(held) = ours.filter(|held| held.generation == item.generation && !held.leaving) else { return false };
        if !held.held.contains(&item.sequence) || !held.out.insert(item.sequence) {
            return false;
        }
        let ticket = Ticket { shard: item.shard, sequence: item.sequence, reply: item.reply, _permit: item.permit };
        state.tickets.insert(tag.0, ticket);
        true
    }

    /// The shard and sequence behind a tag, if it still means something.
    pub(super) fn look_up(&self, tag: Tag) -> Option<(u16, u64)> {
        self.state().tickets.get(&tag.0).map(|ticket| (ticket.shard, ticket.sequence))
    }

    /// It is settled.
    pub(super) fn settle(&self, tag: Tag) -> Option<Ticket> {
        self.back(tag, |held, sequence| {
            held.held.remove(&sequence);
            held.leaving && held.out.is_empty()
        })
    }

    /// It was not tried.
    pub(super) fn give_back(&self, tag: Tag) {
        self.back(tag, |held, _| {
            held.returned = true;
            true
        });
    }

    fn back(&self, tag: Tag, what: impl FnOnce(&mut Held, u64) -> bool) -> Option<Ticket> {
        let mut state = self.state();
        let ticket = state.tickets.remove(&tag.0)?;
        if let Some(held) = state.shards.get_mut(&ticket.shard) {
            held.out.remove(&ticket.sequence);
            if what(held, ticket.sequence) {
                self.changed.notify_one();
            }
        }
        Some(ticket)
    }

    /// Nothing of this shard is handed out any more.
    pub(super) fn leave(&self, shard: u16) {
        if let Some(held) = self.state().shards.get_mut(&shard) {
            held.leaving = true;
        }
    }

    /// The shard is somebody else's.
    pub(super) fn forget(&self, shard: u16) {
        let mut state = self.state();
        state.shards.remove(&shard);
        state.tickets.retain(|_, ticket| ticket.shard != shard);
    }

    /// Ends it: no tag means anything any more.
    pub(super) fn clear(&self) {
        *self.state() = State::default();
    }

    /// How all its shards are.
    pub(super) fn standings(&self) -> Vec<Standing> {
        let state = self.state();
        let mut standings: Vec<_> = state
            .shards
            .iter()
            .map(|(shard, held)| Standing {
                shard: *shard,
                generation: held.generation,
                position: held.position(),
                deaths: held.deaths.iter().copied().filter(|last| *last > held.floor()).collect(),
                leaving: held.leaving,
                idle: held.out.is_empty(),
                returned: held.returned,
            })
            .collect();
        standings.sort_by_key(|standing| standing.shard);
        standings
    }
}
