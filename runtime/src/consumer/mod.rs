//! 8 · Take it in over there: handlers, run by what a broker delivers instead of by the log.
//!
//! Each handler has a subscription of its own on the broker, and a `session` here: it takes deliveries in (`intake`), keeps
//! a queue per aggregate (`lanes`), begins `deliveries`, makes attempts (`attempt`), holds back what stands behind a dead
//! letter where its handler asks for that (`parking`), and tells inbox and broker what became of them (`settling`). A failed
//! delivery waits here, unsettled, so nothing overtakes it, and whoever takes over after a crash gets it again.

mod arrival;
mod attempt;
mod deliveries;
mod intake;
mod lanes;
mod parking;
mod recent;
mod session;
mod settling;
mod sweep;

use std::{collections::BTreeMap, fmt, future::Future, sync::Arc};

use tokio::{sync::watch, task::JoinSet};

use self::session::Session;
use crate::{
    clock::Clock,
    config::Config,
    error::{Error, ErrorKind, Result},
    handler::{Registry, Start, Wired},
    store::Store,
    transport::{Health, Link, Transport, record::Subscription},
};

/// The most unsettled deliveries of a subscription, unless told otherwise.
const WINDOW: usize = 1_024;

/// What everything in this room shares.
pub(crate) struct Context<S> {
    pub(crate) store: Arc<S>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) clock: Clock,
    pub(crate) config: Config,
    pub(crate) transport: Arc<dyn Transport>,
    /// Whether handled events are noted in the store: where it forgets nothing.
    pub(crate) inbox: bool,
}

/// Runs handlers by what a broker delivers, not started yet. Made by
/// [`DomainEvents::consumer`](crate::DomainEvents::consumer).
///
/// Any number of processes can run the same handlers: each delivery goes to one of them. Retries, their waits, `timeout`,
/// `concurrency` and dead letters are as with the log; dead letters are kept on the broker. With a store that is durable,
/// events are noted in its inbox as they are handled, so that what the broker delivers again is not handled again; handlers
/// that run `once` or take the transaction need one.
#[must_use = "nothing is handled before `run` or `start`"]
pub struct Consumer<S> {
    context: Context<S>,
    groups: Option<Vec<String>>,
    window: usize,
}

impl<S: Store> Consumer<S> {
    pub(crate) fn new(context: Context<S>) -> Self {
        Self { context, groups: None, window: WINDOW }
    }

    /// Runs the handlers of these groups only. Default: all that are linked in.
    pub fn groups<G: Into<String>>(mut self, groups: impl IntoIterator<Item = G>) -> Self {
        self.groups.get_or_insert_default().extend(groups.into_iter().map(Into::into));
        self
    }

    /// The most deliveries that a handler has unsettled at a time, those that wait for another attempt included: what
    /// bounds its memory. When all of them wait, nothing else of that handler is delivered meanwhile. From 1 to 10,000;
    /// default: 1,024.
    pub fn window(mut self, deliveries: usize) -> Self {
        self.window = deliveries.clamp(1, 10_000);
        self
    }

    /// Runs until `shutdown` resolves; then takes nothing more in, lets what runs finish within the grace time, and gives the
    /// rest back to the broker.
    ///
    /// # Errors
    ///
    /// [`Configuration`](ErrorKind::Configuration) for a group that no handler is in, and for a handler that runs `once`
    /// without a durable store. A broker that is away is waited for: see [`RunningConsumer::health`].
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<()> {
        let running = self.start()?;
        shutdown.await;
        running.shutdown().await
    }

