//! The stretch of the log a subscription works on: what is done in it, and so how far the position may move.

use std::collections::VecDeque;

use crate::store::record::Position;

/// A place in the window.
pub(super) type Ticket = u64;

/// Events in log order, done in any order; the position follows the done ones from the front.
#[derive(Debug, Default)]
pub(super) struct Window {
    slots: VecDeque<Slot>,
    /// The ticket of the first slot.
    first: Ticket,
    /// The position behind everything that was done and taken off the front.
    reached: Option<Position>,
}

#[derive(Debug)]
struct Slot {
    /// The position behind this event.
    resume: Position,
    done: bool,
    /// Whether there was something to deliver.
    taken: bool,
}

impl Window {
    /// Takes an event in.
    pub(super) fn push(&mut self, resume: Position) -> Ticket {
        self.slots.push_back(Slot { resume, done: false, taken: true });
        self.first + self.slots.len() as Ticket - 1
    }

    /// Takes in a stretch with nothing to do in it.
    pub(super) fn pass(&mut self, resume: Position) {
        if self.slots.is_empty() {
            self.reached = Some(resume);
        } else {
            self.slots.push_back(Slot { resume, done: true, taken: false });
        }
    }

    /// Notes that an event is done: handled, parked or dead.
    pub(super) fn done(&mut self, ticket: Ticket) {
        let index = ticket.checked_sub(self.first).and_then(|index| usize::try_from(index).ok());
        if let Some(slot) = index.and_then(|index| self.slots.get_mut(index)) {
            slot.done = true;
        }
        while self.slots.front().is_some_and(|slot| slot.done) {
            self.reached = self.slots.pop_front().map(|slot| slot.resume);
            self.first += 1;
        }
    }

    /// The position to keep, if it has moved since this was last asked.
    pub(super) fn take_reached(&mut self) -> Option<Position> {
        self.reached.take()
    }

    /// The last delivery in it that is done.
    pub(super) fn last_done(&self) -> Option<Ticket> {
        let last = self.slots.iter().rposition(|slot| slot.done && slot.taken)?;
        Some(self.first + last as Ticket)
    }

    /// How many events are in it.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(after: i64) -> Position {
        Position { after, window: None }
    }

    #[test]
    fn the_position_stops_before_the_first_event_that_is_not_done() {
        let mut window = Window::default();
        let tickets: Vec<_> = (1..=4).map(|position| window.push(at(position))).collect();
        window.done(tickets[1]);
        window.done(tickets[2]);
        assert_eq!(window.take_reached(), None);
        window.done(tickets[0]);
        assert_eq!(window.take_reached(), Some(at(3)));
        assert_eq!(window.len(), 1);
        window.pass(at(9));
        assert_eq!(window.take_reached(), None);
        window.done(tickets[3]);
        assert_eq!(window.take_reached(), Some(at(9)));
        window.pass(at(12));
        assert_eq!(window.take_reached(), Some(at(12)));
    }
}
