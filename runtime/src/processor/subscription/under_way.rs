//! The deliveries of a session that are being made: one task each, or one for several.

use std::{
    collections::{HashMap, HashSet},
    future::{Future, pending},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::task::{Id, JoinError, JoinSet};

use crate::{
    handler::{Outcome, Verdict},
    processor::{
        batch::Batch,
        burst::{self, BURST, Made, Waits},
        delivery::{Attempt, Attempted},
        together::Together,
    },
    store::Store,
};

/// What was not begun is taken back after so many times the time that it should have taken.
const LATE: u32 = 5;

/// Tasks, and what is known of each.
pub(super) struct UnderWay<S> {
    tasks: JoinSet<Made>,
    about: HashMap<Id, About<S>>,
    /// Those with several deliveries, and until when what they have not begun is left to them.
    several: Vec<(Arc<Together<S>>, Instant)>,
    is_cut_off: bool,
}

enum About<S> {
    /// Whether the handler is called for it.
    One {
        key: u64,
        number: u32,
        begun: bool,
    },
    Several {
        together: Arc<Together<S>>,
    },
}

/// What came of a task.
pub(super) struct Ended {
    /// In the order they were made.
    pub(super) attempts: Vec<Attempted>,
    /// Lanes whose first delivery was started, and not begun.
    pub(super) left: HashSet<u64>,
    /// Whether handlers were called.
    pub(super) begun: bool,
    /// Whether it was one task for several deliveries.
    pub(super) shared: bool,
    /// The lane whose next delivery was begun, and goes on in a task of its own.
    pub(super) waits: Option<u64>,
}

impl<S: Store> UnderWay<S> {
    pub(super) fn new() -> Self {
        Self { tasks: JoinSet::new(), about: HashMap::new(), several: Vec::new(), is_cut_off: false }
    }

    pub(super) fn make(&mut self, attempt: Attempt<S>) {
        let (key, number) = (attempt.key, attempt.number);
        self.spawn(About::One { key, number, begun: true }, async move { alone(attempt.make().await) });
    }

    pub(super) fn bury(&mut self, attempt: Attempt<S>) {
        let (key, number) = (attempt.key, attempt.number);
        self.spawn(About::One { key, number, begun: false }, async move { alone(attempt.bury_crashed().await) });
    }

    /// In one transaction; `shared_for` is how long the deliveries may take.
    pub(super) fn make_in_one_transaction(
        &mut self,
        store: &Arc<S>,
        attempts: impl IntoIterator<Item = Attempt<S>>,
        shared_for: Duration,
    ) {
        let (together, store) = (Arc::new(Together::new(attempts)), Arc::clone(store));
        let made = Arc::clone(&together);
        self.several.push((Arc::clone(&together), Instant::now() + shared_for.saturating_mul(LATE)));
        let task = async move { Made { attempts: Batch(&made).make(&*store).await, waits: None } };
        self.spawn(About::Several { together }, task);
    }

    /// One after the other.
    pub(super) fn make_in_one_burst(&mut self, attempts: impl IntoIterator<Item = Attempt<S>>) {
        let together = Arc::new(Together::new(attempts));
        let made = Arc::clone(&together);
        self.several.push((Arc::clone(&together), Instant::now() + BURST.saturating_mul(LATE)));
        self.spawn(About::Several { together }, async move { burst::make(&made).await });
    }

    fn spawn(&mut self, about: About<S>, task: impl Future<Output = Made> + Send + 'static) {
        let task = self.tasks.spawn(task);
        self.about.insert(task.id(), about);
    }

    /// Until when deliveries are left to tasks that have several and have not begun them.
    pub(super) fn left_until(&self) -> Option<Instant> {
        self.several.iter().map(|(_, until)| *until).min()
    }

    /// Takes back what was not begun of several: the lanes that nothing was begun of.
    pub(super) fn take_back(&mut self) -> HashSet<u64> {
        self.several.drain(..).flat_map(|(together, _)| together.take_back()).collect()
    }

    /// Ends all of them at their next `await`.
    pub(super) fn cut_off(&mut self) {
        self.is_cut_off = true;
        self.tasks.abort_all();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.tasks.len()
    }

    /// The next one that ends, or never if there is none. Cancel-safe.
    pub(super) async fn next(&mut self) -> Ended {
        loop {
            let Some(joined) = self.tasks.join_next_with_id().await else { return pending().await };
            let (task, joined) = match joined {
                Ok((task, made)) => (task, Ok(made)),
                Err(error) => (error.id(), Err(error)),
            };
            if let Some(about) = self.about.remove(&task) {
                return self.end(about, joined);
            }
        }
    }

    fn end(&mut self, about: About<S>, joined: Result<Made, JoinError>) -> Ended {
        match about {
            About::One { key, number, begun } => {
                let made = joined.unwrap_or_else(|error| alone(cut_short(key, number, &error)));
                Ended { attempts: made.attempts, left: HashSet::new(), begun, shared: false, waits: None }
            }
            About::Several { together } => {
                self.several.retain(|(other, _)| !Arc::ptr_eq(other, &together));
                let left = together.take_back();
                // Nothing is known of what a task did that did not come to its end; a transaction then has no effect. Each
                // lane goes on from the first delivery it was given.
                let again = |error: JoinError| {
                    let attempts = together.begun().iter().map(|key| cut_short(*key, 1, &error)).collect();
                    Made { attempts, waits: None }
                };
                let Made { mut attempts, waits } = joined.unwrap_or_else(again);
                let mut key = None;
                match waits {
                    Some(waits) if self.is_cut_off => {
                        attempts.push(Attempted::unmade(waits.key, waits.number, Outcome::CutOff));
                    }
                    Some(Waits { key: lane, number, rest }) => {
                        key = Some(lane);
                        self.spawn(About::One { key: lane, number, begun: true }, async move { alone(rest.await) });
                    }
                    None => {}
                }
                Ended { attempts, left, begun: true, shared: true, waits: key }
            }
        }
    }
}

fn alone(attempted: Attempted) -> Made {
    Made { attempts: vec![attempted], waits: None }
}

/// What a task that did not come to its end has done. Handlers' panics are caught further in: one here is a defect of
/// ours, and must not cost the delivery.
fn cut_short(key: u64, number: u32, error: &JoinError) -> Attempted {
    let outcome = match error.is_cancelled() {
        true => Outcome::CutOff,
        false => {
            let error = format!("the delivery's task ended: {error}");
            Outcome::Failed { verdict: Verdict::Retry, error }
        }
    };
    Attempted::unmade(key, number, outcome)
}
