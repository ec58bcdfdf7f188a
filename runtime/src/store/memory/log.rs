//! The event log: staged in a transaction, published at commit.

use std::{
    collections::{BTreeSet, HashSet},
    ops::Bound,
};

use chrono::{DateTime, Utc};

use super::{MemoryConnection, MemoryStore, MemoryTransaction};
use crate::{
    error::{Error, ErrorKind, Result},
    event::{Envelope, EventId},
    store::{
        Capabilities, EventLog, Schema,
        check::check,
        record::{Page, Position},
    },
};

impl EventLog for MemoryStore {
    type Connection = MemoryConnection;
    type Transaction = MemoryTransaction;

    fn capabilities(&self) -> Capabilities {
        Capabilities { concurrent_writers: true, ..Capabilities::none("memory") }
    }

    fn schema(&self) -> Schema {
        Schema { found: 1, needed: 1 }
    }

    async fn begin(&self) -> Result<Self::Transaction> {
        Ok(MemoryTransaction::default())
    }

    fn connection(transaction: &mut Self::Transaction) -> &mut Self::Connection {
        &mut transaction.connection
    }

    async fn savepoint(&self, connection: &mut Self::Connection, _: bool) -> Result<()> {
        connection.savepoint = (connection.events.len(), connection.handled.len(), connection.received.len());
        Ok(())
    }

    async fn undo(&self, connection: &mut Self::Connection) -> Result<()> {
        connection.events.truncate(connection.savepoint.0);
        connection.handled.truncate(connection.savepoint.1);
        connection.received.truncate(connection.savepoint.2);
        Ok(())
    }

    async fn append(&self, connection: &mut Self::Connection, events: &[Envelope]) -> Result<()> {
        events.iter().try_for_each(|event| check(&event.meta))?;
        self.state().check(connection.events.iter().chain(events))?;
        connection.events.extend_from_slice(events);
        Ok(())
    }

    async fn contains(&self, connection: &mut Self::Connection, events: &[EventId]) -> Result<Vec<EventId>> {
        let staged: HashSet<_> = connection.events.iter().map(|event| event.meta.id).collect();
        let state = self.state();
        Ok(events.iter().copied().filter(|id| staged.contains(id) || state.positions.contains_key(id)).collect())
    }

    async fn commit(&self, transaction: Self::Transaction) -> Result<()> {
        let events = transaction.connection.events.len();
        self.state().commit(transaction.connection)?;
        if events > 0 {
            self.announce();
        }
        Ok(())
    }

    async fn flushes(&self) -> Result<bool> {
        // What is committed is lost with everything else.
        Ok(true)
    }

    async fn rollback(&self, transaction: Self::Transaction) -> Result<()> {
        drop(transaction);
        Ok(())
    }

    async fn head(&self) -> Result<Position> {
        Ok(Position { after: self.state().last, window: None })
    }

    async fn read(&self, after: &Position, limit: usize) -> Result<Page> {
        let state = self.state();
        let mut behind = state.log.range((Bound::Excluded(after.after), Bound::Unbounded));
        let events: Vec<Envelope> = behind.by_ref().take(limit).map(|(_, event)| event.clone()).collect();
        let more = behind.next().is_some();
        let resume: Vec<Position> = events
            .iter()
            .filter_map(|event| event.meta.position)
            .map(|after| Position { after, window: None })
            .collect();
        let end = resume.last().unwrap_or(after).clone();
        Ok(Page { events, resume, end, more })
    }

    async fn fetch(&self, positions: &[i64]) -> Result<Vec<Envelope>> {
        let state = self.state();
        Ok(positions.iter().filter_map(|position| state.log.get(position)).cloned().collect())
    }

    async fn kinds(&self, limit: usize) -> Result<Vec<(String, u32)>> {
        let state = self.state();
        let kind = |event: &Envelope| (event.meta.name.to_string(), event.meta.version);
        let mut kinds: BTreeSet<_> = state.log.values().rev().take(limit).map(kind).collect();
        if let (Some((first, _)), Some((last, _))) = (state.log.first_key_value(), state.log.last_key_value()) {
            let stride = (last - first) / i64::try_from(limit.max(1)).unwrap_or(i64::MAX) + 1;
            let mut place = *first;
            while let Some((_, event)) = state.log.range(place..).next() {
                kinds.insert(kind(event));
                place += stride;
            }
        }
        Ok(kinds.into_iter().collect())
    }

    async fn changed(&self, seen: &mut i64) -> Result<()> {
        let mut changes = self.shared.changes.subscribe();
        let now = *changes
            .wait_for(|changes| changes != seen)
            .await
            .map_err(|gone| Error::new(ErrorKind::Store, "the memory store is gone").with_source(gone))?;
        *seen = now;
        Ok(())
    }

    async fn trim(&self, before: DateTime<Utc>, limit: usize) -> Result<usize> {
        let mut state = self.state();
        let state = &mut *state;
        let behind = state.subscriptions.values().map(|subscription| subscription.position.after).min();
        let behind = behind.unwrap_or(state.last);
        let kept: HashSet<i64> = state
            .parked
            .keys()
            .map(|(_, position)| *position)
            .chain(state.dead.iter().map(|letter| letter.position))
            .collect();
        let gone: Vec<i64> = state
            .log
            .iter()
            .take_while(|(position, _)| **position <= behind)
            .filter(|(position, event)| {
                event.meta.recorded_at.is_some_and(|recorded| recorded < before) && !kept.contains(position)
            })
            .map(|(position, _)| *position)
            .take(limit)
            .collect();
        for position in &gone {
            if let Some(event) = state.log.remove(position) {
                state.positions.remove(&event.meta.id);
            }
        }
        let marks = state.trim_marks(limit);
        Ok(gone.len().max(marks))
    }
}
