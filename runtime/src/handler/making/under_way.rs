//! The deliveries of a subscription that are being made: one task each, or one for several.

use std::{
    collections::{HashMap, HashSet},
    future::{Future, pending},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::task::{Id, JoinError, JoinSet};

use super::{
    Attempted, Making,
    burst::{self, BURST, Made, Waits},
    together::Together,
};
use crate::handler::{Outcome, Verdict};

/// What was not begun is taken back after so many times the time that it should have taken.
const LATE: u32 = 5;

/// Tasks, and what is known of each.
pub(crate) struct UnderWay<A: Making> {
    tasks: JoinSet<Made<A::Event>>,
    about: HashMap<Id, About<A>>,
    /// Those with several deliveries, and until when what they have not begun is left to them.
    several: Vec<(Arc<Together<A>>, Instant)>,
    is_cut_off: bool,
}

enum About<A> {
    /// Whether the handler is called for it.
    One {
        key: u64,
        number: u32,
        begun: bool,
    },
    Several {
        together: Arc<Together<A>>,
    },
}

/// What came of a task.
pub(crate) struct Ended<E> {
    /// In the order they were made.
    pub(crate) attempts: Vec<Attempted<E>>,
    /// Lanes whose first delivery was started, and not begun.
    pub(crate) left: HashSet<u64>,
    /// How long the deliveries took.
    pub(crate) took: Duration,
    /// Whether handlers were called.
    pub(crate) begun: bool,
    /// Whether it was one task for several deliveries.
    pub(crate) shared: bool,
    /// The lane whose next delivery was begun, and goes on in a task of its own.
    pub(crate) waits: Option<u64>,
}

impl<A: Making> UnderWay<A> {
    pub(crate) fn new() -> Self {
        Self { tasks: JoinSet::new(), about: HashMap::new(), several: Vec::new(), is_cut_off: false }
    }

    /// In a task of its own.
    pub(crate) fn make(&mut self, attempt: A) {
        let about = About::One { key: attempt.key(), number: attempt.number(), begun: true };
        self.spawn(about, async move { alone(attempt.make(true).await) });
    }

    /// One for which the handler is not called any more, as `instead` says.
    pub(crate) fn give_up(
        &mut self,
        key: u64,
        number: u32,
        instead: impl Future<Output = Attempted<A::Event>> + Send + 'static,
    ) {
        self.spawn(About::One { key, number, begun: false }, async move { alone(instead.await) });
    }

    /// As `how` makes those that are made together; what it has not begun is left to it `made_within` times five.
    pub(crate) fn make_together<F>(
        &mut self,
        attempts: Vec<A>,
        made_within: Duration,
        how: impl FnOnce(Arc<Together<A>>) -> F,
    ) where
        F: Future<Output = Vec<Attempted<A::Event>>> + Send + 'static,
    {
        let made = self.together(attempts, made_within);
        let making = how(Arc::clone(&made));
        let task = async move {
            let attempts = making.await;
            Made { took: attempts.iter().map(|attempt| attempt.took).sum(), attempts, waits: None }
        };
        self.spawn(About::Several { together: made }, task);
    }

    /// One after the other.
    pub(crate) fn make_in_one_burst(&mut self, attempts: Vec<A>) {
        let together = self.together(attempts, BURST);
        let made = Arc::clone(&together);
        self.spawn(About::Several { together }, async move { burst::make(&*made).await });
    }

    fn together(&mut self, attempts: Vec<A>, made_within: Duration) -> Arc<Together<A>> {
        let together = Arc::new(Together::new(attempts));
        self.several.push((Arc::clone(&together), Instant::now() + made_within.saturating_mul(LATE)));
        together
    }

    fn spawn(&mut self, about: About<A>, task: impl Future<Output = Made<A::Event>> + Send + 'static) {
        let task = self.tasks.spawn(task);
        self.about.insert(task.id(), about);
    }

    /// Until when deliveries are left to tasks that have several and have not begun them.
    pub(crate) fn left_until(&self) -> Option<Instant> {
        self.several.iter().map(|(_, until)| *until).min()
    }

    /// Takes back what was not begun of several: the lanes that nothing was begun of.
    pub(crate) fn take_back(&mut self) -> HashSet<u64> {
        self.several.drain(..).flat_map(|(together, _)| together.take_back()).collect()
    }

    /// Ends all of them at their next `await`.
    pub(crate) fn cut_off(&mut self) {
        self.is_cut_off = true;
        self.tasks.abort_all();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.tasks.len()
    }

    /// The next one that ends, or never if there is none. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Ended<A::Event> {
        loop {
            let Some(joined) = self.tasks.join_next_with_id().await else { return pending().await };
            if let Some(ended) = self.joined(joined) {
                return ended;
            }
        }
    }

    /// One that has ended already.
    pub(crate) fn try_next(&mut self) -> Option<Ended<A::Event>> {
        loop {
            let joined = self.tasks.try_join_next_with_id()?;
            if let Some(ended) = self.joined(joined) {
                return Some(ended);
            }
        }
    }

    fn joined(&mut self, joined: Result<(Id, Made<A::Event>), JoinError>) -> Option<Ended<A::Event>> {
        let (task, joined) = match joined {
            Ok((task, made)) => (task, Ok(made)),
            Err(error) => (error.id(), Err(error)),
        };
        self.about.remove(&task).map(|about| self.end(about, joined))
    }

    fn end(&mut self, about: About<A>, joined: Result<Made<A::Event>, JoinError>) -> Ended<A::Event> {
        match about {
            About::One { key, number, begun } => {
                let made = joined.unwrap_or_else(|error| alone(cut_short(key, number, &error)));
                let Made { attempts, took, .. } = made;
                Ended { attempts, left: HashSet::new(), took, begun, shared: false, waits: None }
            }
            About::Several { together } => {
                self.several.retain(|(other, _)| !Arc::ptr_eq(other, &together));
                let left = together.take_back();
                // Nothing is known of what a task did that did not come to its end; a transaction then has no effect. Each
                // lane goes on from the first delivery it was given.
                let again = |error: JoinError| {
                    let attempts = together.begun().iter().map(|key| cut_short(*key, 1, &error)).collect();
                    Made { attempts, took: Duration::ZERO, waits: None }
                };
                let Made { mut attempts, took, waits } = joined.unwrap_or_else(again);
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
                Ended { attempts, left, took, begun: true, shared: true, waits: key }
            }
        }
    }
}

fn alone<E>(attempted: Attempted<E>) -> Made<E> {
    Made { took: attempted.took, attempts: vec![attempted], waits: None }
}

/// What a task that did not come to its end has done. Handlers' panics are caught further in: one here is a defect of
/// ours, and must not cost the delivery.
fn cut_short<E>(key: u64, number: u32, error: &JoinError) -> Attempted<E> {
    let outcome = match error.is_cancelled() {
        true => Outcome::CutOff,
        false => {
            let error = format!("the delivery's task ended: {error}");
            Outcome::Failed { verdict: Verdict::Retry, error }
        }
    };
    Attempted::unmade(key, number, outcome)
}
