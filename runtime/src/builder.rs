//! Start-up: everything that was linked in is collected, wired and checked in one place.

use std::{sync::Arc, time::Duration};

use crate::{
    clock::Clock,
    config::{Config, UnknownEvents},
    domain_events::{DomainEvents, Inner},
    error::{Error, ErrorKind, Result},
    event::{DomainEvent, EventDef, Source},
    handler::{AGGREGATES, Declared, EVENTS, HANDLERS, HandlerDef, Modules, PROBE, Registry, Services},
    store::{MemoryStore, Store},
    wake::Bell,
    work::transaction_offer,
};

/// What a lease or grace time without end counts as: the clock can't be asked for more.
const LONGEST: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

/// Puts a [`DomainEvents`] together; every setting has a default but the services that handlers ask for.
#[derive(Debug)]
#[must_use = "nothing happens before `build()`"]
pub struct Builder<S> {
    store: S,
    services: Services,
    linked: bool,
    events: Vec<&'static EventDef>,
    handlers: Vec<&'static HandlerDef>,
    modules: Option<Modules>,
    clock: Clock,
    config: Config,
}

impl Builder<MemoryStore> {
    pub(crate) fn new() -> Self {
        Self {
            store: MemoryStore::new(),
            services: Services::new(),
            linked: true,
            events: Vec::new(),
            handlers: Vec::new(),
            modules: None,
            clock: Clock::system(),
            config: Config::default(),
        }
    }
}

impl<S: Store> Builder<S> {
    /// Where events are kept. Default: [`MemoryStore`], which forgets them when the process ends.
    pub fn store<T: Store>(self, store: T) -> Builder<T> {
        let Self { store: _, services, linked, events, handlers, modules, clock, config } = self;
        Builder { store, services, linked, events, handlers, modules, clock, config }
    }

    /// What handlers can ask for.
    pub fn services(mut self, services: Services) -> Self {
        self.services = services;
        self
    }

    /// The crates the program is made of: see [`modules!`](crate::modules).
    pub fn modules(mut self, modules: Modules) -> Self {
        self.modules = Some(modules);
        self
    }

    /// Leaves out what was collected at link time: only handlers and events given here count. For tests, and for
    /// targets where link-time collection does not work.
    pub fn without_linked(mut self) -> Self {
        self.linked = false;
        self
    }

    /// Adds a handler, and the events it takes, by hand: `builder.handler(handler!(cards::notify_followers))`.
    pub fn handler(mut self, handler: &'static HandlerDef) -> Self {
        self.handlers.push(handler);
        self
    }

    /// Adds an event by hand that no given handler takes, so that it is known when it is met in the log.
    pub fn event<E: DomainEvent>(mut self) -> Self {
        self.events.push(E::DEF);
        self
    }

    /// The clock that stamps events and times retries. Default: the system's.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// The greatest payload that can be committed, in bytes of JSON. Default: 1 MiB.
    pub fn payload_limit(mut self, bytes: usize) -> Self {
        self.config.payload_limit = bytes;
        self
    }

