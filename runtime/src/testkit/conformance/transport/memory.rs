//! The memory transport's side of the suite.

use std::sync::Arc;

use super::{Broker, TransportHarness};
use crate::transport::{MemoryTransport, Transport};

/// A [`MemoryTransport`] for the suite: `conformance_transport!(memory, connect = MemoryTransportHarness::connect())`.
///
/// Its broker can't be killed, since it is this process; frozen, it is unreachable.
#[derive(Debug, Clone, Default)]
pub struct MemoryTransportHarness {
    transport: MemoryTransport,
}

impl MemoryTransportHarness {
    /// An empty transport.
    #[expect(clippy::unused_async, reason = "`connect` expressions are futures")]
    pub async fn connect() -> Self {
        Self::default()
    }
}

impl TransportHarness for MemoryTransportHarness {
    async fn open(&self) -> Arc<dyn Transport> {
        Arc::new(self.transport.clone())
    }

    async fn neighbour(&self) -> Arc<dyn Transport> {
        Arc::new(MemoryTransport::new())
    }

    async fn alone(&self) -> Option<(Self, Arc<dyn Broker>)> {
        Some((self.clone(), Arc::new(self.transport.clone())))
    }

    async fn refused(&self) -> Option<(Arc<dyn Transport>, String)> {
        None
    }

    fn nowhere(&self) -> Option<Arc<dyn Transport>> {
        None
    }
}

impl Broker for MemoryTransport {
    fn kill(&self) {
        unreachable!("no case kills a broker that does not outlive it");
    }

    fn restart(&self) {
        unreachable!("no case kills a broker that does not outlive it");
    }

    fn freeze(&self) {
        self.go_away();
    }

    fn thaw(&self) {
        self.come_back();
    }
}
