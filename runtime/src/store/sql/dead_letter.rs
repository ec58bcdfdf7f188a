//! What failed, in whichever store it is.

use super::{SqlStore, SqlTransaction, pass_on};
use crate::{
    error::Result,
    event::EventId,
    store::{
        DeadLetterStore,
        record::{DeadLetter, DeadLetterId, Lease, Parked},
    },
};

impl DeadLetterStore for SqlStore {
    async fn parked(&self, handler: &str, limit: usize) -> Result<Vec<Parked>> {
        pass_on!(self.parked(handler, limit))
    }

    async fn handled(
        &self,
        connection: &mut SqlTransaction,
        lease: &Lease,
        events: &[EventId],
    ) -> Result<Option<Vec<EventId>>> {
        pass_on!(self.handled(lease, events) in connection)
    }

    async fn mark_handled(
        &self,
        connection: &mut SqlTransaction,
        lease: &Lease,
        events: &[(EventId, i64)],
    ) -> Result<()> {
        pass_on!(self.mark_handled(lease, events) in connection)
    }

    async fn dead_letters(&self, handler: Option<&str>, limit: usize) -> Result<Vec<DeadLetter>> {
        pass_on!(self.dead_letters(handler, limit))
    }

    async fn redrive(&self, letter: DeadLetterId) -> Result<bool> {
        pass_on!(self.redrive(letter))
    }

    async fn discard(&self, letter: DeadLetterId) -> Result<bool> {
        pass_on!(self.discard(letter))
    }
}