    /// Starts it in the background and returns.
    ///
    /// # Errors
    ///
    /// As for [`run`](Self::run).
    pub fn start(self) -> Result<RunningConsumer> {
        let handlers = self.context.registry.in_groups(self.groups.as_deref())?;
        self.check(&handlers)?;
        let node: Arc<str> = format!("{}-{:08x}", self.context.config.node, fastrand::u32(..)).into();
        let context = Arc::new(self.context);
        let (stop, stopped) = watch::channel(false);
        let (mut tasks, mut members) = (JoinSet::new(), BTreeMap::new());
        for wired in handlers {
            let link = Link::new(Arc::clone(&wired.name), context.clock.clone());
            let (pause, paused) = watch::channel(false);
            members.insert(Arc::clone(&wired.name), Member { pause, health: link.watch() });
            let subscription = subscription(&wired, self.window, &node);
            let session =
                Session { context: Arc::clone(&context), wired, subscription, link, stop: stopped.clone(), paused };
            tasks.spawn(session.run());
        }
        if context.inbox {
            tasks.spawn(sweep::sweep(context, stopped));
        }
        tracing::info!(%node, handlers = members.len(), "consumer started");
        Ok(RunningConsumer { stop, tasks, members })
    }

    fn check(&self, handlers: &[Arc<Wired>]) -> Result<()> {
        let once: Vec<_> =
            handlers.iter().filter(|wired| wired.options.once).map(|w| format!("`{}`", w.name)).collect();
        if self.context.inbox || once.is_empty() {
            return Ok(());
        }
        let message = format!(
            "{} {} `once`, which needs a store that outlives the process: give the builder one, a SQLite file of this \
             process's own will do",
            once.join(", "),
            if once.len() == 1 { "runs" } else { "run" }
        );
        Err(Error::new(ErrorKind::Configuration, message))
    }
}

/// What a handler wants from a broker.
fn subscription(wired: &Wired, window: usize, node: &Arc<str>) -> Subscription {
    let mut events = wired.event_names();
    events.sort();
    events.dedup();
    Subscription {
        handler: Arc::clone(&wired.name),
        events,
        partitions: wired.options.partitions,
        window,
        from_now: wired.options.start == Start::Now,
        node: Arc::clone(node),
    }
}

impl<S> fmt::Debug for Consumer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer")
            .field("transport", &self.context.transport.address())
            .field("groups", &self.groups)
            .finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Member {
    pause: watch::Sender<bool>,
    health: watch::Receiver<Health>,
}

/// A consumer that runs in the background. Dropped, it is as if its process had died: what is unsettled is delivered again;
/// [`shutdown`](Self::shutdown) ends it well.
#[derive(Debug)]
#[must_use = "dropped, the consumer ends at once"]
pub struct RunningConsumer {
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
    members: BTreeMap<Arc<str>, Member>,
}

impl RunningConsumer {
    /// How each handler's connection to the broker stands, sorted by name.
    #[must_use]
    pub fn health(&self) -> Vec<Health> {
        self.members.values().map(|member| member.health.borrow().clone()).collect()
    }

    /// Stops the deliveries of a handler (`group.name`) in this process until it is resumed; those that run are finished.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound) if this consumer does not run such a handler.
    pub fn pause(&self, handler: &str) -> Result<()> {
        self.switch(handler, true)
    }

    /// Lets a paused handler go on.
    ///
    /// # Errors
    ///
    /// As for [`pause`](Self::pause).
    pub fn resume(&self, handler: &str) -> Result<()> {
        self.switch(handler, false)
    }

    fn switch(&self, handler: &str, paused: bool) -> Result<()> {
        let Some(member) = self.members.get(handler) else {
            let known: Vec<_> = self.members.keys().map(|name| &**name).collect();
            let message = format!("this consumer runs no handler `{handler}`; it runs: {}", known.join(", "));
            return Err(Error::new(ErrorKind::NotFound, message));
        };
        member.pause.send_replace(paused);
        Ok(())
    }

    /// Takes nothing more in, lets what runs finish within the grace time, gives the rest back to the broker, and returns.
    ///
    /// # Errors
    ///
    /// Only for a defect of this crate; what was not settled is delivered again.
    pub async fn shutdown(mut self) -> Result<()> {
        self.stop.send_replace(true);
        let mut ended = Ok(());
        while let Some(joined) = self.tasks.join_next().await {
            if let Err(error) = joined {
                let message = format!("a subscription ended by itself: {error}; this is a defect of domain-events");
                ended = Err(Error::new(ErrorKind::Store, message));
            }
        }
        ended
    }
}
