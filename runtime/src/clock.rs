//! Where the time comes from: the system, or a hand that a test turns.
//!
//! Order never depends on this clock; it stamps `occurred_at` and decides when a retry is due.

use std::{
    cell::RefCell,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, Utc};

/// A source of the current time: the system's clock, or one that only moves when told to.
///
/// ```
/// use domain_events::Clock;
/// use std::time::Duration;
///
/// let clock = Clock::manual("2026-01-31T12:00:00Z".parse()?);
/// clock.advance(Duration::from_secs(60));
/// assert_eq!(clock.now().to_rfc3339(), "2026-01-31T12:01:00+00:00");
/// # Ok::<(), chrono::ParseError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Clock {
    /// Microseconds since the epoch; `None` is the system's clock.
    manual: Option<Arc<AtomicI64>>,
}

/// How many clocks are entered, on all threads: while none is, nobody looks into the thread's own.
static ENTERED_CLOCKS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// What [`Clock::enter`] set: an event's generated `new(..)` has no other way to be told the time.
    static ENTERED: RefCell<Option<Clock>> = const { RefCell::new(None) };
}

impl Clock {
    /// The system's clock.
    #[must_use]
    pub fn system() -> Self {
        Self { manual: None }
    }

    /// A clock that stands at `now` until [`set`](Self::set) or [`advance`](Self::advance) moves it. Its clones share
    /// the time. Resolution: one microsecond.
    #[must_use]
    pub fn manual(now: DateTime<Utc>) -> Self {
        Self { manual: Some(Arc::new(AtomicI64::new(now.timestamp_micros()))) }
    }

    /// Whether it only moves when told to.
    pub(crate) fn is_manual(&self) -> bool {
        self.manual.is_some()
    }

    /// The current time.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        match &self.manual {
            None => Utc::now(),
            Some(micros) => {
                DateTime::from_timestamp_micros(micros.load(Ordering::SeqCst)).unwrap_or(DateTime::<Utc>::MAX_UTC)
            }
        }
    }

    /// Puts a manual clock at `now`; the system's clock stays as it is.
    pub fn set(&self, now: DateTime<Utc>) {
        if let Some(micros) = &self.manual {
            micros.store(now.timestamp_micros(), Ordering::SeqCst);
        }
    }

    /// Moves a manual clock forward; the system's clock stays as it is.
    pub fn advance(&self, by: Duration) {
        if let Some(micros) = &self.manual {
            micros.fetch_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX), Ordering::SeqCst);
        }
    }

    /// Makes this the clock that events are stamped with on the current thread, until the guard is dropped.
    #[must_use = "the clock is left again as soon as the guard is dropped"]
    pub fn enter(&self) -> EnteredClock {
        ENTERED_CLOCKS.fetch_add(1, Ordering::SeqCst);
        let before = ENTERED.with(|entered| entered.replace(Some(self.clone())));
        EnteredClock { before, not_send: std::marker::PhantomData }
    }
}

/// Leaves an entered [`Clock`] when dropped.
#[derive(Debug)]
pub struct EnteredClock {
    before: Option<Clock>,
    // Dropped on another thread it would restore that thread's clock instead.
    not_send: std::marker::PhantomData<*const ()>,
}

impl Drop for EnteredClock {
    fn drop(&mut self) {
        ENTERED.with(|entered| *entered.borrow_mut() = self.before.take());
        ENTERED_CLOCKS.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The time that events raised on this thread are stamped with.
pub(crate) fn now() -> DateTime<Utc> {
    // A thread that entered a clock sees its own count; the others may see it late, and find nothing entered.
    if ENTERED_CLOCKS.load(Ordering::Relaxed) == 0 {
        return Utc::now();
    }
    ENTERED.with(|entered| entered.borrow().as_ref().map_or_else(Utc::now, Clock::now))
}
