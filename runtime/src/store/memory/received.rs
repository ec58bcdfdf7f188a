//! The inbox: what handlers have had from a broker.

use chrono::{DateTime, Utc};

use super::{MemoryConnection, MemoryStore};
use crate::{
    error::Result,
    event::EventId,
    store::{Inbox, record::OnceClaim},
};

/// An event that a handler has had.
pub(super) struct Received {
    pub(super) done: bool,
    /// Begun under suspicion.
    pub(super) attempts: u32,
    pub(super) at: DateTime<Utc>,
}

impl Received {
    pub(super) fn now(done: bool) -> Self {
        Self { done, attempts: 0, at: Utc::now() }
    }
}

impl Inbox for MemoryStore {
    async fn received(&self, handler: &str, events: &[EventId]) -> Result<Vec<EventId>> {
        let state = self.state();
        let Some(marks) = state.received.get(handler) else { return Ok(Vec::new()) };
        Ok(events.iter().copied().filter(|id| marks.get(id).is_some_and(|mark| mark.done)).collect())
    }

    async fn note_received(&self, handler: &str, events: &[EventId]) -> Result<()> {
        let mut state = self.state();
        let marks = state.received.entry(handler.into()).or_default();
        events.iter().for_each(|id| marks.entry(*id).or_insert_with(|| Received::now(true)).done = true);
        Ok(())
    }

    async fn receive_in(&self, connection: &mut MemoryConnection, handler: &str, event: EventId) -> Result<bool> {
        let staged = connection.received.iter().any(|(by, id)| **by == *handler && *id == event);
        let noted =
            self.state().received.get(handler).and_then(|marks| marks.get(&event)).is_some_and(|mark| mark.done);
        if staged || noted {
            return Ok(false);
        }
        connection.received.push((handler.into(), event));
        Ok(true)
    }

    async fn receive_once(&self, handler: &str, event: EventId) -> Result<OnceClaim> {
        let mut state = self.state();
        let marks = state.received.entry(handler.into()).or_default();
        Ok(match marks.get(&event) {
            Some(mark) if mark.done => OnceClaim::Done,
            Some(_) => OnceClaim::Interrupted,
            None => {
                marks.insert(event, Received::now(false));
                OnceClaim::Fresh
            }
        })
    }

    async fn begin_received(&self, handler: &str, event: EventId, attempt: u32) -> Result<()> {
        let mut state = self.state();
        let marks = state.received.entry(handler.into()).or_default();
        marks.entry(event).or_insert_with(|| Received::now(false)).attempts = attempt;
        Ok(())
    }

    async fn begun_received(&self, handler: &str, events: &[EventId]) -> Result<Vec<(EventId, u32)>> {
        let state = self.state();
        let Some(marks) = state.received.get(handler) else { return Ok(Vec::new()) };
        let begun = |id: &EventId| marks.get(id).filter(|mark| !mark.done && mark.attempts > 0);
        Ok(events.iter().filter_map(|id| begun(id).map(|mark| (*id, mark.attempts))).collect())
    }

    async fn forget_received(&self, handler: &str, events: &[EventId]) -> Result<()> {
        if let Some(marks) = self.state().received.get_mut(handler) {
            marks.retain(|id, mark| mark.done || !events.contains(id));
        }
        Ok(())
    }

    async fn trim_received(&self, before: DateTime<Utc>, limit: usize) -> Result<usize> {
        let mut left = limit;
        for marks in self.state().received.values_mut() {
            marks.retain(|_, mark| {
                let goes = left > 0 && mark.at < before;
                left -= usize::from(goes);
                !goes
            });
        }
        Ok(limit - left)
    }
}
