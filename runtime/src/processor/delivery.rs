//! One attempt at one delivery: decode, mark where the handler asks for it, call, commit.

use std::{any::Any, sync::Arc, time::Duration};

use super::{
    Context,
    batch::Batch,
    tail::{HeldEvent, TailEvent},
};
use crate::{
    error::Error,
    event::EventMeta,
    fault,
    handler::{
        self, CRASHED, Call, INTERRUPTED, LOG, Making, Outcome, Together, Undeliverable, Verdict, Wired, call, guarded,
        outcome, timer,
    },
    store::{
        Store,
        record::{DeadReason, Lease, OnceClaim},
    },
};

/// What the attempts of a subscription have in common, behind one pointer: the counters of what all subscriptions share
/// are what threads would wait for each other at. Apart from its own counter, for those who only read.
#[repr(align(128))]
pub(super) struct Common<S> {
    pub(super) context: Arc<Context<S>>,
    pub(super) wired: Arc<Wired>,
    pub(super) lease: Lease,
}

/// What an attempt needs to know.
pub(super) struct Attempt<S> {
    pub(super) common: Arc<Common<S>>,
    /// Its lane.
    pub(super) key: u64,
    /// The event; `None` where it was parked and is still in the log.
    pub(super) event: Option<HeldEvent>,
    pub(super) position: i64,
    /// From 1.
    pub(super) number: u32,
}

/// How an attempt ended, with the event, if it was found.
pub(super) type Attempted = handler::Attempted<HeldEvent>;

impl<S: Store> Making for Attempt<S> {
    type Event = HeldEvent;

    fn key(&self) -> u64 {
        self.key
    }

    fn number(&self) -> u32 {
        self.number
    }

    async fn make(mut self, timed: bool) -> Attempted {
        if self.event.is_none() {
            let fetching = Box::pin(self.common.context.store.fetch(std::slice::from_ref(&self.position)));
            match fetching.await {
                Err(error) => return self.ended(store_failed(&error)),
                Ok(mut found) => self.event = found.pop().map(HeldEvent::alone),
            }
        }
        let Some(event) = self.event.take() else {
            tracing::error!(handler = %self.common.wired.name, position = self.position,
                "a parked event is gone from the log; its delivery is given up");
            return self.ended(Outcome::Handled);
        };
        if self.common.wired.transactional {
            self.event = Some(event);
            let (gone, common) = (self.ended(Outcome::CutOff), Arc::clone(&self.common));
            let alone = Together::new([self]);
            // In a box, as everything that few deliveries need: the rest would be moved about with room for it.
            return Box::pin(Batch(&alone).make(&*common.context.store)).await.pop().unwrap_or(gone);
        }
        let begun = timer(timed);
        let outcome = guarded(self.attempt(&event, None)).await;
        let took = begun.map_or(Duration::ZERO, |begun| begun.elapsed());
        let attempted = Attempted { key: self.key, number: self.number, outcome, event: Some(event), took };
        self.report(&attempted);
        attempted
    }
}

impl<S: Store> Attempt<S> {
    /// Gives up on a delivery whose attempts all ended with their process.
    pub(super) async fn bury_crashed(mut self) -> Attempted {
        match self.common.context.store.fetch(&[self.position]).await {
            Err(error) => self.ended(store_failed(&error)),
            Ok(mut found) => {
                self.event = found.pop().map(HeldEvent::alone);
                self.ended(Outcome::Dead { reason: DeadReason::Crashed, error: CRASHED.to_owned() })
            }
        }
    }

    /// This attempt, ended so.
    pub(super) fn ended(&self, outcome: Outcome) -> Attempted {
        let Self { key, number, event, .. } = self;
        Attempted { key: *key, number: *number, outcome, event: event.clone(), took: Duration::ZERO }
    }

    pub(super) async fn attempt(&self, event: &TailEvent, connection: Option<&mut S::Connection>) -> Outcome {
        let Common { context, wired, lease } = &*self.common;
        let (entry, decoded) = match event.decode(&context.registry) {
            Ok((def, decoded)) => match wired.entry(def) {
                Some(entry) => (entry, decoded),
                None => return Outcome::Handled,
            },
            Err(Undeliverable { reason, error }) => return Outcome::Dead { reason: *reason, error: error.clone() },
        };
        if self.number > 1 {
            fault::point("retry.before");
        }
        // What is written in the handler's own transaction is marked there.
        if wired.options.once && connection.is_none() {
            match Box::pin(context.store.claim_once(lease, event.id(), self.position)).await {
                Err(error) => return store_failed(&error),
                Ok(OnceClaim::LeaseLost) => return Outcome::LeaseLost,
                Ok(OnceClaim::Done) => return Outcome::Handled,
                Ok(OnceClaim::Interrupted) => {
                    return Outcome::Dead { reason: DeadReason::Interrupted, error: INTERRUPTED.to_owned() };
                }
                Ok(OnceClaim::Fresh) => fault::point("once.claimed"),
            }
        }
        fault::point("deliver.before");
        let connection = connection.map(|connection| connection as &mut (dyn Any + Send));
        let about = Call { event: &**decoded, meta: &event.envelope.meta, attempt: self.number };
        let result = call(&about, wired, entry, connection).await;
        fault::point("deliver.after");
        outcome(result)
    }

    /// From the log taking the event to now, by the clocks of the database and of this process.
    fn since_commit_us(&self, meta: &EventMeta) -> Option<i64> {
        meta.recorded_at.and_then(|at| (self.common.context.clock.now() - at).num_microseconds())
    }

    /// Tells the log what came of it.
    pub(super) fn report(&self, attempted: &Attempted) {
        let Some(event) = &attempted.event else { return };
        let (handler, meta, attempt) = (&*self.common.wired.name, &event.envelope.meta, self.number);
        let elapsed_us = u64::try_from(attempted.took.as_micros()).unwrap_or(u64::MAX);
        match &attempted.outcome {
            Outcome::Handled => tracing::debug!(target: LOG, handler, event = %meta.name,
                event_id = %meta.id, aggregate_id = %meta.aggregate_id, attempt, elapsed_us,
                since_commit_us = self.since_commit_us(meta), "handled"),
            Outcome::Failed { verdict: Verdict::Discard, error } => tracing::info!(target: LOG,
                handler, event = %meta.name, event_id = %meta.id, attempt, reason = %error, "discarded by its handler"),
            Outcome::Failed { error, .. } => tracing::warn!(target: LOG, handler,
                event = %meta.name, event_id = %meta.id, aggregate_id = %meta.aggregate_id, attempt, %error, "failed"),
            Outcome::StoreFailed { error } => {
                tracing::warn!(target: LOG, handler, %error, "the store failed");
            }
            Outcome::Dead { .. } | Outcome::CutOff | Outcome::LeaseLost => {}
        }
    }
}

pub(super) fn store_failed(error: &Error) -> Outcome {
    Outcome::StoreFailed { error: error.to_string() }
}
