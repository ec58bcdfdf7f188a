//! What this process holds of its shards: which messages are on the way to the consumer, in its hands, or settled. Kept in
//! memory; written into the handler's document from time to time, and when a shard is given away.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_nats::Subject;
use foldhash::HashMap;
use tokio::sync::{Notify, OwnedSemaphorePermit};

use super::{
    super::record::{Delivery, Incoming, Tag},
    ledger::Position,
};

/// So many messages that are for other handlers are acknowledged together.
const WORTH: usize = 64;

/// So many messages of a shard stand settled behind one that is not, before the shard is read anew from there: until then
/// the server and this process remember each of them.
const MANY: usize = 8_192;

/// A message between a shard's reader and `receive`.
pub(super) struct Item {
    pub(super) shard: u16,
    pub(super) generation: u64,
    pub(super) sequence: u64,
    pub(super) redelivered: u32,
    pub(super) message: Arc<Incoming>,
    pub(super) permit: OwnedSemaphorePermit,
}

/// A message in the consumer's hands.
pub(super) struct Ticket {
    pub(super) shard: u16,
    pub(super) sequence: u64,
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
    /// What the consumer has delivered and was not told of, in order, and where to tell it.
    unacknowledged: VecDeque<(u64, Subject)>,
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

    fn deaths_since(&self, sequence: u64) -> u32 {
        let deaths = self.deaths.iter().filter(|last| **last >= sequence).count();
        u32::try_from(deaths).unwrap_or(u32::MAX)
    }

    /// Takes note of what the consumer has delivered; whether so much waits now that it should not be more.
    fn delivered(&mut self, sequence: u64, reply: Option<Subject>) -> bool {
        self.last = sequence;
        self.unacknowledged.extend(reply.map(|reply| (sequence, reply)));
        self.unacknowledged.len() == MANY
    }

    /// Where to acknowledge the last of those before which nothing is unsettled: that acknowledges all of them. `None` if
    /// they are fewer than `worth`.
    fn acknowledge(&mut self, worth: usize) -> Option<Subject> {
        let settled = self.unacknowledged.iter().take_while(|(sequence, _)| !self.held.contains(sequence)).count();
        if settled < worth.max(1) {
            return None;
        }
        self.unacknowledged.drain(..settled).next_back().map(|(_, reply)| reply)
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
    /// Too much of it waits to be acknowledged.
    pub(super) overdue: bool,
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
    /// Somebody waits for a shard to be settled, and it is; or something was returned; or too much waits for one.
    pub(super) changed: Notify,
}

impl Desk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A shard that this process holds is to be read anew: from here on nothing more comes of the reading there is. Returns
    /// how far it has come; `None` if the shard was not held, or by another one meanwhile.
    pub(super) fn stop(&self, shard: u16, generation: u64) -> Option<Position> {
        let mut state = self.state();
        let held = state.shards.get_mut(&shard).filter(|held| held.generation + 1 == generation)?;
        held.generation = generation;
        Some(held.position())
    }

    /// A shard is read from now on, from this position: which of its unsettled messages nobody has in hand.
    pub(super) fn begin(&self, shard: u16, generation: u64, position: &Position, deaths: Vec<u64>) -> Vec<u64> {
        let mut state = self.state();
        let held = state.shards.entry(shard).or_default();
        // What was settled since the reading before was stopped stays so.
        let was_stopped = held.generation == generation;
        let is_open = |sequence: &u64| !was_stopped || held.held.contains(sequence);
        let open = position.held.iter().copied().filter(is_open).collect();
        (held.generation, held.last, held.deaths, held.held) = (generation, position.last, deaths, open);
        (held.leaving, held.returned) = (false, false);
        held.unacknowledged.clear();
        held.held.difference(&held.out).copied().collect()
    }

