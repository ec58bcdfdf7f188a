//! One attempt at one delivery: decode, mark where the handler asks for it, call, commit.

use std::{any::Any, sync::Arc, time::Instant};

use super::{Context, tail::TailEvent};
use crate::{
    error::Error,
    event::{AnyEvent, EventMeta},
    fault,
    handler::{Call, Entry, HandlerError, Outcome, Undeliverable, Verdict, Wired, call, guarded, outcome},
    store::{
        Store,
        record::{DeadReason, Lease, Marked, OnceClaim},
    },
};

/// What an attempt needs to know.
pub(super) struct Attempt<S> {
    pub(super) context: Arc<Context<S>>,
    pub(super) wired: Arc<Wired>,
    pub(super) lease: Lease,
    /// The event; `None` where it was parked and is still in the log.
    pub(super) event: Option<Arc<TailEvent>>,
    pub(super) position: i64,
    /// From 1.
    pub(super) number: u32,
}

/// How an attempt ended, and what it was about.
pub(super) struct Attempted {
    pub(super) outcome: Outcome,
    /// The event, if it was found.
    pub(super) event: Option<Arc<TailEvent>>,
}

impl<S: Store> Attempt<S> {
    pub(super) async fn make(self) -> Attempted {
        let event = match &self.event {
            Some(event) => Arc::clone(event),
            None => match self.context.store.fetch(&[self.position]).await {
                Err(error) => return Attempted { outcome: store_failed(&error), event: None },
                Ok(mut found) => match found.pop() {
                    Some(envelope) => TailEvent::new(envelope),
                    None => {
                        tracing::error!(handler = %self.wired.name, position = self.position,
                            "a parked event is gone from the log; its delivery is given up");
                        return Attempted { outcome: Outcome::Handled, event: None };
                    }
                },
            },
        };
        let started = Instant::now();
        let outcome = guarded(self.attempt(&event)).await;
        self.report(&event, &outcome, started);
        Attempted { outcome, event: Some(event) }
    }

    /// Gives up on a delivery whose attempts all ended with their process.
    pub(super) async fn bury_crashed(self) -> Attempted {
        let outcome = |error| Outcome::Dead { reason: DeadReason::Crashed, error };
        match self.context.store.fetch(&[self.position]).await {
            Err(error) => Attempted { outcome: store_failed(&error), event: None },
            Ok(mut found) => {
                let error = "each of its attempts ended with its process: it aborted, ran out of memory or was killed";
                Attempted { outcome: outcome(error.to_owned()), event: found.pop().map(TailEvent::new) }
            }
        }
    }

    async fn attempt(&self, event: &TailEvent) -> Outcome {
        let (entry, decoded) = match event.decode(&self.context.registry) {
            Ok((def, decoded)) => match self.wired.entry(def) {
                Some(entry) => (entry, decoded),
                None => return Outcome::Handled,
            },
            Err(Undeliverable { reason, error }) => return Outcome::Dead { reason: *reason, error: error.clone() },
        };
        if self.number > 1 {
            fault::point("retry.before");
        }
        if self.wired.transactional {
            return self.in_transaction(event, entry, decoded).await;
        }
        if self.wired.options.once {
            match self.context.store.claim_once(&self.lease, event.envelope.meta.id, self.position).await {
                Err(error) => return store_failed(&error),
                Ok(OnceClaim::LeaseLost) => return Outcome::LeaseLost,
                Ok(OnceClaim::Done) => return Outcome::Handled,
                Ok(OnceClaim::Interrupted) => {
                    let error = "an attempt was begun and its process ended; this handler runs `once`, so whether the \
                                 effect happened is for a person to find out: then redrive or discard";
                    return Outcome::Dead { reason: DeadReason::Interrupted, error: error.to_owned() };
                }
                Ok(OnceClaim::Fresh) => fault::point("once.claimed"),
            }
        }
        fault::point("deliver.before");
        let result = self.call(event, entry, decoded, None).await;
        fault::point("deliver.after");
        outcome(result)
    }

    /// The handler's writes, and the mark that it made them, commit together.
    async fn in_transaction(&self, event: &TailEvent, entry: &Entry, decoded: &Arc<AnyEvent>) -> Outcome {
        let store = &self.context.store;
        let mut transaction = match store.begin().await {
            Ok(transaction) => transaction,
            Err(error) => return store_failed(&error),
        };
        let id = event.envelope.meta.id;
        let connection = S::connection(&mut transaction);
        match store.mark_handled(connection, &self.lease, id, self.position).await {
            Err(error) => return store_failed(&error),
            Ok(Marked::LeaseLost) => return Outcome::LeaseLost,
            Ok(Marked::Done) => return Outcome::Handled,
            Ok(Marked::Fresh) => {}
        }
        fault::point("deliver.before");
        let connection = S::connection(&mut transaction);
        let result = self.call(event, entry, decoded, Some(connection)).await;
        fault::point("deliver.after");
        if result.is_err() {
            // The handler's error is the one to tell; dropping the transaction rolls back as well.
            let _ = store.rollback(transaction).await;
            return outcome(result);
        }
        fault::point("transaction.before_commit");
        let committed = store.commit(transaction).await;
        fault::point("transaction.after_commit");
        match committed {
            Ok(()) => Outcome::Handled,
            // Whether it committed is not known: the next attempt finds the mark, or not.
            Err(error) => store_failed(&error),
        }
    }

    async fn call(
        &self,
        event: &TailEvent,
        entry: &Entry,
        decoded: &Arc<AnyEvent>,
        transaction: Option<&mut (dyn Any + Send)>,
    ) -> Result<(), HandlerError> {
        let about = Call { event: &**decoded, meta: &event.envelope.meta, attempt: self.number };
        call(&about, &self.wired, entry, transaction).await
    }

    /// From the log taking the event to now, by the clocks of the database and of this process.
    fn since_commit_us(&self, meta: &EventMeta) -> Option<i64> {
        meta.recorded_at.and_then(|at| (self.context.clock.now() - at).num_microseconds())
    }

    fn report(&self, event: &TailEvent, outcome: &Outcome, started: Instant) {
        let (handler, meta, attempt) = (&*self.wired.name, &event.envelope.meta, self.number);
        let elapsed_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        match outcome {
            Outcome::Handled => tracing::debug!(target: "domain_events::delivery", handler, event = %meta.name,
                event_id = %meta.id, aggregate_id = %meta.aggregate_id, attempt, elapsed_us,
                since_commit_us = self.since_commit_us(meta), "handled"),
            Outcome::Failed { verdict: Verdict::Discard, error } => tracing::info!(target: "domain_events::delivery",
                handler, event = %meta.name, event_id = %meta.id, attempt, reason = %error, "discarded by its handler"),
            Outcome::Failed { error, .. } => tracing::warn!(target: "domain_events::delivery", handler,
                event = %meta.name, event_id = %meta.id, aggregate_id = %meta.aggregate_id, attempt, %error, "failed"),
            Outcome::StoreFailed { error } => {
                tracing::warn!(target: "domain_events::delivery", handler, %error, "the store failed");
            }
            Outcome::Dead { .. } | Outcome::CutOff | Outcome::LeaseLost => {}
        }
    }
}

fn store_failed(error: &Error) -> Outcome {
    Outcome::StoreFailed { error: error.to_string() }
}
