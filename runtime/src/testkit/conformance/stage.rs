//! Where the handlers of the suite play: a script says what each attempt does, and everything is written down.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{cast::ParcelMovedEvent, journal::Journal};
use crate::{
    event::{EventId, EventMeta},
    handler::{Attempt, HandlerError},
};

/// One attempt of one handler, as it began.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Seen {
    /// The handler's name, without its group.
    pub handler: String,
    /// The aggregate's id.
    pub aggregate: String,
    /// The event's number within its aggregate.
    pub step: u64,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// The event.
    pub event: EventId,
    /// When it began.
    pub at: Instant,
}

/// What an attempt does.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Act {
    /// Succeeds.
    Done,
    /// Fails with this text.
    Fail(&'static str),
    /// Says that trying again can't help.
    Permanent(&'static str),
    /// Asks for the next attempt after this long.
    RetryAfter(Duration, &'static str),
    /// Says that nothing is to be done.
    Discard(&'static str),
    /// Panics.
    Panic(&'static str),
    /// Never ends by itself.
    Hang,
    /// Succeeds after this long.
    Slow(Duration),
    /// Takes its process down.
    Abort,
    /// Succeeds once a file of this name stands beside the journal.
    WaitFor(&'static str),
}

type Script = Box<dyn Fn(&Seen) -> Act + Send + Sync>;

/// A service of the suite's handlers: plays the script and keeps what was seen.
///
/// A backend's own transactional handler takes it as `Service<Stage>` and calls [`play`](Self::play) before it writes.
pub struct Stage {
    script: Script,
    seen: Mutex<Vec<Seen>>,
    /// Handled: handler, aggregate, step.
    done: Mutex<Vec<Seen>>,
    /// Where it is written down too, so that it outlives the process.
    journal: Option<Journal>,
}

impl Stage {
    pub(super) fn new(script: impl Fn(&Seen) -> Act + Send + Sync + 'static) -> Self {
        Self { script: Box::new(script), seen: Mutex::default(), done: Mutex::default(), journal: None }
    }

    pub(super) fn with_journal(mut self, journal: Journal) -> Self {
        self.journal = Some(journal);
        self
    }

    /// One attempt of the handler `name`.
    ///
    /// # Errors
    ///
    /// What the script says.
    pub async fn play(
        &self,
        name: &'static str,
        event: &ParcelMovedEvent,
        meta: &EventMeta,
        attempt: Attempt,
    ) -> Result<(), HandlerError> {
        let seen = Seen {
            handler: name.to_owned(),
            aggregate: event.parcel_id.clone(),
            step: event.step,
            attempt: attempt.0,
            event: meta.id,
            at: Instant::now(),
        };
        lock(&self.seen).push(seen.clone());
        self.write("begin", &seen);
        let act = (self.script)(&seen);
        match act {
            Act::Done => {}
            Act::Fail(why) => return Err(why.into()),
            Act::Permanent(why) => return Err(HandlerError::permanent(why)),
            Act::RetryAfter(wait, why) => return Err(HandlerError::retry_after(wait, why)),
            Act::Discard(why) => return Err(HandlerError::discard(why)),
            Act::Panic(why) => panic!("{why}"),
            Act::Hang => std::future::pending().await,
            Act::Slow(time) => tokio::time::sleep(time).await,
            Act::Abort => std::process::abort(),
            Act::WaitFor(file) => {
                while !self.journal.as_ref().is_some_and(|journal| journal.beside(file).exists()) {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
        }
        self.write("done", &seen);
        lock(&self.done).push(seen);
        Ok(())
    }

    fn write(&self, what: &str, seen: &Seen) {
        if let Some(journal) = &self.journal {
            journal.write(&format!("{what} {} {} {} {}", seen.handler, seen.aggregate, seen.step, seen.attempt));
        }
    }

    /// Every attempt so far, in the order they began.
    pub(super) fn seen(&self) -> Vec<Seen> {
        lock(&self.seen).clone()
    }

    /// The attempts of one handler for one aggregate, as steps.
    pub(super) fn steps(&self, handler: &str, aggregate: &str) -> Vec<u64> {
        let of = |seen: &&Seen| seen.handler == handler && seen.aggregate == aggregate;
        lock(&self.seen).iter().filter(of).map(|seen| seen.step).collect()
    }

    /// The successful attempts of one handler for one aggregate, as steps.
    pub(super) fn done(&self, handler: &str, aggregate: &str) -> Vec<u64> {
        let of = |seen: &&Seen| seen.handler == handler && seen.aggregate == aggregate;
        lock(&self.done).iter().filter(of).map(|seen| seen.step).collect()
    }

    /// How often a handler succeeded with each event: aggregate and step.
    pub(super) fn handled(&self, handler: &str) -> BTreeMap<(String, u64), usize> {
        let mut handled = BTreeMap::new();
        for seen in lock(&self.done).iter().filter(|seen| seen.handler == handler) {
            *handled.entry((seen.aggregate.clone(), seen.step)).or_default() += 1;
        }
        handled
    }

    /// How many attempts of a handler succeeded.
    pub(super) fn count(&self, handler: &str) -> usize {
        lock(&self.done).iter().filter(|seen| seen.handler == handler).count()
    }
}

impl fmt::Debug for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stage").field("seen", &lock(&self.seen).len()).finish_non_exhaustive()
    }
}

// A script may panic on purpose, but never while a lock is held.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