    /// A message was delivered by the server: how many owners of the shard have died since it first was. `None` if it is
    /// here already, or the shard is not ours any more.
    pub(super) fn pulled(&self, shard: u16, generation: u64, sequence: u64, reply: Option<Subject>) -> Option<u32> {
        let mut state = self.state();
        let held = state.shards.get_mut(&shard).filter(|held| held.generation == generation)?;
        if sequence <= held.last {
            return None;
        }
        let overdue = held.delivered(sequence, reply);
        let deaths = held.held.insert(sequence).then(|| held.deaths_since(sequence));
        if overdue {
            self.changed.notify_one();
        }
        deaths
    }

    /// A message that is not for this handler. Returns where to acknowledge it and those before it, if that is worth it.
    pub(super) fn passed_over(
        &self,
        shard: u16,
        generation: u64,
        sequence: u64,
        reply: Option<Subject>,
    ) -> Option<Subject> {
        let mut state = self.state();
        let held = state.shards.get_mut(&shard).filter(|held| held.generation == generation)?;
        if sequence > held.last && held.delivered(sequence, reply) {
            self.changed.notify_one();
        }
        if held.unacknowledged.len() < WORTH { None } else { held.acknowledge(WORTH) }
    }

    /// The same for all shards.
    pub(super) fn acknowledge_all(&self) -> Vec<Subject> {
        self.state().shards.values_mut().filter_map(|held| held.acknowledge(1)).collect()
    }

    /// A message that the stream does not have any more.
    pub(super) fn skipped(&self, shard: u16, generation: u64, sequence: u64) {
        if let Some(held) = self.state().shards.get_mut(&shard).filter(|held| held.generation == generation) {
            held.held.remove(&sequence);
            held.last = held.last.max(sequence);
        }
    }

    /// How many owners of the shard have died since the message was first delivered.
    pub(super) fn deaths_since(&self, shard: u16, sequence: u64) -> u32 {
        self.state().shards.get(&shard).map_or(0, |held| held.deaths_since(sequence))
    }

    /// Hands messages out under these tags; not those whose shard is read anew or leaving.
    pub(super) fn hand_out(&self, items: impl IntoIterator<Item = (Tag, Item)>) -> Vec<Delivery> {
        let mut state = self.state();
        let State { shards, tickets } = &mut *state;
        let handed = items.into_iter().filter_map(|(tag, item)| {
            let ours = shards.get_mut(&item.shard);
            let held = ours.filter(|held| held.generation == item.generation && !held.leaving)?;
            if !held.held.contains(&item.sequence) || !held.out.insert(item.sequence) {
                return None;
            }
            tickets.insert(tag.0, Ticket { shard: item.shard, sequence: item.sequence, _permit: item.permit });
            Some(Delivery { tag, message: item.message, redelivered: item.redelivered })
        });
        handed.collect()
    }

    /// The shard and sequence behind a tag, if it still means something.
    pub(super) fn look_up(&self, tag: Tag) -> Option<(u16, u64)> {
        self.state().tickets.get(&tag.0).map(|ticket| (ticket.shard, ticket.sequence))
    }

    /// They are settled: where to acknowledge those before which nothing is unsettled.
    pub(super) fn settle(&self, tags: impl IntoIterator<Item = Tag>) -> Vec<Subject> {
        let mut state = self.state();
        let settling = tags.into_iter().filter_map(|tag| {
            self.back(&mut state, tag, |held, sequence| {
                held.held.remove(&sequence);
                held.leaving && held.out.is_empty()
            })
        });
        let shards: BTreeSet<u16> = settling.collect();
        shards.iter().filter_map(|shard| state.shards.get_mut(shard)?.acknowledge(1)).collect()
    }

    /// It was not tried.
    pub(super) fn give_back(&self, tag: Tag) {
        self.back(&mut self.state(), tag, |held, _| {
            held.returned = true;
            true
        });
    }

