//! `on_dead = "park"` where a broker delivers: what comes behind a dead letter of its aggregate joins it, in order. Once a
//! person has redriven or discarded that one, the others are redriven by themselves.
//!
//! The dead letters on the broker are the one truth: they are read when a subscription begins and, while some hold an
//! aggregate, again from time to time, since a person may act on them from any process.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use super::arrival::Arrival;
use crate::{
    error::Result,
    event::{DeadReason, EventId},
    handler::Registry,
    transport::Transport,
};

/// How long a person's action may go unnoticed.
const LOOK: Duration = Duration::from_secs(2);
/// The most dead letters that are looked at.
const LIMIT: usize = 10_000;

/// A dead letter on the broker.
#[derive(Debug, Clone)]
pub(super) struct Letter {
    key: u64,
    event: EventId,
    /// The broker's name for it.
    id: String,
    /// Whether it only waits behind another one.
    parked: bool,
}

/// The aggregates that dead letters hold.
pub(super) struct Parking {
    /// By aggregate: the events that are dead letters and were not redriven.
    held: HashMap<u64, HashSet<EventId>>,
    /// How many readings were begun.
    looks: u64,
    /// What was buried, after how many readings had begun, and what came back since the last one began: it may tell
    /// otherwise.
    buried: Vec<(u64, EventId, u64)>,
    returned: HashSet<EventId>,
    /// Aggregates that something came of in this session. Others may be another process's to release.
    seen: HashSet<u64>,
    looked_at: Option<Instant>,
    made_at: Instant,
}

impl Parking {
    /// Of dead letters that are not known yet.
    pub(super) fn new() -> Self {
        Self {
            held: HashMap::new(),
            looks: 0,
            buried: Vec::new(),
            returned: HashSet::new(),
            seen: HashSet::new(),
            looked_at: None,
            made_at: Instant::now(),
        }
    }

    /// A delivery came: whether it stands behind a dead letter. One that is itself a dead letter was redriven.
    pub(super) fn holds(&mut self, arrival: &Arrival) -> bool {
        let id = arrival.envelope.meta.id;
        let Some(dead) = self.held.get_mut(&arrival.key) else { return false };
        self.seen.insert(arrival.key);
        if !dead.remove(&id) {
            return true;
        }
        if dead.is_empty() {
            self.held.remove(&arrival.key);
        }
        self.buried.retain(|(_, buried, _)| *buried != id);
        self.returned.insert(id);
        false
    }

    /// A delivery was buried.
    pub(super) fn bury(&mut self, arrival: &Arrival) {
        let id = arrival.envelope.meta.id;
        self.held.entry(arrival.key).or_default().insert(id);
        self.buried.push((arrival.key, id, self.looks));
        self.returned.remove(&id);
        self.seen.insert(arrival.key);
    }

    /// Whether the dead letters have been read at all.
    pub(super) fn knows(&self) -> bool {
        self.looked_at.is_some()
    }

    /// When to read the dead letters again, if at all.
    pub(super) fn next_look(&self) -> Option<Instant> {
        match self.looked_at {
            None => Some(self.made_at),
            Some(at) => (!self.held.is_empty()).then(|| at + LOOK),
        }
    }

    /// A reading begins.
    pub(super) fn begin_look(&mut self) {
        self.returned.clear();
        self.looks += 1;
    }

    /// Takes in what the broker has, and returns what is to be redriven now, in this order: the aggregates' dead letters
    /// that only wait for one that is gone. `is_busy` says whether something of an aggregate is being handled.
    pub(super) fn learn(&mut self, found: Vec<Letter>, is_busy: impl Fn(u64) -> bool) -> Vec<String> {
        // What was buried just before the reading began may not have been written yet: the next one must have it.
        self.buried.retain(|(_, _, looks)| looks + 1 >= self.looks);
        self.held.clear();
        let found: Vec<_> = found.into_iter().filter(|letter| !self.returned.contains(&letter.event)).collect();
        let now = found
            .iter()
            .map(|letter| (letter.key, letter.event))
            .chain(self.buried.iter().map(|(key, event, _)| (*key, *event)));
        for (key, event) in now {
            self.held.entry(key).or_default().insert(event);
        }
        self.looked_at = Some(Instant::now());
        self.seen.retain(|key| self.held.contains_key(key) || is_busy(*key));

        let blocked: HashSet<_> = found.iter().filter(|letter| !letter.parked).map(|letter| letter.key).collect();
        let fresh: HashSet<_> = self.buried.iter().map(|(key, ..)| *key).collect();
        let free =
            |key: u64| self.seen.contains(&key) && !blocked.contains(&key) && !fresh.contains(&key) && !is_busy(key);
        found.into_iter().filter(|letter| free(letter.key)).map(|letter| letter.id).collect()
    }
}

