//! What a backend brings to the suite beside its store: how to open it again, and a table of its own to write to.

use std::future::Future;

use crate::{
    error::Result,
    handler::HandlerDef,
    store::{EventLog, Store},
};

/// Data of a backend that a case runs on: made new for each case by the `connect` expression of
/// [`conformance_store!`](crate::conformance_store).
///
/// Only what the store's `Capabilities` say it has is ever asked for: where a store is not `transactional`, the methods
/// about effects are not called; where it has not `several_processes`, `place` and `at` are not.
pub trait StoreHarness: Sized + Send + Sync + 'static {
    /// The store.
    type Store: Store;

    /// A handle on the data, independent of the ones before, as another process would open it.
    fn open(&self) -> impl Future<Output = Self::Store> + Send;

    /// Where the data is, in words that [`at`](Self::at) understands in another process.
    fn place(&self) -> String;

    /// The same data, found again in another process. It must not remove the data when it is dropped.
    fn at(place: &str) -> impl Future<Output = Self> + Send;

    /// Writes a text into a business table, on this connection and in its transaction. The table takes the same text
    /// twice: doubled effects must show.
    ///
    /// # Errors
    ///
    /// If the database refuses it.
    fn write_effect(
        connection: &mut <Self::Store as EventLog>::Connection,
        effect: &str,
    ) -> impl Future<Output = Result<()>> + Send;

    /// All texts in the business table, in the order they were written.
    fn effects(&self) -> impl Future<Output = Vec<String>> + Send;

    /// A handler of `ParcelMovedEvent` in the group `conformance`, named `ledger`, with `max_attempts` 3 and a short
    /// backoff, that takes the store's transaction, calls [`Stage::play`](super::Stage::play) with `"ledger"`, and then
    /// writes the effect `ledger <parcel> <step>` with the transaction.
    fn ledger() -> Option<&'static HandlerDef>;

    /// A copy of the data as a dump and a restore make it, in a new place; called while nobody writes.
    fn restored(&self) -> impl Future<Output = Self> + Send;
}
