//! What a transport brings to the suite: how to open it again, a broker to mistreat, and addresses that lead nowhere.

use std::{future::Future, sync::Arc};

use crate::transport::{Capabilities, Transport};

/// A broker that a case runs on: made new for each case by the `connect` expression of
/// [`conformance_transport!`](crate::conformance_transport), with names on the broker that no other case uses.
///
/// The transport's `Capabilities` decide what is asked of it.
///
/// ```
/// use domain_events::{
///     testkit::conformance::{Broker, TransportHarness},
///     transport::{MemoryTransport, Transport},
/// };
/// use std::sync::Arc;
///
/// struct Mine(MemoryTransport);
///
/// impl TransportHarness for Mine {
///     // A broker's address, with a prefix of this case's own.
///     async fn open(&self) -> Arc<dyn Transport> { Arc::new(self.0.clone()) }
///     // The same broker, another prefix.
///     async fn neighbour(&self) -> Arc<dyn Transport> { Arc::new(MemoryTransport::new()) }
///     // A server of its own for one case, that may be killed.
///     async fn alone(&self) -> Option<(Self, Arc<dyn Broker>)> { None }
///     // An address with a password that the broker refuses, and the password.
///     async fn refused(&self) -> Option<(Arc<dyn Transport>, String)> { None }
///     // An address whose host name nobody has: it must contain `nowhere.invalid`.
///     fn nowhere(&self) -> Option<Arc<dyn Transport>> { None }
/// }
///
/// # #[cfg(any())]
/// domain_events::conformance_transport!(mine, connect = async { Mine(MemoryTransport::new()) });
/// # let _ = Mine(MemoryTransport::new());
/// ```
pub trait TransportHarness: Sized + Send + Sync + 'static {
    /// A transport, independent of the ones before, as another process would open it. All lead to the same names on the
    /// broker.
    fn open(&self) -> impl Future<Output = Arc<dyn Transport>> + Send;

    /// What is asked of it: all that the transport claims, less what it can't do on this broker for a fault of that.
    fn capabilities(&self) -> impl Future<Output = Capabilities> + Send {
        async { self.open().await.capabilities() }
    }

    /// A transport of another application on the same broker.
    fn neighbour(&self) -> impl Future<Output = Arc<dyn Transport>> + Send;

    /// The same on a broker that nobody else uses, and a hand on that; `None` where there is none that could be hurt.
    fn alone(&self) -> impl Future<Output = Option<(Self, Arc<dyn Broker>)>> + Send;

    /// A transport whose credentials the broker refuses, and the password that nothing may ever show; `None` where there
    /// are no credentials.
    fn refused(&self) -> impl Future<Output = Option<(Arc<dyn Transport>, String)>> + Send;

    /// A transport to the host `nowhere.invalid`; `None` where there are no hosts.
    fn nowhere(&self) -> Option<Arc<dyn Transport>>;
}

/// A broker's process. The methods block until it is done.
pub trait Broker: Send + Sync {
    /// `SIGKILL`.
    fn kill(&self);

    /// Starts it again on the same data and port.
    fn restart(&self);

    /// `SIGSTOP`: connections stand, and nothing answers.
    fn freeze(&self);

    /// `SIGCONT`.
    fn thaw(&self);
}
