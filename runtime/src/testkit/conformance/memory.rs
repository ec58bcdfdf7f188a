//! The memory store's side of the suite.

use super::StoreHarness;
use crate::{
    error::{Error, ErrorKind, Result},
    handler::HandlerDef,
    store::{MemoryStore, memory::MemoryConnection},
};

/// A [`MemoryStore`] for the suite: `conformance_store!(memory, connect = MemoryHarness::connect())`.
#[derive(Debug, Clone, Default)]
pub struct MemoryHarness {
    store: MemoryStore,
}

impl MemoryHarness {
    /// An empty store.
    #[expect(clippy::unused_async, reason = "`connect` expressions are futures")]
    pub async fn connect() -> Self {
        Self::default()
    }
}

impl StoreHarness for MemoryHarness {
    type Store = MemoryStore;

    async fn open(&self) -> MemoryStore {
        self.store.clone()
    }

    fn place(&self) -> String {
        unreachable!("no other process can reach this memory")
    }

    async fn at(_: &str) -> Self {
        // Only ever awaited where the environment was set for the child of another backend.
        unreachable!("no other process can reach this memory")
    }

    async fn write_effect(_: &mut MemoryConnection, _: &str) -> Result<()> {
        Err(Error::new(ErrorKind::Store, "the memory store has no tables"))
    }

    async fn effects(&self) -> Vec<String> {
        Vec::new()
    }

    fn ledger() -> Option<&'static HandlerDef> {
        None
    }

    async fn restored(&self) -> Self {
        unreachable!("what is not durable has no dump")
    }
}
