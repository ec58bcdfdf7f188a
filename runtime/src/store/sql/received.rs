//! The inbox of whichever store it is.

use chrono::{DateTime, Utc};

use super::{SqlStore, SqlTransaction, pass_on};
use crate::{
    error::Result,
    event::EventId,
    store::{Inbox, record::OnceClaim},
};

impl Inbox for SqlStore {
    async fn received(&self, handler: &str, events: &[EventId]) -> Result<Vec<EventId>> {
        pass_on!(self.received(handler, events))
    }

    async fn note_received(&self, handler: &str, events: &[EventId]) -> Result<()> {
        pass_on!(self.note_received(handler, events))
    }

    async fn receive_in(&self, transaction: &mut SqlTransaction, handler: &str, event: EventId) -> Result<bool> {
        pass_on!(self.receive_in(handler, event) in transaction)
    }

    async fn receive_once(&self, handler: &str, event: EventId) -> Result<OnceClaim> {
        pass_on!(self.receive_once(handler, event))
    }

    async fn begin_received(&self, handler: &str, event: EventId, attempt: u32) -> Result<()> {
        pass_on!(self.begin_received(handler, event, attempt))
    }

    async fn begun_received(&self, handler: &str, events: &[EventId]) -> Result<Vec<(EventId, u32)>> {
        pass_on!(self.begun_received(handler, events))
    }

    async fn forget_received(&self, handler: &str, events: &[EventId]) -> Result<()> {
        pass_on!(self.forget_received(handler, events))
    }

    async fn trim_received(&self, before: DateTime<Utc>, limit: usize) -> Result<usize> {
        pass_on!(self.trim_received(before, limit))
    }
}
