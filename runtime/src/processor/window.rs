//! The stretch of the log a subscription works on: what is done in it, and so how far the position may move.

use std::{collections::VecDeque, sync::Arc};

use crate::store::record::Position;

/// A place in the window.
pub(super) type Ticket = u64;

/// Events in log order, done in any order; the position follows the done ones from the front.
#[derive(Debug, Default)]
pub(super) struct Window {
    slots: VecDeque<Slot>,
    /// The ticket of the first slot.
    first: Ticket,
    /// What the slots' positions have besides their number, and how many in a row have it: mostly all. All subscriptions
    /// share it, and would wait for each other if each slot counted it.
    stretches: VecDeque<(Option<Arc<str>>, usize)>,
    /// The position behind everything that was done and taken off the front; `is_new` until it is asked for.
    reached: Position,
    is_new: bool,
}

#[derive(Debug)]
struct Slot {
    /// The number of the position behind this event.
    after: i64,
    done: bool,
    /// Whether there was something to deliver.
    taken: bool,
}

impl Window {
    /// Takes an event in.
    pub(super) fn push(&mut self, resume: &Position) -> Ticket {
        self.append(resume, false);
        self.first + self.slots.len() as Ticket - 1
    }

    /// Takes in a stretch with nothing to do in it.
    pub(super) fn pass(&mut self, resume: &Position) {
        if self.slots.is_empty() {
            (self.reached, self.is_new) = (resume.clone(), true);
        } else {
            self.append(resume, true);
        }
    }

    fn append(&mut self, resume: &Position, done: bool) {
        self.slots.push_back(Slot { after: resume.after, done, taken: !done });
        match self.stretches.back_mut() {
            Some((window, slots)) if is_one(window.as_ref(), resume.window.as_ref()) => *slots += 1,
            _ => self.stretches.push_back((resume.window.clone(), 1)),
        }
    }

    /// Notes that an event is done: handled, parked or dead.
    pub(super) fn done(&mut self, ticket: Ticket) {
        let index = ticket.checked_sub(self.first).and_then(|index| usize::try_from(index).ok());
        if let Some(slot) = index.and_then(|index| self.slots.get_mut(index)) {
            slot.done = true;
        }
        while self.slots.front().is_some_and(|slot| slot.done) {
            self.take_off();
        }
    }

    fn take_off(&mut self) {
        let (Some(slot), Some((window, slots))) = (self.slots.pop_front(), self.stretches.front_mut()) else { return };
        self.first += 1;
        (self.reached.after, self.is_new) = (slot.after, true);
        if !is_one(self.reached.window.as_ref(), window.as_ref()) {
            self.reached.window.clone_from(window);
        }
        *slots -= 1;
        if *slots == 0 {
            self.stretches.pop_front();
        }
    }

    /// The position to keep, if it has moved since this was last asked.
    pub(super) fn take_reached(&mut self) -> Option<Position> {
        std::mem::take(&mut self.is_new).then(|| self.reached.clone())
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

/// Whether they are not only alike, but one.
fn is_one(one: Option<&Arc<str>>, other: Option<&Arc<str>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        (None, None) => true,
        _ => false,
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
        let tickets: Vec<_> = (1..=4).map(|position| window.push(&at(position))).collect();
        window.done(tickets[1]);
        window.done(tickets[2]);
        assert_eq!(window.take_reached(), None);
        window.done(tickets[0]);
        assert_eq!(window.take_reached(), Some(at(3)));
        assert_eq!(window.len(), 1);
        window.pass(&at(9));
        assert_eq!(window.take_reached(), None);
        window.done(tickets[3]);
        assert_eq!(window.take_reached(), Some(at(9)));
        window.pass(&at(12));
        assert_eq!(window.take_reached(), Some(at(12)));
        assert_eq!(window.take_reached(), None, "it has not moved");
    }

    #[test]
    fn each_position_keeps_what_it_has_besides_its_number() {
        let mut window = Window::default();
        let in_stretch = |after, name: &Arc<str>| Position { after, window: Some(Arc::clone(name)) };
        let (one, other): (Arc<str>, Arc<str>) = ("one".into(), "other".into());
        let positions = [in_stretch(1, &one), in_stretch(2, &one), in_stretch(3, &other), at(4), in_stretch(5, &one)];
        let tickets: Vec<_> = positions.iter().map(|position| window.push(position)).collect();
        for (ticket, position) in tickets.into_iter().zip(positions) {
            window.done(ticket);
            assert_eq!(window.take_reached(), Some(position));
        }
        window.pass(&in_stretch(6, &other));
        assert_eq!(window.take_reached(), Some(in_stretch(6, &other)));
        assert!(window.stretches.is_empty() && window.slots.is_empty());
    }
}
