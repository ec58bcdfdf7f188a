//! A connection to a broker as this process sees it: whether it stands, since when, and how long to wait before it is
//! tried again. Shared by the relay and the consumer, so that both warn in the same words and wait in the same way.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use tokio::sync::watch;

use crate::{clock::Clock, error::Error};

/// Between two tries, at first and at most.
const FIRST: Duration = Duration::from_millis(100);
const LIMIT: Duration = Duration::from_secs(5);

/// Whether a broker is reached, for people and health checks.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// Who: a handler's full name, or the relay's.
    pub name: Arc<str>,
    /// Whether the connection stands.
    pub connected: bool,
    /// Since when it is so.
    pub since: DateTime<Utc>,
    /// Why it does not stand.
    pub error: Option<String>,
}

/// One user's view of its connection.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    state: watch::Sender<Health>,
    clock: Clock,
    failures: u32,
}

impl Link {
    /// A connection that has not been tried yet.
    pub(crate) fn new(name: Arc<str>, clock: Clock) -> Self {
        let health = Health { name, connected: false, since: clock.now(), error: None };
        Self { state: watch::Sender::new(health), clock, failures: 0 }
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Health> {
        self.state.subscribe()
    }

    /// It stands, or does so again.
    pub(crate) fn up(&mut self) {
        self.failures = 0;
        let now = self.clock.now();
        self.state.send_if_modified(|health| {
            if health.connected {
                return false;
            }
            if health.error.is_some() {
                tracing::info!(name = %health.name, "the broker is there again");
            }
            (health.connected, health.since, health.error) = (true, now, None);
            true
        });
    }

    /// It was lost, or could not be made: says so, and how long to wait before the next try. A reason is warned of once;
    /// while it lasts, again at every longest wait.
    pub(crate) fn down(&mut self, error: &Error) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let wait = FIRST.saturating_mul(1 << self.failures.saturating_sub(1).min(10)).min(LIMIT);
        let (now, text) = (self.clock.now(), error.to_string());
        self.state.send_modify(|health| {
            let news = health.error.as_ref() != Some(&text);
            if news || wait == LIMIT {
                tracing::warn!(name = %health.name, error = %text, ?wait, "no way to the broker; trying again");
            }
            if health.connected {
                health.since = now;
            }
            (health.connected, health.error) = (false, Some(text));
        });
        // Processes that lost a broker together don't come back together.
        wait.mul_f64(0.75 + fastrand::f64() / 4.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn waits_grow_to_a_limit_and_begin_anew_after_success() {
        let mut link = Link::new("a.a".into(), Clock::system());
        let away = Error::new(ErrorKind::Unavailable, "away");
        let waits: Vec<_> = (0..12).map(|_| link.down(&away)).collect();
        assert!(waits[0] <= FIRST && waits[11] <= LIMIT && waits[11] >= LIMIT.mul_f64(0.75), "{waits:?}");
        assert_eq!(link.watch().borrow().error.as_deref(), Some("away"));
        link.up();
        assert!(link.watch().borrow().connected && link.watch().borrow().error.is_none());
        assert!(link.down(&away) <= FIRST);
    }
}