    /// How long a processor holds a subscription without a sign of life before another may take it over: the longest
    /// pause after a process was killed. At least 100 ms; default: 10 seconds.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.config.lease = lease.min(LONGEST);
        self
    }

    /// How long deliveries that run may go on after the processor was told to stop. Default: 30 seconds.
    ///
    /// One that runs longer is cut off at its next `await`, and made again by whoever comes next; the attempt does not
    /// count. That is written down within another 3 seconds: what kills the process should wait for longer than both. A
    /// handler that blocks its thread can't be cut off; its subscription is free once the [`lease`](Self::lease) runs out.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.config.grace = grace.min(LONGEST);
        self
    }

    /// The most events in one read of the log and in one subscription's window, from 1 to 10,000; default: 512.
    pub fn batch(mut self, events: usize) -> Self {
        self.config.batch = events;
        self
    }

    /// The most parked deliveries a subscription has before it stops reading on, at least 1; default: 10,000.
    pub fn parked_limit(mut self, deliveries: usize) -> Self {
        self.config.parked_limit = deliveries;
        self
    }

    /// What happens to events of a name that nothing linked in has. Default: they become dead letters.
    pub fn unknown_events(mut self, unknown: UnknownEvents) -> Self {
        self.config.unknown_events = unknown;
        self
    }

    /// For how long, at most, deliveries of a transactional handler that are quick and succeed may share a transaction, and
    /// so hold each other's locks; zero gives each one of its own. Default: 20 milliseconds.
    pub fn share_transactions(mut self, time: Duration) -> Self {
        self.config.share_transactions = time.min(LONGEST);
        self
    }

    /// How long events stay in the log once every subscription has passed them. Default: for ever.
    pub fn retain(mut self, time: Duration) -> Self {
        self.config.retain = Some(time);
        self
    }

    /// How often a processor removes what nobody needs any more: events by [`retain`](Self::retain), marks of what was
    /// handled once. More than zero; default: every minute.
    pub fn sweep(mut self, every: Duration) -> Self {
        self.config.sweep = every.min(LONGEST);
        self
    }

    /// What this process calls itself where leases are shown; a random part is added. Default: its process id.
    pub fn node(mut self, name: impl Into<String>) -> Self {
        self.config.node = name.into();
        self
    }

    /// Checks and wires everything.
    ///
    /// # Errors
    ///
    /// One error with **all** problems in it, each with its next step: two events with one name and version, two
    /// handlers or aggregates with one name, a service nobody gives, a module that registered nothing, a transactional
    /// handler on a store without such transactions, a store whose schema is older than the code, a setting out of its
    /// range.
    pub fn build(self) -> Result<DomainEvents<S>> {
        let mut problems = Vec::new();
        let declared = self.declared(&mut problems);
        problems.extend(declared.problems(self.modules.as_ref()));
        self.check_settings(&mut problems);
        self.check_schema(&mut problems);

        let warnings = declared.warnings();
        let offer = transaction_offer(&self.store, self.config.lease);
        let registry = Registry::wire(declared.events, declared.handlers, &self.services, offer, &mut problems);
        if !problems.is_empty() {
            return Err(Error::new(ErrorKind::Configuration, list(&problems)));
        }
        for warning in &warnings {
            tracing::warn!("{warning}");
        }
        Ok(DomainEvents(Arc::new(Inner {
            store: Arc::new(self.store),
            registry: Arc::new(registry),
            clock: self.clock,
            config: self.config,
            bell: Bell::new(),
            switch: Bell::new(),
            warnings,
        })))
    }

    fn declared(&self, problems: &mut Vec<String>) -> Declared {
        let mut declared = Declared::default();
        if self.linked {
            let ours = |source: Source| source.crate_name() == PROBE.crate_name();
            let probes = EVENTS.iter().any(|def| ours(def.source))
                && HANDLERS.iter().any(|def| ours(def.source))
                && AGGREGATES.iter().any(|def| ours(def.source));
            if !probes {
                problems.push(
                    "link-time registration does not work for this target or linker; give the handlers by hand: \
                     `.without_linked().handler(handler!(..))`"
                        .to_owned(),
                );
            }
            declared.events.extend(EVENTS.iter().filter(|def| !ours(def.source)));
            declared.handlers.extend(HANDLERS.iter().filter(|def| !ours(def.source)));
            declared.aggregates.extend(AGGREGATES.iter().filter(|def| !ours(def.source)));
        }
        let by_hand = self.handlers.iter().flat_map(|def| def.events).map(|handled| handled.event);
        for event in by_hand.chain(self.events.iter().copied()) {
            if !declared.events.iter().any(|known| std::ptr::eq(*known, event)) {
                declared.events.push(event);
            }
        }
        for handler in &self.handlers {
            if !declared.handlers.iter().any(|known| std::ptr::eq(*known, *handler)) {
                declared.handlers.push(handler);
            }
        }
        declared
    }

    fn check_settings(&self, problems: &mut Vec<String>) {
        let config = &self.config;
        if config.lease < Duration::from_millis(100) {
            problems.push(format!("lease: {:?} is too short to be renewed in time; at least 100ms", config.lease));
        }
        if !(1..=10_000).contains(&config.batch) {
            problems.push(format!("batch: {} is out of range; from 1 to 10,000", config.batch));
        }
        if config.sweep.is_zero() {
            problems.push("sweep: with no time in between, nothing else would be done; more than zero".to_owned());
        }
        if config.parked_limit == 0 {
            problems.push("parked_limit: with 0 nothing could ever be read; at least 1".to_owned());
        }
    }

    fn check_schema(&self, problems: &mut Vec<String>) {
        let schema = self.store.schema();
        let store = self.store.capabilities().name;
        if schema.found < schema.needed {
            problems.push(format!(
                "the store `{store}` has schema version {}, this code needs {}; run its `migrate()`",
                schema.found, schema.needed
            ));
        }
    }
}

fn list(problems: &[String]) -> String {
    let mut text = match problems {
        [_] => "domain-events can't start, there is a problem:".to_owned(),
        _ => format!("domain-events can't start, there are {} problems:", problems.len()),
    };
    for problem in problems {
        text.push_str("\n  - ");
        text.push_str(problem);
    }
    text
}
