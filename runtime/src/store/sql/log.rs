//! The event log of whichever store it is.

use chrono::{DateTime, Utc};

use super::{SqlStore, SqlTransaction, pass_on};
use crate::{
    error::Result,
    event::{Envelope, EventId},
    store::{
        Capabilities, EventLog, Schema,
        record::{Page, Position},
    },
};

impl EventLog for SqlStore {
    // The transaction itself: a connection is borrowed from it, and which of the two it is must be told somewhere.
    type Connection = SqlTransaction;
    type Transaction = SqlTransaction;

    fn capabilities(&self) -> Capabilities {
        match self {
            Self::Sqlite(store) => store.capabilities(),
            Self::Postgres(store) => store.capabilities(),
        }
    }

    fn schema(&self) -> Schema {
        match self {
            Self::Sqlite(store) => store.schema(),
            Self::Postgres(store) => store.schema(),
        }
    }

    async fn begin(&self) -> Result<SqlTransaction> {
        match self {
            Self::Sqlite(store) => store.begin().await.map(SqlTransaction::Sqlite),
            Self::Postgres(store) => store.begin().await.map(SqlTransaction::Postgres),
        }
    }

    fn connection(transaction: &mut SqlTransaction) -> &mut SqlTransaction {
        transaction
    }

    async fn savepoint(&self, connection: &mut SqlTransaction, again: bool) -> Result<()> {
        pass_on!(self.savepoint(again) in connection)
    }

    async fn undo(&self, connection: &mut SqlTransaction) -> Result<()> {
        pass_on!(self.undo() in connection)
    }

    async fn append(&self, connection: &mut SqlTransaction, events: &[Envelope]) -> Result<()> {
        pass_on!(self.append(events) in connection)
    }

    async fn contains(&self, connection: &mut SqlTransaction, events: &[EventId]) -> Result<Vec<EventId>> {
        pass_on!(self.contains(events) in connection)
    }

    async fn commit(&self, transaction: SqlTransaction) -> Result<()> {
        pass_on!(self.commit() in transaction)
    }

    async fn flushes(&self) -> Result<bool> {
        pass_on!(self.flushes())
    }

    async fn rollback(&self, transaction: SqlTransaction) -> Result<()> {
        pass_on!(self.rollback() in transaction)
    }

    async fn kinds(&self, limit: usize) -> Result<Vec<(String, u32)>> {
        pass_on!(self.kinds(limit))
    }

    async fn head(&self) -> Result<Position> {
        pass_on!(self.head())
    }

    async fn read(&self, after: &Position, limit: usize) -> Result<Page> {
        pass_on!(self.read(after, limit))
    }

    async fn fetch(&self, positions: &[i64]) -> Result<Vec<Envelope>> {
        pass_on!(self.fetch(positions))
    }

    async fn changed(&self, seen: &mut i64) -> Result<()> {
        pass_on!(self.changed(seen))
    }

    async fn trim(&self, before: DateTime<Utc>, limit: usize) -> Result<usize> {
        pass_on!(self.trim(before, limit))
    }
}
