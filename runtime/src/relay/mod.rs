//! 6½ · Hand it on: the subscription of the log that publishes to a broker.
//!
//! It reads committed events in log order like any handler, publishes them (`publish`), and moves its position only behind
//! what the broker has confirmed. One process at a time does that, held by a lease (`turn`); the others stand by.

mod publish;
mod reached;
mod turn;

use std::{fmt, future::Future, sync::Arc};

use tokio::{sync::watch, task::JoinHandle};

use crate::{
    clock::Clock,
    config::Config,
    error::{Error, ErrorKind, Result},
    handler::Registry,
    store::{
        Store,
        record::{NewSubscription, NodeId, StartAt, SubscriptionId},
    },
    transport::{Health, Link, Transport, message::Mode},
    wake::Bell,
};

/// The name of its position in the store, among those of the handlers.
const NAME: &str = "domain_events.relay";

/// What everything in this room shares.
pub(crate) struct Context<S> {
    pub(crate) store: Arc<S>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) clock: Clock,
    pub(crate) config: Config,
    pub(crate) bell: Bell,
    pub(crate) transport: Arc<dyn Transport>,
}

/// Publishes the log to a broker, not started yet. Made by [`DomainEvents::relay`](crate::DomainEvents::relay).
///
/// Every committed event is published at least once, in log order, and so in order per aggregate. Its position stands in the
/// store beside the handlers': it shows in [`admin().subscriptions()`](crate::Admin::subscriptions) and holds back
/// retention. A relay that never ran on a store begins where the handler that is furthest behind stands, and at the
/// beginning of the log where no handler ever ran: so a program that hands its deliveries over to a broker loses none.
///
/// While the broker is away nothing is lost and nobody waits: the log grows, and the relay goes on when it is back.
#[must_use = "nothing is published before `run` or `start`"]
pub struct Relay<S> {
    context: Context<S>,
    name: Arc<str>,
    mode: Mode,
    source: Option<String>,
}

impl<S: Store> Relay<S> {
    pub(crate) fn new(context: Context<S>) -> Self {
        Self { context, name: NAME.into(), mode: Mode::default(), source: None }
    }

    /// The name its position is kept under: one for each broker, if there are several at a time. Default:
    /// `domain_events.relay`. When the broker is exchanged for another, keep the name: then the new one gets what the old
    /// one had not.
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = name.into();
        self
    }

    /// How events are put into messages. Default: [structured](Mode::Structured).
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// The CloudEvents `source` of the events: a URI reference that says which context they come from. Default: the name of
    /// the crate that defines the event.
    pub fn source(mut self, source: impl Into<String>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Runs until `shutdown` resolves; what is being published then is waited for, within the grace time.
    ///
    /// # Errors
    ///
    /// [`Configuration`](ErrorKind::Configuration) for a PostgreSQL that is set to `synchronous_commit = off`; any error of
    /// the store at the start. Once it runs, it outlasts failures of store and broker: see
    /// [`RunningRelay::health`].
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<()> {
        let running = self.start().await?;
        shutdown.await;
        running.shutdown().await
    }

    /// Starts it in the background and returns.
    ///
    /// # Errors
    ///
    /// As for [`run`](Self::run).
    pub async fn start(self) -> Result<RunningRelay> {
        if !self.context.store.flushes().await? {
            let message = "the database is set to `synchronous_commit = off`: a crash of it could forget an event that was \
                           published already; set it to `on` or `local` for the role that this program connects as \
                           (`alter role .. set synchronous_commit = on`), and off only in transactions without events";
            return Err(Error::new(ErrorKind::Configuration, message));
        }
        let id = SubscriptionId { handler: Arc::clone(&self.name), partition: 0 };
        let wanted = NewSubscription { id: id.clone(), partitions: 1, aliases: Vec::new(), start: StartAt::Least };
        self.context.store.ensure(&[wanted]).await?;
        let (stop, stopped) = watch::channel(false);
        let link = Link::new(Arc::clone(&self.name), self.context.clock.clone());
        let health = link.watch();
        let node = NodeId(format!("{}-{:08x}", self.context.config.node, fastrand::u32(..)).into());
        tracing::info!(relay = %self.name, transport = self.context.transport.address(), %node, "relay started");
        let context = Arc::new(self.context);
        let desk = publish::Desk { mode: self.mode, source: self.source, context };
        let task = tokio::spawn(turn::take_turns(desk, id, node, link, stopped));
        Ok(RunningRelay { stop, task, health })
    }
}

impl<S> fmt::Debug for Relay<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay")
            .field("name", &self.name)
            .field("transport", &self.context.transport.address())
            .finish_non_exhaustive()
    }
}

/// A relay that runs in the background. Dropped, it ends by itself; [`shutdown`](Self::shutdown) waits for it.
#[derive(Debug)]
#[must_use = "dropped, the relay stops"]
pub struct RunningRelay {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
    health: watch::Receiver<Health>,
}

impl RunningRelay {
    /// How its connection to the broker stands. While another process has the turn, it is not connected and has no error.
    #[must_use]
    pub fn health(&self) -> Health {
        self.health.borrow().clone()
    }

    /// Waits for what is being published, writes the position down, and returns.
    ///
    /// # Errors
    ///
    /// Only for a defect of this crate; what was not confirmed is published again.
    pub async fn shutdown(mut self) -> Result<()> {
        self.stop.send_replace(true);
        (&mut self.task).await.map_err(|error| {
            let message = format!("the relay ended by itself: {error}; this is a defect of domain-events");
            Error::new(ErrorKind::Store, message)
        })
    }
}

impl Drop for RunningRelay {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}
