//! The deliveries of a session that are being made: one task each, or one for all that share a transaction.

use std::{
    collections::{HashMap, HashSet},
    future::pending,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::task::{Id, JoinError, JoinSet};

use crate::{
    handler::{Outcome, Verdict},
    processor::{
        batch::Batch,
        delivery::{Attempt, Attempted},
    },
    store::Store,
};

/// Tasks, and what is known of each.
pub(super) struct UnderWay<S> {
    tasks: JoinSet<Vec<Attempted>>,
    about: HashMap<Id, About<S>>,
    /// The batch the others wait for, and until when.
    batch: Option<(Arc<Batch<S>>, Instant)>,
}

enum About<S> {
    /// Whether the handler is called for it.
    One {
        key: u64,
        number: u32,
        begun: bool,
    },
    Several(Arc<Batch<S>>),
}

/// What came of a task.
pub(super) struct Ended {
    /// In the order they were made.
    pub(super) attempts: Vec<Attempted>,
    /// Lanes whose first delivery was started, and not begun.
    pub(super) left: HashSet<u64>,
    /// Whether handlers were called.
    pub(super) begun: bool,
    /// Whether it was a transaction for several deliveries.
    pub(super) shared: bool,
}

impl<S: Store> UnderWay<S> {
    pub(super) fn new() -> Self {
        Self { tasks: JoinSet::new(), about: HashMap::new(), batch: None }
    }

    pub(super) fn make(&mut self, attempt: Attempt<S>) {
        let (key, number) = (attempt.key, attempt.number);
        let task = self.tasks.spawn(async move { vec![attempt.make().await] });
        self.about.insert(task.id(), About::One { key, number, begun: true });
    }

    pub(super) fn bury(&mut self, attempt: Attempt<S>) {
        let (key, number) = (attempt.key, attempt.number);
        let task = self.tasks.spawn(async move { vec![attempt.bury_crashed().await] });
        self.about.insert(task.id(), About::One { key, number, begun: false });
    }

    /// `shared_for` is how long the deliveries may take; the others wait for five times as long.
    pub(super) fn make_together(
        &mut self,
        store: &Arc<S>,
        attempts: impl IntoIterator<Item = Attempt<S>>,
        shared_for: Duration,
    ) {
        let (batch, store) = (Arc::new(Batch::new(attempts)), Arc::clone(store));
        let made = Arc::clone(&batch);
        let task = self.tasks.spawn(async move { made.make(&*store).await });
        self.about.insert(task.id(), About::Several(Arc::clone(&batch)));
        self.batch = Some((batch, Instant::now() + shared_for.saturating_mul(5)));
    }

    /// Until when the others wait for a batch.
    pub(super) fn batch_until(&self) -> Option<Instant> {
        self.batch.as_ref().map(|(_, until)| *until)
    }

    /// Takes from the batch what it has not begun, and no longer waits for it: the lanes that nothing was begun of.
    pub(super) fn cut_batch(&mut self) -> HashSet<u64> {
        self.batch.take().map(|(batch, _)| batch.take_back()).unwrap_or_default()
    }

    /// Ends all of them at their next `await`.
    pub(super) fn cut_off(&mut self) {
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
                Ok((task, attempts)) => (task, Ok(attempts)),
                Err(error) => (error.id(), Err(error)),
            };
            if let Some(about) = self.about.remove(&task) {
                return self.end(about, joined);
            }
        }
    }

    fn end(&mut self, about: About<S>, joined: Result<Vec<Attempted>, JoinError>) -> Ended {
        match about {
            About::One { key, number, begun } => {
                let attempts = joined.unwrap_or_else(|error| vec![cut_short(key, number, &error)]);
                Ended { attempts, left: HashSet::new(), begun, shared: false }
            }
            About::Several(batch) => {
                self.batch.take_if(|(waited_for, _)| Arc::ptr_eq(waited_for, &batch));
                let left = batch.take_back();
                // A transaction that did not end has no effect: each lane goes on from the first delivery it was given.
                let again = |error: JoinError| batch.begun().iter().map(|key| cut_short(*key, 1, &error)).collect();
                Ended { attempts: joined.unwrap_or_else(again), left, begun: true, shared: true }
            }
        }
    }
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
    Attempted { key, number, outcome, event: None, took: Duration::ZERO }
}
