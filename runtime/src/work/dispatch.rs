//! In-process dispatch: the handlers of an event, one after the other, here and now.

use std::{fmt, ptr, sync::OnceLock};

use crate::{
    aggregate::{PendingEvents, Raised, Taken},
    error::ErrorKind,
    event::{EventId, EventMeta},
    handler::{Call, Entry, HandlerError, MetaSource, Registry, Route, Verdict, Wired, call, passed_over},
    store::EventLog,
};

/// Makes an event's [`EventMeta`] when the first handler asks for it.
struct LazyMeta<'a> {
    raised: &'a Raised,
    // Boxed: it is large, and most handlers never ask.
    meta: OnceLock<Box<EventMeta>>,
}

impl MetaSource for LazyMeta<'_> {
    fn meta(&self) -> &EventMeta {
        self.meta.get_or_init(|| Box::new(self.raised.meta()))
    }
}

/// Runs the handlers of an aggregate's pending events, one after the other.
pub(crate) async fn dispatch<'a, S: EventLog>(
    store: &S,
    registry: &'a Registry,
    pending: &mut PendingEvents,
) -> DispatchReport<'a> {
    let mut report = DispatchReport { registry, events: pending.take(), failures: Vec::new() };
    for (index, raised) in report.events.iter().enumerate() {
        let meta = LazyMeta { raised, meta: OnceLock::new() };
        let about = Call { event: raised.event(), meta: &meta, attempt: 1 };
        for Route { wired, entry } in registry.routes(raised.def()) {
            let result = if wired.transactional {
                // Boxed: a transaction is large, and most calls have none.
                Box::pin(in_transaction(store, &about, wired, entry)).await
            } else {
                call(&about, wired, entry, None).await
            };
            if let Err(error) = result
                && is_failure(wired, raised, &error)
            {
                report.failures.push((index, &**wired, error));
            }
        }
    }
    report
}

/// A transaction of the handler's own, committed when it returns `Ok`.
async fn in_transaction<S: EventLog>(
    store: &S,
    about: &Call<'_>,
    wired: &Wired,
    entry: &Entry,
) -> Result<(), HandlerError> {
    let mut transaction = store.begin().await?;
    let connection = S::connection(&mut transaction);
    match call(about, wired, entry, Some(connection)).await {
        Ok(()) => match store.append(S::connection(&mut transaction), &[]).await {
            Ok(()) => Ok(store.commit(transaction).await?),
            Err(error) if error.kind() == ErrorKind::Aborted => Err(passed_over(&error)),
            Err(error) => Err(error.into()),
        },
        Err(error) => {
            // The handler's error is the one to tell; dropping the transaction rolls back as well.
            let _ = store.rollback(transaction).await;
            Err(error)
        }
    }
}

/// Tells the log about an error; what the handler discarded is none.
fn is_failure(wired: &Wired, raised: &Raised, error: &HandlerError) -> bool {
    let (handler, event) = (&*wired.name, raised.def().name);
    if error.verdict() == Verdict::Discard {
        tracing::info!(handler, event, reason = %error, "event discarded by its handler");
        return false;
    }
    tracing::warn!(handler, event, %error, "event handler failed");
    true
}

/// What each handler did with the events of one [`dispatch`](crate::DomainEvents::dispatch).
#[must_use = "a failing handler fails nobody: the report is the only place that says so"]
pub struct DispatchReport<'a> {
    registry: &'a Registry,
    events: Taken,
    failures: Vec<(usize, &'a Wired, HandlerError)>,
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

impl DispatchReport<'_> {
    /// Whether every handler handled every event.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.failures.is_empty()
    }

    /// How many calls of handlers succeeded.
    #[must_use]
    pub fn handled(&self) -> usize {
        let calls: usize = self.events.iter().map(|raised| self.registry.routes(raised.def()).len()).sum();
        calls - self.failures.len()
    }

    /// The failed calls only.
    pub fn failures(&self) -> impl Iterator<Item = HandlerOutcome<'_>> {
        self.failures.iter().filter_map(|(event, wired, error)| {
            let raised = self.events.get(*event)?;
            Some(outcome(wired, raised, Some(error)))
        })
    }

    /// Every call, in the order it was made.
    pub fn outcomes(&self) -> impl Iterator<Item = HandlerOutcome<'_>> {
        self.events.iter().enumerate().flat_map(move |(event, raised)| {
            self.registry.routes(raised.def()).iter().map(move |route| {
                let failure =
                    self.failures.iter().find(|failure| failure.0 == event && ptr::eq(failure.1, &*route.wired));
                outcome(&route.wired, raised, failure.map(|failure| &failure.2))
            })
        })
    }
}

fn outcome<'a>(wired: &'a Wired, raised: &'a Raised, error: Option<&'a HandlerError>) -> HandlerOutcome<'a> {
    HandlerOutcome { handler: &wired.name, event: raised.def().name, event_id: raised.id(), error }
}

impl fmt::Debug for DispatchReport<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.outcomes()).finish()
    }
}

impl fmt::Display for DispatchReport<'_> {
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
