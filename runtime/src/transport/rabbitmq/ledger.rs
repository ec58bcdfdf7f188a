//! What an inbound has been given and has not settled, and with how few acknowledgements a batch can be settled.
//!
//! A channel numbers its deliveries 1, 2, 3, ... An acknowledgement can stand for all up to its number, which is what makes
//! it cheap; it must not stand for one that is still being worked on.

use std::collections::{BTreeMap, BTreeSet};

/// The deliveries of one channel.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// Added to a channel's numbers, so that no number comes twice in the life of an inbound.
    base: u64,
    /// All up to this one are settled.
    floor: u64,
    /// Settled, above the floor.
    settled: BTreeSet<u64>,
    /// Not settled, and whose partition it is.
    open: BTreeMap<u64, u16>,
    /// So many of the open ones are with the caller; the others wait to be received.
    handed_out: usize,
}

/// How to acknowledge a batch.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Acks {
    /// All up to and including this one.
    pub(super) through: Option<u64>,
    /// These alone.
    pub(super) single: Vec<u64>,
}

impl Ledger {
    /// Another channel: what was open will come again.
    pub(super) fn renew(&mut self) {
        let last = self.open.keys().next_back().into_iter().chain(self.settled.iter().next_back()).max();
        let last = last.copied().unwrap_or(0).max(self.floor);
        *self = Self { base: self.base + last, ..Self::default() };
    }

    /// Writes a delivery down; returns its tag for the caller.
    pub(super) fn open(&mut self, number: u64, partition: u16) -> u64 {
        self.open.insert(number, partition);
        self.base + number
    }

    /// The channel's number of a tag, if it is one of this channel's and not settled.
    pub(super) fn number(&self, tag: u64) -> Option<u64> {
        let number = tag.checked_sub(self.base)?;
        self.open.contains_key(&number).then_some(number)
    }

    /// The partition of an open delivery.
    pub(super) fn partition(&self, number: u64) -> Option<u16> {
        self.open.get(&number).copied()
    }

    /// The caller has received one.
    pub(super) fn hand_out(&mut self) {
        self.handed_out += 1;
    }

    pub(super) fn handed_out(&self) -> usize {
        self.handed_out
    }

    pub(super) fn unsettled_of(&self, partition: u16) -> usize {
        self.open.values().filter(|own| **own == partition).count()
    }

    /// Settles one that is not acknowledged, but given back.
    pub(super) fn give_back(&mut self, number: u64) {
        if self.open.remove(&number).is_some() {
            self.handed_out = self.handed_out.saturating_sub(1);
            self.settled.insert(number);
            self.advance();
        }
    }

    /// Settles these, and says how to tell the broker.
    pub(super) fn settle(&mut self, numbers: impl IntoIterator<Item = u64>) -> Acks {
        let mut fresh = BTreeSet::new();
        for number in numbers {
            if self.open.remove(&number).is_some() {
                fresh.insert(number);
            }
        }
        self.handed_out = self.handed_out.saturating_sub(fresh.len());
        self.settled.extend(&fresh);
        self.advance();
        let single = fresh.split_off(&(self.floor + 1));
        // The last that the broker does not know of: those between it and the floor are acknowledged already.
        Acks { through: fresh.last().copied(), single: single.into_iter().collect() }
    }

    fn advance(&mut self) {
        while self.settled.remove(&(self.floor + 1)) {
            self.floor += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(deliveries: u64) -> Ledger {
        let mut ledger = Ledger::default();
        for number in 1..=deliveries {
            ledger.open(number, 0);
        }
        ledger
    }

    #[test]
    fn a_batch_without_gaps_takes_one_acknowledgement() {
        let mut ledger = ledger(4);
        assert_eq!(ledger.settle([2, 1, 3]), Acks { through: Some(3), single: vec![] });
        assert_eq!(ledger.unsettled_of(0), 1);
    }

    #[test]
    fn an_acknowledgement_never_stands_for_what_is_still_worked_on() {
        let mut ledger = ledger(5);
        assert_eq!(ledger.settle([1, 3, 4]), Acks { through: Some(1), single: vec![3, 4] });
        // 3 and 4 are acknowledged: an acknowledgement must name one that is not.
        assert_eq!(ledger.settle([2]), Acks { through: Some(2), single: vec![] });
        assert_eq!(ledger.settle([5]), Acks { through: Some(5), single: vec![] });
    }

    #[test]
    fn what_has_not_been_written_down_yet_is_a_gap() {
        let mut ledger = Ledger::default();
        // 1 came for another partition, and is on its way to the ledger.
        ledger.open(2, 1);
        assert_eq!(ledger.settle([2]), Acks { through: None, single: vec![2] });
        ledger.open(1, 0);
        assert_eq!(ledger.settle([1]), Acks { through: Some(1), single: vec![] });
    }

    #[test]
    fn what_was_given_back_leaves_no_gap() {
        let mut ledger = ledger(3);
        ledger.give_back(2);
        assert_eq!(ledger.settle([1, 3]), Acks { through: Some(3), single: vec![] });
    }

    #[test]
    fn tags_of_a_lost_channel_mean_nothing() {
        let mut ledger = ledger(3);
        let old = ledger.open(4, 0);
        ledger.renew();
        assert_eq!((ledger.number(old), ledger.unsettled_of(0)), (None, 0));
        let new = ledger.open(1, 7);
        assert_ne!(new, old);
        assert_eq!((ledger.number(old), ledger.number(new), ledger.partition(1)), (None, Some(1), Some(7)));
        assert_eq!((ledger.settle([4, 1]), ledger.unsettled_of(7)), (Acks { through: Some(1), single: vec![] }, 0));
    }
}
