//! What failed: parked deliveries and dead letters, and the marks of what was handled once.

use std::{collections::HashMap, sync::Arc};

use chrono::DateTime;

use super::{Handled, MemoryConnection, MemoryStore, state::State};
use crate::{
    error::Result,
    event::EventId,
    store::{
        DeadLetterStore,
        record::{AggregateKey, DeadLetter, DeadLetterId, Lease, Parked, ParkedState},
    },
};

impl DeadLetterStore for MemoryStore {
    async fn parked(&self, handler: &str, limit: usize) -> Result<Vec<Parked>> {
        let state = self.state();
        let parked = state.parked.iter().filter(|((of, _), _)| &**of == handler);
        Ok(parked.map(|(_, delivery)| delivery.clone()).take(limit).collect())
    }

    async fn handled(
        &self,
        connection: &mut MemoryConnection,
        lease: &Lease,
        events: &[EventId],
    ) -> Result<Option<Vec<EventId>>> {
        let mut state = self.state();
        if state.held(lease).is_none() {
            return Ok(None);
        }
        let handler = &lease.subscription.handler;
        let is_handled = |event: &&EventId| {
            let committed = state.marks.get(&(handler.clone(), **event)).is_some_and(|mark| mark.done);
            committed || connection.handled.iter().any(|mark| mark.is_of(handler, **event))
        };
        Ok(Some(events.iter().filter(is_handled).copied().collect()))
    }

    async fn mark_handled(
        &self,
        connection: &mut MemoryConnection,
        lease: &Lease,
        events: &[(EventId, i64)],
    ) -> Result<()> {
        let mark =
            |(event, position): &(EventId, i64)| Handled { lease: lease.clone(), event: *event, position: *position };
        connection.handled.extend(events.iter().map(mark));
        Ok(())
    }

    async fn dead_letters(&self, handler: Option<&str>, limit: usize) -> Result<Vec<DeadLetter>> {
        let state = self.state();
        let mut letters: Vec<&DeadLetter> = state
            .dead
            .iter()
            .rev()
            .filter(|letter| handler.is_none_or(|handler| &*letter.handler == handler))
            .collect();
        // A stable sort: of the same time, the one that came last stays first.
        letters.sort_by_key(|letter| std::cmp::Reverse(letter.at));
        Ok(letters.into_iter().take(limit).cloned().collect())
    }

    async fn redrive(&self, letter: DeadLetterId) -> Result<bool> {
        let redriven = self.state().redrive(letter);
        if redriven {
            self.announce();
        }
        Ok(redriven)
    }

    async fn discard(&self, letter: DeadLetterId) -> Result<bool> {
        let discarded = self.state().discard(letter);
        if discarded {
            self.announce();
        }
        Ok(discarded)
    }
}

impl State {
    /// Keeps a dead letter; a delivery has one at most, so it takes the place of an earlier one.
    pub(super) fn bury(&mut self, letter: DeadLetter) {
        self.dead
            .retain(|old| old.id != letter.id && (old.handler != letter.handler || old.position != letter.position));
        self.dead.push(letter);
    }

    fn unbury(&mut self, letter: DeadLetterId) -> Option<DeadLetter> {
        let place = self.dead.iter().position(|kept| kept.id == letter)?;
        let letter = self.dead.remove(place);
        self.revise(&letter.handler);
        Some(letter)
    }

    fn redrive(&mut self, letter: DeadLetterId) -> bool {
        let Some(letter) = self.unbury(letter) else { return false };
        let meta = &letter.envelope.meta;
        let delivery = Parked {
            aggregate: AggregateKey::from(meta),
            position: letter.position,
            event: meta.id,
            state: ParkedState::Retrying,
            attempts: 0,
            // Due by every clock, also by one that a test has set.
            next_at: DateTime::UNIX_EPOCH,
            error: Some(letter.error),
        };
        self.marks.remove(&(letter.handler.clone(), meta.id));
        self.parked.insert((letter.handler, letter.position), delivery);
        true
    }

    fn discard(&mut self, letter: DeadLetterId) -> bool {
        let Some(letter) = self.unbury(letter) else { return false };
        let place = (letter.handler, letter.position);
        if self.parked.get(&place).is_some_and(|delivery| delivery.state == ParkedState::Dead) {
            self.parked.remove(&place);
        }
        true
    }

    /// Forgets marks of events that will not be delivered again: behind all of the handler's positions, not parked, no
    /// dead letter.
    pub(super) fn trim_marks(&mut self, limit: usize) -> usize {
        let mut least = HashMap::<Arc<str>, i64>::new();
        for (id, row) in &self.subscriptions {
            let after = row.position.after;
            least.entry(id.handler.clone()).and_modify(|least| *least = after.min(*least)).or_insert(after);
        }
        let gone: Vec<_> = self
            .marks
            .iter()
            .filter(|((handler, _), mark)| least.get(handler).is_none_or(|least| mark.position <= *least))
            .filter(|((handler, _), mark)| !self.parked.contains_key(&(handler.clone(), mark.position)))
            .filter(|((handler, event), _)| {
                !self.dead.iter().any(|letter| letter.handler == *handler && letter.envelope.meta.id == *event)
            })
            .map(|(mark, _)| mark.clone())
            .take(limit)
            .collect();
        for mark in &gone {
            self.marks.remove(mark);
        }
        gone.len()
    }
}
