//! 6 · Move it on: the background task that takes committed events to their handlers.
//!
//! A node (one processor of one process) holds leases on subscriptions (`node`). Each subscription it holds is one
//! task (`subscription`): it reads the log through the shared `tail`, keeps a queue per aggregate (`lanes`), runs
//! deliveries (`delivery`; those that share a transaction, `batch`), decides what follows a failure (`handler`'s
//! `verdict`) and writes what is done through the shared checkpoint `desk`. Its position is the end of the done part of
//! its `window`. What is stored and not in the program is told at the start (`strangers`).

mod assign;
mod batch;
mod delivery;
mod desk;
mod drain;
mod key;
mod lanes;
mod node;
mod shutdown;
mod strangers;
mod subscription;
mod sweep;
mod tail;
mod window;

pub use shutdown::shutdown_signal;

use std::{fmt, future::Future, sync::Arc};

use tokio::{sync::watch, task::JoinHandle};

use crate::{
    clock::Clock,
    config::Config,
    error::{Error, ErrorKind, Result},
    handler::Registry,
    store::Store,
    wake::Bell,
};

/// What everything in this room shares.
pub(crate) struct Context<S> {
    pub(crate) store: Arc<S>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) clock: Clock,
    pub(crate) config: Config,
    pub(crate) bell: Bell,
    pub(crate) switch: Bell,
    /// Rung when a subscription has written down all there was to do.
    pub(crate) at_rest: Bell,
}

/// The background task that moves subscriptions forward, not started yet. Made by
/// [`DomainEvents::processor`](crate::DomainEvents::processor).
///
/// Any number of processors, in one process or in several, can work on one store: each subscription is run by one of
/// them at a time.
#[must_use = "nothing is delivered before `run` or `start`"]
pub struct Processor<S> {
    context: Arc<Context<S>>,
    groups: Option<Vec<String>>,
}

impl<S: Store> Processor<S> {
    pub(crate) fn new(context: Context<S>) -> Self {
        Self { context: Arc::new(context), groups: None }
    }

    /// Runs the handlers of these groups only. Default: all that are linked in.
    pub fn groups<G: Into<String>>(mut self, groups: impl IntoIterator<Item = G>) -> Self {
        self.groups.get_or_insert_default().extend(groups.into_iter().map(Into::into));
        self
    }

    /// Runs until `shutdown` resolves, then drains: takes no new work, lets what runs finish within the grace time,
    /// gives the leases back; what takes longer is [cut off](crate::Builder::grace). [`shutdown_signal`] is the usual `shutdown`.
    ///
    /// # Errors
    ///
    /// [`Configuration`](ErrorKind::Configuration) for a group that no handler is in; any error of the store at the
    /// start. Once it runs, it outlasts the store's failures.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<()> {
        let mut running = self.start().await?;
        tokio::select! {
            () = shutdown => {}
            // Only a defect of this crate ends it early.
            ended = &mut running.task => return ended.map_err(|error| defect(&error)),
        }
        running.shutdown().await
    }

    /// Delivers everything that is in the log now, retries included, then stops. What waits for a person, behind
    /// a dead letter or because its handler is paused, is left. For programs that end, and for tests.
    ///
    /// # Errors
    ///
    /// As for [`run`](Self::run), and any error of the store while it looks how far it is.
    pub async fn drain(self) -> Result<()> {
        let handlers = self.context.registry.in_groups(self.groups.as_deref())?;
        let context = Arc::clone(&self.context);
        let mut at_rest = context.at_rest.listen();
        let running = self.start().await?;
        let drained = drain::drained(&context, &handlers, &mut at_rest).await;
        running.shutdown().await?;
        drained
    }

    /// Starts it in the background and returns.
    ///
    /// # Errors
    ///
    /// As for [`run`](Self::run).
    pub async fn start(self) -> Result<RunningProcessor> {
        let handlers = self.context.registry.in_groups(self.groups.as_deref())?;
        let (stop, stopped) = watch::channel(false);
        let node = node::Node::join(self.context, handlers).await?;
        Ok(RunningProcessor { stop, task: tokio::spawn(node.run(stopped)) })
    }
}

impl<S> fmt::Debug for Processor<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Processor").field("groups", &self.groups).finish_non_exhaustive()
    }
}

/// A processor that runs in the background. Dropped, it drains by itself; [`shutdown`](Self::shutdown) waits for it.
#[derive(Debug)]
#[must_use = "dropped, the processor stops"]
pub struct RunningProcessor {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl RunningProcessor {
    /// Resolves if the processor ends without being told to, which only a defect of this crate can make it do. For a
    /// `select!` beside the rest of the program; cancel-safe.
    pub async fn ended(&mut self) -> Error {
        match (&mut self.task).await {
            Ok(()) => Error::new(ErrorKind::Store, "the processor was stopped"),
            Err(error) => defect(&error),
        }
    }

    /// Takes no new work, lets what runs finish within the grace time, gives the leases back, and returns.
    ///
    /// # Errors
    ///
    /// Only for a defect of this crate; what was not finished is delivered again by whoever comes next.
    pub async fn shutdown(mut self) -> Result<()> {
        self.stop.send_replace(true);
        (&mut self.task).await.map_err(|error| defect(&error))
    }
}

impl Drop for RunningProcessor {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

fn defect(error: &tokio::task::JoinError) -> Error {
    Error::new(ErrorKind::Store, format!("the processor ended by itself: {error}; this is a defect of domain-events"))
}
