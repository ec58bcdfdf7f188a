//! The handle on the runtime: what an application keeps in its state and calls.

use std::{fmt, future::Future, sync::Arc};

use crate::{
    admin::Admin,
    aggregate::AggregateRoot,
    builder::Builder,
    clock::Clock,
    config::Config,
    consumer::{self, Consumer},
    error::Result,
    handler::{Describe, Registry},
    processor::{Context, Processor},
    relay::{self, Relay},
    store::{EventLog, MemoryStore, Store},
    transport::Transport,
    wake::Bell,
    work::{Appended, Cause, DispatchReport, Outbound, UnitOfWork, append, dispatch},
};

/// The runtime: begins units of work, appends, dispatches, and makes the processor. Cheap to clone.
///
/// ```standalone_crate
/// use domain_events::{prelude::*, DomainEvents};
///
/// #[derive(Debug, DomainEvent)]
/// #[event(aggregate = Card)]
/// struct CardArchivedEvent {
///     #[event(aggregate_id)]
///     card_id: String,
/// }
///
/// #[aggregate_root]
/// struct Card {
///     #[aggregate(id)]
///     id: String,
///     events: PendingEvents,
/// }
///
/// #[event_handler(CardArchivedEvent)]
/// async fn forget(event: &CardArchivedEvent) {
///     assert_eq!(event.card_id, "c1");
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> domain_events::Result<()> {
/// let events = DomainEvents::builder().build()?;
/// let mut card = Card { id: "c1".into(), events: PendingEvents::default() };
/// card.raise(CardArchivedEvent { card_id: "c1".into() });
/// let report = events.dispatch(&mut card).await;
/// assert!(report.is_ok());
/// assert_eq!(report.handled(), 1);
/// # Ok(())
/// # }
/// ```
pub struct DomainEvents<S: EventLog = MemoryStore>(pub(crate) Arc<Inner<S>>);

pub(crate) struct Inner<S> {
    pub(crate) store: Arc<S>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) clock: Clock,
    pub(crate) config: Config,
    /// Rung at every commit.
    pub(crate) bell: Bell,
    /// Rung when a person pauses, resumes, redrives or discards.
    pub(crate) switch: Bell,
    pub(crate) warnings: Vec<String>,
}

impl DomainEvents<MemoryStore> {
    /// Starts to put a runtime together.
    pub fn builder() -> Builder<MemoryStore> {
        Builder::new()
    }
}

impl<S: Store> DomainEvents<S> {
    /// Begins a unit of work: a transaction of the store that takes the application's writes and the events together.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::ErrorKind::Unavailable) if the store can't be reached or stays locked.
    pub async fn begin(&self) -> Result<UnitOfWork<S>> {
        UnitOfWork::begin(&self.0.store, self.0.config.payload_limit, &self.0.bell).await
    }

    /// Writes an aggregate's pending events into a transaction that the application already has. Do it last before the
    /// commit. See [`Appended`] for what to do after it (nothing, or one call).
    ///
    /// # Errors
    ///
    /// As for [`UnitOfWork::commit`]; roll the transaction back then.
    pub async fn append<A: AggregateRoot>(
        &self,
        connection: &mut S::Connection,
        aggregate: &mut A,
    ) -> Result<Appended> {
        let outbound = Outbound {
            pending: aggregate.pending_mut().handle(),
            aggregate_type: A::NAME,
            aggregate_id: aggregate.aggregate_id(),
        };
        let limit = self.0.config.payload_limit;
        let recorded = [outbound];
        let ids = append(&recorded, &*self.0.store, connection, &Cause::default(), limit).await?;
        let [Outbound { pending, .. }] = recorded;
        Ok(Appended { pending, ids: ids.concat(), bell: self.0.bell.clone() })
    }

    /// Runs the handlers of the aggregate's pending events here and now, one after the other, without the log: for
    /// programs that need no more, and for tests. Nothing is retried; a failing handler fails nobody, and the report
    /// says what each one did. If the future is dropped, the events it had not come to are gone.
    ///
    /// A handler that takes the store's transaction gets one of its own, committed when it returns `Ok`.
    // Not an `async fn` around another one: its state would be moved once more for each dispatch.
    pub fn dispatch<'a, A: AggregateRoot>(
        &'a self,
        aggregate: &mut A,
    ) -> impl Future<Output = DispatchReport<'a>> + Send {
        dispatch(&*self.0.store, &self.0.registry, aggregate.pending_mut())
    }

    /// The background task that moves subscriptions forward. Nothing runs before its `run` or `start`.
    pub fn processor(&self) -> Processor<S> {
        Processor::new(Context {
            store: Arc::clone(&self.0.store),
            registry: Arc::clone(&self.0.registry),
            clock: self.0.clock.clone(),
            config: self.0.config.clone(),
            bell: self.0.bell.clone(),
            switch: self.0.switch.clone(),
            at_rest: Bell::new(),
        })
    }

    /// Publishes the log to a broker: see [`transport::connect`](crate::transport::connect). Nothing runs before its `run`
    /// or `start`.
    pub fn relay(&self, transport: Arc<dyn Transport>) -> Relay<S> {
        Relay::new(relay::Context {
            store: Arc::clone(&self.0.store),
            registry: Arc::clone(&self.0.registry),
            clock: self.0.clock.clone(),
            config: self.0.config.clone(),
            bell: self.0.bell.clone(),
            transport,
        })
    }

    /// Runs handlers by what a broker delivers, instead of by the log. Nothing runs before its `run` or `start`.
    pub fn consumer(&self, transport: Arc<dyn Transport>) -> Consumer<S> {
        Consumer::new(consumer::Context {
            store: Arc::clone(&self.0.store),
            registry: Arc::clone(&self.0.registry),
            clock: self.0.clock.clone(),
            config: self.0.config.clone(),
            transport,
            inbox: self.0.store.capabilities().durable,
        })
    }

    /// What a person asks and does: subscriptions, dead letters, pause, redrive.
    #[must_use]
    pub fn admin(&self) -> Admin<S> {
        Admin::new(Arc::clone(&self.0.store), Arc::clone(&self.0.registry), self.0.switch.clone())
    }

    /// The whole wiring as text, always the same for the same program: every event with its handlers, every group with
    /// its handlers and their options. Made for a test that compares it with a file.
    #[must_use]
    pub fn describe(&self) -> String {
        Describe { registry: &self.0.registry, store: self.0.store.capabilities().name }.to_string()
    }

    /// What start-up found worth a look, though it did not stop for it.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.0.warnings
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &S {
        &self.0.store
    }

    /// The clock that stamps events and times retries.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }
}

impl<S: EventLog> Clone for DomainEvents<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S: EventLog> fmt::Debug for DomainEvents<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DomainEvents").field("registry", &self.0.registry).finish_non_exhaustive()
    }
}
