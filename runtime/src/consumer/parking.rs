//! `on_dead = "park"` where a broker delivers: what comes behind a dead letter of its aggregate joins it, in order, until a
//! person redrives or discards them all.
//!
//! The dead letters on the broker are the one truth: they are read when a subscription begins and, while some hold an
//! aggregate, again from time to time, since a person may act on them from any process.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use super::arrival::Arrival;
use crate::{error::Result, event::EventId, handler::Registry, transport::Transport};

/// How long a person's action on another process may go unnoticed.
const LOOK: Duration = Duration::from_secs(2);
/// The most dead letters that are looked at.
const LIMIT: usize = 10_000;

/// The aggregates that dead letters hold.
#[derive(Default)]
pub(super) struct Parking {
    /// By aggregate: the events that are dead letters.
    held: HashMap<u64, HashSet<EventId>>,
    /// Buried since the dead letters were last read: they may not have been there yet.
    fresh: Vec<(u64, EventId)>,
    looked_at: Option<Instant>,
}

impl Parking {
    /// Whether this delivery stands behind a dead letter, and is none that was redriven.
    pub(super) fn holds(&self, arrival: &Arrival) -> bool {
        self.held.get(&arrival.key).is_some_and(|dead| !dead.contains(&arrival.envelope.meta.id))
    }

    /// A delivery was buried.
    pub(super) fn bury(&mut self, arrival: &Arrival) {
        let id = arrival.envelope.meta.id;
        self.held.entry(arrival.key).or_default().insert(id);
        self.fresh.push((arrival.key, id));
    }

    /// A delivery is done: if it was a dead letter, it holds nothing any more.
    pub(super) fn release(&mut self, arrival: &Arrival) {
        let id = arrival.envelope.meta.id;
        self.fresh.retain(|(_, fresh)| *fresh != id);
        if let Some(dead) = self.held.get_mut(&arrival.key) {
            dead.remove(&id);
            if dead.is_empty() {
                self.held.remove(&arrival.key);
            }
        }
    }

    /// Whether the dead letters have been read at all.
    pub(super) fn knows(&self) -> bool {
        self.looked_at.is_some()
    }

    /// When to read the dead letters again, if at all.
    pub(super) fn next_look(&self) -> Option<Instant> {
        match self.looked_at {
            None => Some(Instant::now()),
            Some(at) => (!self.held.is_empty()).then(|| at + LOOK),
        }
    }

    /// Takes in what the broker has. `since` is what was buried when the reading began.
    pub(super) fn learn(&mut self, found: Vec<(u64, EventId)>, since: usize) {
        self.fresh.drain(..since.min(self.fresh.len()));
        self.held.clear();
        for (key, id) in found.into_iter().chain(self.fresh.iter().copied()) {
            self.held.entry(key).or_default().insert(id);
        }
        self.looked_at = Some(Instant::now());
    }

    /// How many were buried since the last reading.
    pub(super) fn fresh(&self) -> usize {
        self.fresh.len()
    }
}

/// The aggregate and event of each dead letter of a handler.
pub(super) async fn look(
    transport: Arc<dyn Transport>,
    handler: Arc<str>,
    registry: Arc<Registry>,
) -> Result<Vec<(u64, EventId)>> {
    let letters = transport.dead_letters(&handler, LIMIT).await?;
    let read = letters.into_iter().filter_map(|letter| Arrival::read(&Arc::new(letter.message), &registry).ok());
    Ok(read.map(|arrival| (arrival.key, arrival.envelope.meta.id)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consumer::arrival::tests::arrival;

    #[test]
    fn an_aggregate_is_held_until_the_last_of_its_dead_letters_is_done() {
        let mut parking = Parking::default();
        let (dead, behind, new, other) = (arrival("c1"), arrival("c1"), arrival("c1"), arrival("c2"));
        parking.bury(&dead);
        assert!(parking.holds(&behind) && !parking.holds(&other));
        parking.bury(&behind);
        assert!(!parking.holds(&dead), "redriven, it is tried");
        parking.release(&dead);
        assert!(parking.holds(&new), "the one behind it is still a dead letter");
        parking.release(&behind);
        assert!(!parking.holds(&new));
    }

    #[test]
    fn what_was_buried_during_a_reading_is_not_forgotten_by_it() {
        let mut parking = Parking::default();
        let (first, second) = (arrival("c1"), arrival("c2"));
        parking.bury(&first);
        let since = parking.fresh();
        parking.bury(&second);
        parking.learn(vec![], since);
        assert!(!parking.holds(&arrival("c1")), "it was discarded");
        assert!(parking.holds(&arrival("c2")));
    }
}