    /// Out of the consumer's hands; returns its shard.
    fn back(&self, state: &mut State, tag: Tag, what: impl FnOnce(&mut Held, u64) -> bool) -> Option<u16> {
        let ticket = state.tickets.remove(&tag.0)?;
        if let Some(held) = state.shards.get_mut(&ticket.shard) {
            held.out.remove(&ticket.sequence);
            if what(held, ticket.sequence) {
                self.changed.notify_one();
            }
        }
        Some(ticket.shard)
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
                overdue: held.unacknowledged.len() >= MANY,
            })
            .collect();
        standings.sort_by_key(|standing| standing.shard);
        standings
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::Semaphore;

    use super::*;

    #[test]
    fn only_what_has_nothing_unsettled_before_it_is_acknowledged() {
        let (desk, permits) = (Desk::default(), Arc::new(Semaphore::new(9)));
        assert_eq!(desk.begin(3, 1, &Position { last: 9, held: vec![7] }, Vec::new()), [7]);
        let reply = |sequence: u64| Some(Subject::from(format!("ack.{sequence}")));
        for sequence in [10, 11, 12, 14] {
            assert_eq!(desk.pulled(3, 1, sequence, reply(sequence)), Some(0));
        }
        assert_eq!(desk.passed_over(3, 1, 15, reply(15)), None, "not worth it");
        for sequence in [10, 11, 12, 14] {
            let permit = Arc::clone(&permits).try_acquire_owned().expect("a permit");
            let item = Item { shard: 3, generation: 1, sequence, redelivered: 0, message: Arc::default(), permit };
            assert_eq!(desk.hand_out([(Tag(sequence), item)]).len(), 1);
        }
        let settle = |sequence| desk.settle([Tag(sequence)]).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(settle(11), [""; 0]);
        assert_eq!(settle(10), ["ack.11"]);
        assert_eq!(settle(14), [""; 0]);
        assert_eq!(settle(12), ["ack.15"]);
        assert!(desk.acknowledge_all().is_empty(), "each once");
    }

    #[test]
    fn a_shard_is_read_anew_before_one_message_keeps_too_many_from_being_acknowledged() {
        let desk = Desk::default();
        assert!(desk.begin(0, 1, &Position::default(), Vec::new()).is_empty());
        let reply = || Some(Subject::from_static("ack"));
        assert!(desk.pulled(0, 1, 1, reply()).is_some());
        let overdue = || desk.standings()[0].overdue;
        for sequence in 2..=MANY as u64 {
            assert!(!overdue(), "at {sequence}");
            assert_eq!(desk.passed_over(0, 1, sequence, reply()), None, "the first one is not settled");
        }
        assert!(overdue());
        assert_eq!(desk.standings()[0].position, Position { last: MANY as u64, held: vec![1] });
        desk.begin(0, 2, &desk.standings()[0].position, Vec::new());
        assert!(!overdue());
    }

    #[test]
    fn a_reading_that_is_stopped_brings_nothing_more_and_what_is_settled_meanwhile_stays_so() {
        let (desk, permits) = (Desk::default(), Arc::new(Semaphore::new(9)));
        let item = |sequence, generation| {
            let permit = Arc::clone(&permits).try_acquire_owned().expect("a permit");
            Item { shard: 0, generation, sequence, redelivered: 0, message: Arc::default(), permit }
        };
        assert!(desk.stop(0, 1).is_none(), "not held");
        desk.begin(0, 1, &Position::default(), Vec::new());
        for sequence in 1..=4 {
            assert!(desk.pulled(0, 1, sequence, None).is_some());
        }
        assert_eq!(desk.hand_out([(Tag(1), item(1, 1)), (Tag(2), item(2, 1))]).len(), 2);
        let position = desk.stop(0, 2).expect("it is held");
        assert_eq!(position, Position { last: 4, held: vec![1, 2, 3, 4] });
        assert_eq!(desk.pulled(0, 1, 5, None), None, "the old reading");
        assert!(desk.hand_out([(Tag(3), item(3, 1))]).is_empty(), "what it brought and nobody has");
        assert!(desk.settle([Tag(1)]).is_empty(), "nowhere to tell it");
        assert_eq!(desk.begin(0, 2, &position, Vec::new()), [3, 4], "the second one is in somebody's hands");
        assert_eq!(desk.standings()[0].position, Position { last: 4, held: vec![2, 3, 4] });
        assert!(desk.pulled(0, 2, 5, None).is_some());
    }
}
