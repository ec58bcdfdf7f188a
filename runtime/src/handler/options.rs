//! What a handler's attribute can say beside its events, as constants that are checked when the program is compiled.

use std::time::Duration;

/// How a handler's failed deliveries are repeated: the first wait, doubled each time up to a limit, with jitter.
///
/// In an attribute: `backoff = "500ms..10m"`, `backoff = "2s"` (limit: 5 minutes), or a constant.
///
/// ```
/// use domain_events::Backoff;
/// use std::time::Duration;
///
/// const PATIENT: Backoff = Backoff::exponential(Duration::from_secs(5), Duration::from_secs(3600));
/// assert_eq!(PATIENT.delay(1), Duration::from_secs(5));
/// assert_eq!(PATIENT.delay(3), Duration::from_secs(20));
/// assert_eq!(PATIENT.delay(99), Duration::from_secs(3600));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    limit: Duration,
}

impl Backoff {
    /// What a handler gets that says nothing: 1 second, doubling up to 5 minutes.
    pub const DEFAULT: Self = Self::exponential(Duration::from_secs(1), Duration::from_secs(300));

    /// Waits `first` after the first failure, twice as long after each further one, never longer than `limit`.
    ///
    /// # Panics
    ///
    /// If `first` is longer than `limit`; in a constant this is a compile error.
    #[must_use]
    pub const fn exponential(first: Duration, limit: Duration) -> Self {
        assert!(first.as_nanos() <= limit.as_nanos(), "backoff: the first wait is longer than the limit");
        Self { first, limit }
    }

    /// Waits the same time after every failure.
    #[must_use]
    pub const fn fixed(wait: Duration) -> Self {
        Self { first: wait, limit: wait }
    }

    /// The wait after the `attempt`th failure, from 1, before jitter.
    #[must_use]
    pub fn delay(&self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(1).min(31);
        self.first.saturating_mul(1 << doublings).min(self.limit)
    }

    /// The same with jitter: between 100 % and 150 % of [`delay`](Self::delay), so that what failed together does not
    /// come back together; never less than the delay, never twice as much.
    #[must_use]
    pub fn jittered(&self, attempt: u32) -> Duration {
        let delay = self.delay(attempt);
        // A part of at most half of it can't overflow, the sum could.
        delay.saturating_add(delay.mul_f64(fastrand::f64() / 2.0))
    }
}

/// What happens to the later events of an aggregate when one of its deliveries became a dead letter.
///
/// In an attribute: `on_dead = "continue"` or `"park"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnDead {
    /// They are delivered: the dead letter is passed over.
    #[default]
    Continue,
    /// They wait until the dead letter is redriven or discarded.
    Park,
}

/// Where a handler that was never seen before begins in the log.
///
/// In an attribute: `start = "beginning"` or `"now"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Start {
    /// At the first event that is still kept: right for read models and indexes, and nothing is ever missed.
    #[default]
    Beginning,
    /// At the first event committed after a processor first ran it: right for letters to people.
    Now,
}

/// All options of one handler. Built by `#[event_handler(..)]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct HandlerOptions {
    /// How often a delivery is tried before it becomes a dead letter, from 1. Default: 10.
    pub max_attempts: u32,
    /// The waits in between.
    pub backoff: Backoff,
    /// How long one attempt may take. Default: 60 seconds.
    pub timeout: Duration,
    /// What a dead letter means for the aggregate's later events.
    pub on_dead: OnDead,
    /// Whether each event is marked before it is handled, so that a crash never makes the handler see it again.
    pub once: bool,
    /// Into how many subscriptions the handler is split by aggregate, so that several processes share the work.
    /// From 1 to 256; default: 1.
    pub partitions: u16,
    /// How many deliveries of different aggregates run at a time in one process, from 1 to 1024; default: 16.
    pub concurrency: u16,
    /// Where a new handler begins.
    pub start: Start,
}

impl HandlerOptions {
    /// What a handler gets that says nothing.
    pub const DEFAULT: Self = Self {
        max_attempts: 10,
        backoff: Backoff::DEFAULT,
        timeout: Duration::from_secs(60),
        on_dead: OnDead::Continue,
        once: false,
        partitions: 1,
        concurrency: 16,
        start: Start::Beginning,
    };

    /// Sets `max_attempts`.
    #[must_use]
    pub const fn max_attempts(mut self, attempts: u32) -> Self {
        assert!(attempts >= 1, "max_attempts: a delivery is tried at least once; write 1 or more");
        self.max_attempts = attempts;
        self
    }

    /// Sets `backoff`.
    #[must_use]
    pub const fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Sets `timeout`.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        assert!(!timeout.is_zero(), "timeout: a handler needs some time; write more than zero");
        self.timeout = timeout;
        self
    }

    /// Sets `on_dead`.
    #[must_use]
    pub const fn on_dead(mut self, on_dead: OnDead) -> Self {
        self.on_dead = on_dead;
        self
    }

    /// Sets `once`.
    #[must_use]
    pub const fn once(mut self, once: bool) -> Self {
        self.once = once;
        self
    }

    /// Sets `partitions`.
    #[must_use]
    pub const fn partitions(mut self, partitions: u16) -> Self {
        assert!(partitions >= 1 && partitions <= 256, "partitions: from 1 to 256");
        self.partitions = partitions;
        self
    }

    /// Sets `concurrency`.
    #[must_use]
    pub const fn concurrency(mut self, concurrency: u16) -> Self {
        assert!(concurrency >= 1 && concurrency <= 1024, "concurrency: from 1 to 1024");
        self.concurrency = concurrency;
        self
    }

    /// Sets `start`.
    #[must_use]
    pub const fn start(mut self, start: Start) -> Self {
        self.start = start;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_wait_has_jitter_too() {
        assert!(Backoff::fixed(Duration::MAX).jittered(1) >= Duration::from_secs(1 << 40));
    }
}
