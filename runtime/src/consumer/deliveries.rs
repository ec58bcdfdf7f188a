//! Which deliveries of a session begin, and what becomes of them: settled, tried again, or a dead letter.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    arrival::Arrival,
    attempt::Attempt,
    intake::Taken,
    lanes::{Item, Job, Lanes},
    parking::Parking,
    recent::Recent,
    session::Session,
    settling::Settled,
};
use crate::{
    event::{DeadReason, EventId},
    handler::{Attempted, CRASHED, Ended, LOG, Next, OnDead, Sharing, UnderWay, next},
    store::Store,
    transport::record::{Epitaph, Fate, Settlement, Tag},
};

/// How long a delivery waits whose store failed.
const STORE_PAUSE: Duration = Duration::from_millis(200);
/// The most deliveries that are settled at a time.
const TOGETHER: usize = 256;

/// What is remembered while the subscription is connected.
pub(super) struct State<S: Store> {
    pub(super) lanes: Lanes,
    pub(super) recent: Recent,
    pub(super) parking: Parking,
    pub(super) running: UnderWay<Attempt<S>>,
    pub(super) sharing: Sharing,
    pub(super) settlements: Vec<Settlement>,
    /// Handled events among the settlements, for the inbox.
    pub(super) handled: Vec<EventId>,
    /// Events that become dead letters, of which the inbox may have marks.
    pub(super) buried: Vec<EventId>,
}

impl<S: Store> State<S> {
    fn settle(&mut self, tag: Tag, fate: Fate) {
        self.settlements.push(Settlement { tag, fate });
    }

    fn done(&mut self, item: Item) {
        let id = item.arrival.envelope.meta.id;
        self.recent.insert(id);
        self.handled.push(id);
        item.tags.into_iter().for_each(|tag| self.settle(tag, Fate::Done));
    }

    /// What was to be made together, and is not begun, does not wait any more.
    pub(super) fn take_back(&mut self) {
        for key in self.running.take_back() {
            self.lanes.give_back(key);
        }
    }

    /// What can be settled together next.
    pub(super) fn take_settled(&mut self) -> Settled {
        let rest = self.settlements.split_off(self.settlements.len().min(TOGETHER));
        let settlements = std::mem::replace(&mut self.settlements, rest);
        // The marks of what is dead stand until the broker has it, and with it all that waits here.
        let buried = if self.settlements.is_empty() { std::mem::take(&mut self.buried) } else { Vec::new() };
        Settled { settlements, handled: std::mem::take(&mut self.handled), buried }
    }

    /// The last word.
    pub(super) fn take_all_settled(&mut self) -> Settled {
        Settled {
            settlements: std::mem::take(&mut self.settlements),
            handled: std::mem::take(&mut self.handled),
            buried: std::mem::take(&mut self.buried),
        }
    }
}

impl<S: Store> Session<S> {
    /// Takes what arrived into the queues, or decides at once what needs no handler.
    pub(super) fn admit(&self, state: &mut State<S>, taken: Vec<Taken>) {
        for taken in taken {
            match taken {
                Taken::Fresh(arrival, tag, suspected) => {
                    let id = arrival.envelope.meta.id;
                    if state.recent.contains(id) {
                        state.settle(tag, Fate::Done);
                    } else if state.parking.holds(&arrival) {
                        self.park(state, &arrival, tag);
                    } else {
                        state.lanes.admit(arrival, tag, suspected);
                    }
                }
                Taken::Handled(tag) => state.settle(tag, Fate::Done),
                Taken::Unreadable(message, tag, epitaph) => {
                    tracing::error!(target: LOG, handler = %self.wired.name,
                        origin = %message.origin, reason = %epitaph.reason, error = %epitaph.error, "dead letter");
                    state.settle(tag, Fate::Dead(message, epitaph));
                }
            }
        }
    }

    fn park(&self, state: &mut State<S>, arrival: &Arrival, tag: Tag) {
        let error = "an earlier event of its aggregate is a dead letter; redrive or discard that one first".to_owned();
        let epitaph = Epitaph { reason: DeadReason::Parked, error, attempts: 0 };
        state.parking.bury(arrival);
        state.settle(tag, Fate::Dead(Arc::clone(&arrival.message), epitaph));
    }