/// The dead letters of a handler, oldest first.
pub(super) async fn look(
    transport: Arc<dyn Transport>,
    handler: Arc<str>,
    registry: Arc<Registry>,
) -> Result<Vec<Letter>> {
    let letters = transport.dead_letters(&handler, LIMIT).await?;
    let read = letters.into_iter().filter_map(|letter| {
        let arrival = Arrival::read(&Arc::new(letter.message), &registry).ok()?;
        let parked = letter.epitaph.reason == DeadReason::Parked;
        Some(Letter { key: arrival.key, event: arrival.envelope.meta.id, id: letter.id, parked })
    });
    Ok(read.collect())
}

/// Makes these dead letters deliveries again, one after the other, so that they keep their order.
pub(super) async fn release(transport: Arc<dyn Transport>, handler: Arc<str>, ids: Vec<String>) -> Result<()> {
    for id in ids {
        transport.redrive(&handler, &id).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consumer::arrival::tests::arrival;

    fn letter(arrival: &Arrival, parked: bool) -> Letter {
        let event = arrival.envelope.meta.id;
        Letter { key: arrival.key, event, id: event.to_string(), parked }
    }

    fn idle(_: u64) -> bool {
        false
    }

    #[test]
    fn an_aggregate_is_held_until_the_last_of_its_dead_letters_has_come_back() {
        let mut parking = Parking::new();
        let (dead, behind, new, other) = (arrival("c1"), arrival("c1"), arrival("c1"), arrival("c2"));
        parking.bury(&dead);
        assert!(parking.holds(&behind) && !parking.holds(&other));
        parking.bury(&behind);
        assert!(!parking.holds(&dead), "redriven, it is tried");
        assert!(parking.holds(&new), "the one behind it is still a dead letter");
        assert!(!parking.holds(&behind));
        assert!(!parking.holds(&new));
    }

    #[test]
    fn what_was_buried_or_came_back_during_a_reading_is_not_forgotten_by_it() {
        let mut parking = Parking::new();
        let (first, second, third) = (arrival("c1"), arrival("c2"), arrival("c3"));
        parking.bury(&first);
        parking.bury(&third);
        parking.begin_look();
        parking.begin_look();
        parking.bury(&second);
        assert!(!parking.holds(&third));
        parking.learn(vec![letter(&third, false)], idle);
        assert!(!parking.holds(&arrival("c1")), "it was discarded");
        assert!(parking.holds(&arrival("c2")));
        assert!(!parking.holds(&arrival("c3")), "it had come back");
    }

    #[test]
    fn those_behind_are_released_once_nothing_stands_before_them() {
        let mut parking = Parking::new();
        let (dead, behind, other) = (arrival("c1"), arrival("c1"), arrival("c2"));
        parking.bury(&dead);
        parking.bury(&behind);
        parking.begin_look();
        parking.begin_look();
        let both = vec![letter(&dead, false), letter(&behind, true), letter(&other, true)];
        assert_eq!(parking.learn(both, idle), Vec::<String>::new(), "a dead letter stands before it");
        let behind_alone = || vec![letter(&behind, true), letter(&other, true)];
        assert!(parking.learn(behind_alone(), |_| true).is_empty(), "the one before it is being handled");
        let ids = parking.learn(behind_alone(), idle);
        assert_eq!(ids, [behind.envelope.meta.id.to_string()], "the other aggregate may be another process's");
    }
}
