//! What an inbound has been given and has not settled, and with how few acknowledgements a batch can be settled.
//!
//! A channel numbers its deliveries 1, 2, 3, ... An acknowledgement can stand for all up to its number, which is what makes
//! it cheap; it must not stand for one that is still being worked on.

use std::{collections::VecDeque, mem};

/// The deliveries of one channel.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// Added to a channel's numbers, so that no number comes twice in the life of an inbound.
    base: u64,
    /// All up to this one are settled.
    floor: u64,
    /// How those above the floor stand.
    above: VecDeque<Standing>,
    /// So many of them are late.
    late: usize,
    /// The late ones, and some that were: what is above the floor may be too much to look through.
    became_late: Vec<u64>,
    /// So many of the open ones are with the caller; the others wait to be received.
    handed_out: usize,
}

/// How a delivery stands, and whose partition it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It is on its way to the ledger: a later one of another partition was quicker.
    Missing,
    Open(u16),
    /// Settled, and the broker was not told.
    Late(u16),
    /// Settled, as the broker knows.
    Settled,
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
        *self = Self { base: self.base + self.floor + self.above.len() as u64, ..Self::default() };
    }

    fn standing(&self, number: u64) -> Standing {
        let place = number.checked_sub(self.floor + 1).and_then(|place| usize::try_from(place).ok());
        place.map_or(Standing::Settled, |place| self.above.get(place).copied().unwrap_or(Standing::Missing))
    }

    /// Of an open delivery, its partition: it stands so from now on.
    fn close(&mut self, number: u64, now: impl FnOnce(u16) -> Standing) -> bool {
        let Standing::Open(partition) = self.standing(number) else { return false };
        self.above[(number - self.floor - 1) as usize] = now(partition);
        self.handed_out = self.handed_out.saturating_sub(1);
        true
    }

    /// Writes a delivery down; returns its tag for the caller.
    pub(super) fn open(&mut self, number: u64, partition: u16) -> u64 {
        if let Some(place) = number.checked_sub(self.floor + 1) {
            while self.above.len() as u64 <= place {
                self.above.push_back(Standing::Missing);
            }
            self.above[place as usize] = Standing::Open(partition);
        }
        self.base + number
    }

    /// The channel's number of a tag, if it is one of this channel's and not settled.
    pub(super) fn number(&self, tag: u64) -> Option<u64> {
        let number = tag.checked_sub(self.base)?;
        self.partition(number).map(|_| number)
    }

    /// The partition of an open delivery.
    pub(super) fn partition(&self, number: u64) -> Option<u16> {
        if let Standing::Open(partition) = self.standing(number) { Some(partition) } else { None }
    }

    /// The caller has received so many.
    pub(super) fn hand_out(&mut self, count: usize) {
        self.handed_out += count;
    }

    pub(super) fn handed_out(&self) -> usize {
        self.handed_out
    }

    /// How many of a partition the broker does not know to be settled.
    pub(super) fn unsettled_of(&self, partition: u16) -> usize {
        let own = |standing: &&Standing| [Standing::Open(partition), Standing::Late(partition)].contains(standing);
        self.above.iter().filter(own).count()
    }

    /// Which channel it is.
    pub(super) fn base(&self) -> u64 {
        self.base
    }

    /// Whether there is something of which the broker was not told.
    pub(super) fn has_late(&self) -> bool {
        self.late > 0
    }

    /// The broker is told of these now, one by one.
    pub(super) fn take_late(&mut self) -> Vec<u64> {
        let mut late = mem::take(&mut self.became_late);
        late.retain(|number| matches!(self.standing(*number), Standing::Late(_)));
        late.sort_unstable();
        for number in &late {
            self.above[(number - self.floor - 1) as usize] = Standing::Settled;
        }
        self.late = 0;
        late
    }

    /// Settles one that is not acknowledged, but given back: after [`take_late`](Self::take_late), so that nothing behind
    /// it is forgotten.
    pub(super) fn give_back(&mut self, number: u64) {
        if self.close(number, |_| Standing::Settled) {
            self.advance();
        }
    }

    /// Settles these, and says how to tell the broker. What is settled behind one that is not is late: it waits to be told
    /// together with that one, unless more than so many would wait.
    pub(super) fn settle(&mut self, numbers: impl IntoIterator<Item = u64>, patience: usize) -> Acks {
        for number in numbers {
            if self.close(number, Standing::Late) {
                self.late += 1;
                self.became_late.push(number);
            }
        }
        let through = self.advance();
        if self.late == 0 {
            self.became_late.clear();
        }
        let single = if self.late > patience { self.take_late() } else { Vec::new() };
        Acks { through, single }
    }

    /// Moves the floor up to what is not settled; returns the last below it that the broker does not know of: one that is
    /// acknowledged already must not be named again.
    fn advance(&mut self) -> Option<u64> {
        let mut last = None;
        while let Some(Standing::Late(_) | Standing::Settled) = self.above.front() {
            self.floor += 1;
            if let Some(Standing::Late(_)) = self.above.pop_front() {
                self.late -= 1;
                last = Some(self.floor);
            }
        }
        last
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
        assert_eq!(ledger.settle([2, 1, 3], 0), Acks { through: Some(3), single: vec![] });
        assert_eq!(ledger.unsettled_of(0), 1);
    }

    #[test]
    fn an_acknowledgement_never_stands_for_what_is_still_worked_on() {
        let mut ledger = ledger(5);
        assert_eq!(ledger.settle([1, 3, 4], 0), Acks { through: Some(1), single: vec![3, 4] });
        // 3 and 4 are acknowledged: an acknowledgement must name one that is not.
        assert_eq!(ledger.settle([2], 0), Acks { through: Some(2), single: vec![] });
        assert_eq!(ledger.settle([5], 0), Acks { through: Some(5), single: vec![] });
    }

    #[test]
    fn what_has_not_been_written_down_yet_is_a_gap() {
        let mut ledger = Ledger::default();
        // 1 came for another partition, and is on its way to the ledger.
        ledger.open(2, 1);
        assert_eq!(ledger.settle([2], 0), Acks { through: None, single: vec![2] });
        ledger.open(1, 0);
        assert_eq!(ledger.settle([1], 0), Acks { through: Some(1), single: vec![] });
    }

    #[test]
    fn what_was_given_back_leaves_no_gap() {
        let mut ledger = ledger(3);
        ledger.give_back(2);
        assert_eq!(ledger.settle([1, 3], 0), Acks { through: Some(3), single: vec![] });
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
        assert_eq!((ledger.settle([4, 1], 0), ledger.unsettled_of(7)), (Acks { through: Some(1), single: vec![] }, 0));
    }

    #[test]
    fn what_is_late_goes_with_the_one_that_it_waited_for() {
        let mut ledger = ledger(6);
        assert_eq!(ledger.settle([2, 3, 5], 3), Acks::default());
        assert_eq!((ledger.unsettled_of(0), ledger.has_late()), (6, true), "the broker knows of nothing yet");
        assert_eq!(ledger.settle([1], 3), Acks { through: Some(3), single: vec![] });
        assert_eq!(ledger.settle([4], 3), Acks { through: Some(5), single: vec![] });
        assert_eq!((ledger.unsettled_of(0), ledger.has_late()), (1, false));
    }

    #[test]
    fn no_more_is_late_than_there_is_patience_for() {
        let mut ledger = ledger(6);
        assert_eq!(ledger.settle([3, 4], 2), Acks::default());
        assert_eq!(ledger.settle([6], 2), Acks { through: None, single: vec![3, 4, 6] });
        assert_eq!(ledger.settle([2], 2), Acks::default());
        assert_eq!(ledger.take_late(), [2]);
        // All up to 4 are known to it but this one.
        assert_eq!(ledger.settle([1], 2), Acks { through: Some(1), single: vec![] });
        assert_eq!(ledger.settle([5], 2), Acks { through: Some(5), single: vec![] });
        assert_eq!(ledger.unsettled_of(0), 0);
    }

    #[test]
    fn a_lost_channel_takes_what_was_late_with_it() {
        let mut ledger = ledger(3);
        let before = ledger.base();
        ledger.settle([3], 9);
        ledger.renew();
        assert!(!ledger.has_late() && ledger.base() == before + 3);
    }
}