    /// Begins as many attempts as may run at a time.
    pub(super) fn launch(&self, state: &mut State<S>, now: Instant) {
        state.lanes.wake(now);
        if state.running.left_until().is_some_and(|until| until <= now) {
            state.sharing.is_slow();
            state.take_back();
        }
        loop {
            // Anew for each: suspicion ends with the last suspect.
            let limit = self.concurrency(state);
            if state.running.len() >= limit {
                break;
            }
            let Some(job) = state.lanes.start() else { break };
            if job.is_suspect && job.attempts >= self.wired.options.max_attempts {
                self.give_up(state, job.key, job.attempts, DeadReason::Crashed, CRASHED.to_owned());
                continue;
            }
            // Several together, only where more wait than can run at a time, and never under suspicion.
            let several = job.attempts == 0 && state.lanes.len() > limit && !state.lanes.has_suspects();
            let more = if several { state.lanes.start_fresh(state.sharing.most() - 1) } else { Vec::new() };
            if more.is_empty() {
                state.running.make(self.attempt(job));
            } else {
                let attempts = [job].into_iter().chain(more).map(|job| self.attempt(job));
                state.running.make_in_one_burst(attempts.collect());
            }
        }
    }

    fn concurrency(&self, state: &State<S>) -> usize {
        let one_writer = self.wired.transactional && !self.context.store.capabilities().concurrent_writers;
        // Else it could not be told who took the process down.
        if one_writer || state.lanes.has_suspects() { 1 } else { usize::from(self.wired.options.concurrency) }
    }

    fn attempt(&self, job: Job) -> Attempt<S> {
        let (context, wired) = (Arc::clone(&self.context), Arc::clone(&self.wired));
        let Job { key, arrival, attempts, is_suspect } = job;
        Attempt { context, wired, arrival, key, number: attempts + 1, is_suspect }
    }

    /// What follows attempts that have ended.
    pub(super) fn ended(&self, state: &mut State<S>, ended: Ended<()>) {
        // Nothing that fails costs the others anything: none shares a transaction.
        state.sharing.learn(&ended, |_| false);
        let Ended { attempts, left, .. } = ended;
        for attempted in attempts {
            self.attempted(state, attempted);
        }
        left.into_iter().for_each(|key| state.lanes.give_back(key));
    }

    fn attempted(&self, state: &mut State<S>, attempted: Attempted<()>) {
        let Attempted { key, number: attempts, outcome, .. } = attempted;
        let now = Instant::now();
        match next(outcome, attempts, &self.wired.options) {
            Next::Settle => {
                if let Some(item) = state.lanes.finish(key) {
                    state.done(item);
                }
            }
            Next::Repeat | Next::Leave => state.lanes.again(key, attempts - 1, now + STORE_PAUSE),
            Next::Retry { wait, .. } => {
                let at = now.checked_add(wait).unwrap_or(now + Duration::from_secs(30 * 365 * 24 * 3600));
                state.lanes.again(key, attempts, at);
            }
            Next::Bury { reason, error } => self.give_up(state, key, attempts, reason, error),
        }
    }

    /// The first of a queue becomes a dead letter; what stands behind it is parked where its handler asks for that.
    fn give_up(&self, state: &mut State<S>, key: u64, attempts: u32, reason: DeadReason, error: String) {
        if let Some(item) = state.lanes.finish(key) {
            self.bury(state, item, Epitaph { reason, error, attempts });
        }
        if self.wired.options.on_dead == OnDead::Park {
            for Item { arrival, tags, .. } in state.lanes.clear(key) {
                tags.into_iter().for_each(|tag| self.park(state, &arrival, tag));
            }
        }
    }

    fn bury(&self, state: &mut State<S>, item: Item, epitaph: Epitaph) {
        let (handler, meta) = (&self.wired.name, &item.arrival.envelope.meta);
        let Epitaph { reason, error, attempts } = &epitaph;
        tracing::error!(target: LOG, %handler, event = %meta.name, event_id = %meta.id,
            aggregate_id = %meta.aggregate_id, %reason, attempts, %error, "dead letter");
        if self.wired.options.on_dead == OnDead::Park {
            state.parking.bury(&item.arrival);
        }
        if self.wired.options.once || item.is_noted {
            state.buried.push(meta.id);
        }
        let mut tags = item.tags.into_iter();
        if let Some(tag) = tags.next() {
            state.settle(tag, Fate::Dead(Arc::clone(&item.arrival.message), epitaph));
        }
        tags.for_each(|tag| state.settle(tag, Fate::Done));
    }
}
