//! In-process dispatch: the handlers of an event, one after the other, here and now.

use std::{fmt, sync::OnceLock};

use tracing::warn;

use super::{
    definition::MetaSource,
    middleware::{Call, call},
    outcome::{HandlerError, Verdict},
    registry::{Entry, Registry, Wired},
};
use crate::{
    aggregate::PendingEvent,
    event::{EventId, EventMeta},
};

/// Makes an event's [`EventMeta`] when the first handler asks for it.
pub(crate) struct LazyMeta<'a> {
    pending: &'a PendingEvent,
    meta: OnceLock<EventMeta>,
}

impl<'a> LazyMeta<'a> {
    pub(crate) fn new(pending: &'a PendingEvent) -> Self {
        Self { pending, meta: OnceLock::new() }
    }
}

impl MetaSource for LazyMeta<'_> {
    fn meta(&self) -> &EventMeta {
        self.meta.get_or_init(|| self.pending.meta())
    }
}

/// One call of a handler that needs no transaction, out of a dispatch.
pub(crate) async fn dispatch_to(
    wired: &Wired,
    entry: &Entry,
    pending: &PendingEvent,
    meta: &LazyMeta<'_>,
) -> Result<(), HandlerError> {
    call(wired, entry, Call { event: &**pending.event(), meta, attempt: 1, transaction: None }).await
}

/// What each handler did with the events of one [`dispatch`](crate::DomainEvents::dispatch).
#[must_use = "a failing handler fails nobody: the report is the only place that says so"]
pub struct DispatchReport {
    registry: std::sync::Arc<Registry>,
    events: Vec<PendingEvent>,
    failures: Vec<(usize, usize, HandlerError)>,
}

/// One handler's answer to one event.
#[derive(Debug)]
#[non_exhaustive]
pub struct HandlerOutcome<'a> {
    /// The handler's full name.
    pub handler: &'a str,
    /// The event's name.
    pub event: &'static str,
    /// The event's identity.
    pub event_id: EventId,
    /// What went wrong, if anything did.
    pub error: Option<&'a HandlerError>,
}

impl DispatchReport {
    pub(crate) fn new(registry: std::sync::Arc<Registry>, events: Vec<PendingEvent>) -> Self {
        Self { registry, events, failures: Vec::new() }
    }

    pub(crate) fn events(&self) -> &[PendingEvent] {
        &self.events
    }

    pub(crate) fn note(&mut self, event: usize, handler: usize, result: Result<(), HandlerError>) {
        if let Err(error) = result {
            let name = &*self.registry.handlers[handler].name;
            if error.verdict() == Verdict::Discard {
                tracing::info!(handler = name, reason = %error, "event discarded by its handler");
                return;
            }
            warn!(handler = name, event = self.events[event].name(), error = %error, "event handler failed");
            self.failures.push((event, handler, error));
        }
    }

    /// Whether every handler handled every event.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.failures.is_empty()
    }

    /// How many calls of handlers succeeded.
    #[must_use]
    pub fn handled(&self) -> usize {
        let calls: usize = self.events.iter().map(|event| self.registry.routes(event.def()).len()).sum();
        calls - self.failures.len()
    }

    /// The failed calls only.
    pub fn failures(&self) -> impl Iterator<Item = HandlerOutcome<'_>> {
        self.failures.iter().map(|(event, handler, error)| self.outcome(*event, *handler, Some(error)))
    }

    /// Every call, in the order it was made.
    pub fn outcomes(&self) -> impl Iterator<Item = HandlerOutcome<'_>> {
        self.events.iter().enumerate().flat_map(move |(event, pending)| {
            self.registry.routes(pending.def()).iter().map(move |route| {
                let failure = self.failures.iter().find(|failure| (failure.0, failure.1) == (event, route.handler));
                self.outcome(event, route.handler, failure.map(|failure| &failure.2))
            })
        })
    }

    fn outcome<'a>(&'a self, event: usize, handler: usize, error: Option<&'a HandlerError>) -> HandlerOutcome<'a> {
        let pending = &self.events[event];
        HandlerOutcome {
            handler: &self.registry.handlers[handler].name,
            event: pending.name(),
            event_id: pending.id(),
            error,
        }
    }
}

impl fmt::Debug for DispatchReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.outcomes()).finish()
    }
}

impl fmt::Display for DispatchReport {
    /// One line per call: `notifications.notify_followers <- CardAddedToLibraryEvent: handled`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, outcome) in self.outcomes().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{} <- {}: ", outcome.handler, outcome.event)?;
            match outcome.error {
                None => f.write_str("handled")?,
                Some(error) => write!(f, "{error}")?,
            }
        }
        Ok(())
    }
}
