//! Which deliveries of a session begin, and what follows when they end.

use std::{
    ops::ControlFlow,
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};

use super::{session::Session, waits::later};
use crate::{
    handler::{Ended, LOG, Next, OnDead, Outcome, next},
    processor::{
        batch::Batch,
        delivery::{Attempt, Attempted, Common},
        lanes::Job,
        tail::{HeldEvent, TailEvent},
    },
    store::{
        Store,
        record::{DeadLetter, DeadReason},
    },
};

/// How long a delivery waits whose store failed.
const STORE_PAUSE: Duration = Duration::from_millis(200);

impl<S: Store> Session<'_, S> {
    /// Begins as many attempts as may run at a time.
    pub(super) fn launch(&mut self) {
        let now = self.subscription.context.clock.now();
        self.lanes.wake(now);
        if self.running.left_until().is_some_and(|until| until <= Instant::now()) {
            self.sharing.is_slow();
            self.take_back();
        }
        let limit = self.concurrency();
        // While a transaction for several runs, what else there is will be in the next one.
        let transactional = self.subscription.wired.transactional;
        while self.running.len() + self.armed.len() + self.arming.len() < limit
            && !(transactional && self.running.left_until().is_some())
        {
            let Some(job) = self.lanes.start() else { break };
            // What has failed before, or is under suspicion, is made known before it is begun: if it takes the process
            // down, that attempt is found and counted. A delivery that is only to be buried is not begun.
            if (self.careful.is_some() || job.attempts > 0) && !self.is_spent(&job) {
                let changes = self.lanes.arm(job.key, job.attempts + 1, now);
                self.progress.apply(changes);
                self.armed.push(job);
            } else if self.shares() && job.is_fresh() {
                self.begin_several(job);
            } else {
                self.begin_attempt(job);
            }
        }
        // Once everything readable was tried and nothing is left to do, the suspicion is over.
        if self.careful == Some(0) || (self.careful.is_some() && self.caught_up && self.is_idle()) {
            self.careful = None;
            self.progress.calm();
        }
    }

    fn concurrency(&self) -> usize {
        let one_writer = !self.subscription.context.store.capabilities().concurrent_writers;
        if self.careful.is_some() || (self.subscription.wired.transactional && one_writer) {
            return 1;
        }
        usize::from(self.subscription.wired.options.concurrency)
    }

    /// Whether several deliveries are made together now: never under suspicion, and only where more wait than can run at a
    /// time.
    fn shares(&self) -> bool {
        self.careful.is_none() && self.sharing.most() > 1 && self.progress.window.len() > self.concurrency()
    }

    /// Whether its attempts are used up, the last one by a crash.
    fn is_spent(&self, job: &Job) -> bool {
        job.crashed && job.attempts >= self.subscription.wired.options.max_attempts
    }

    pub(super) fn begin_attempt(&mut self, job: Job) {
        if self.is_spent(&job) {
            let number = job.attempts;
            let (key, attempt) = (job.key, attempt(&self.common, job, number));
            self.running.give_up(key, number, attempt.bury_crashed());
        } else {
            let number = job.attempts + 1;
            self.running.make(attempt(&self.common, job, number));
        }
        self.careful = self.careful.map(|left| left.saturating_sub(1));
    }

    fn begin_several(&mut self, first: Job) {
        let mut jobs = self.lanes.start_with(first, self.sharing.most());
        if jobs.len() == 1 {
            return jobs.drain(..).for_each(|job| self.begin_attempt(job));
        }
        let attempts: Vec<_> = jobs.into_iter().map(|job| attempt(&self.common, job, 1)).collect();
        let context = &self.subscription.context;
        if self.subscription.wired.transactional {
            let (store, within) = (Arc::clone(&context.store), context.config.share_transactions);
            let make = async move |together: Arc<_>| Batch(&together).make(&*store).await;
            self.running.make_together(attempts, within, make);
        } else {
            self.running.make_in_one_burst(attempts);
        }
    }

    /// What was to be made together, and is not begun, does not wait any more.
    pub(super) fn take_back(&mut self) {
        for key in self.running.take_back() {
            self.lanes.give_back(key);
        }
    }

    /// What follows attempts that have ended; `Break` if the lease is lost.
    pub(super) fn ended(&mut self, ended: Ended<HeldEvent>) -> ControlFlow<()> {
        // What fails costs the others something only where they share a transaction with it.
        let transactional = self.subscription.wired.transactional;
        self.sharing.learn(&ended, |attempt| transactional && !matches!(attempt.outcome, Outcome::Handled));
        let Ended { attempts, left, begun, waits, .. } = ended;
        let mut closed = Vec::new();
        let keys: Vec<_> = attempts.iter().map(|attempted| attempted.key).collect();
        for (index, attempted) in attempts.into_iter().enumerate() {
            let key = attempted.key;
            // Behind one that is to be made again; it was made in vain.
            if closed.contains(&key) {
                continue;
            }
            // They are few: looking through those behind it is cheaper than knowing.
            let is_last = waits != Some(key) && !keys[index + 1..].contains(&key);
            match self.attempted(attempted, begun, is_last) {
                None => return ControlFlow::Break(()),
                Some(true) => {}
                Some(false) => closed.push(key),
            }
        }
        for key in left {
            self.lanes.give_back(key);
        }
        ControlFlow::Continue(())
    }

    /// What follows an attempt; whether its lane can go on from it, `None` if the lease is lost. Of several in one lane
    /// only the `last` one sets it free.
    fn attempted(&mut self, attempted: Attempted, begun: bool, last: bool) -> Option<bool> {
        let Attempted { key, number: attempts, outcome, event, took: _ } = attempted;
        let options = self.subscription.wired.options;
        if options.once
            && let Some(event) = &event
        {
            self.progress.once(event.id(), &outcome);
        }
        self.progress.worked();
        let changes = match next(outcome, attempts, &options) {
            Next::Leave => return None,
            Next::Settle => {
                self.pass(key, last);
                return Some(true);
            }
            Next::Repeat => self.lanes.repeat(key, begun, later(self.now(), STORE_PAUSE)),
            Next::Retry { wait, error } => self.lanes.retry(key, attempts, later(self.now(), wait), error),
            Next::Bury { reason, error } => {
                let now = self.now();
                if let Some(event) = event {
                    self.bury(&event, attempts, reason, &error, now);
                }
                match options.on_dead {
                    OnDead::Continue => {
                        self.pass(key, true);
                        return Some(true);
                    }
                    OnDead::Park => self.lanes.block(key, attempts, now, error),
                }
            }
        };
        self.progress.apply(changes);
        Some(false)
    }

    /// A delivery is over, and its lane goes on; of several in one lane, only the `last` one sets it free.
    fn pass(&mut self, key: u64, last: bool) {
        let passed = if last { self.lanes.settle(key) } else { self.lanes.pass(key) };
        if let Some(passed) = passed {
            self.progress.done(passed);
        }
    }

    fn now(&self) -> DateTime<Utc> {
        self.subscription.context.clock.now()
    }

    fn bury(&mut self, event: &TailEvent, attempts: u32, reason: DeadReason, error: &str, now: DateTime<Utc>) {
        let (handler, meta) = (&self.subscription.wired.name, &event.envelope.meta);
        tracing::error!(target: LOG, %handler, event = %meta.name, event_id = %meta.id,
            aggregate_id = %meta.aggregate_id, %reason, attempts, %error, "dead letter");
        let envelope = event.envelope.clone();
        self.progress.bury(DeadLetter::new(Arc::clone(handler), envelope, attempts, reason, error.to_owned(), now));
    }
}

fn attempt<S>(common: &Arc<Common<S>>, job: Job, number: u32) -> Attempt<S> {
    let Job { key, position, event, .. } = job;
    Attempt { common: Arc::clone(common), key, event, position, number }
}
