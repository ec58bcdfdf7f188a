//! One attempt at one delivery: decode, mark in the inbox where the handler asks for it, call, commit.

use std::{any::Any, sync::Arc, time::Duration};

use super::{Context, arrival::Arrival};
use crate::{
    error::{Error, ErrorKind},
    event::AnyEvent,
    fault,
    handler::{
        Attempted, Call, Entry, HandlerError, INTERRUPTED, LOG, Making, Outcome, Undeliverable, Verdict, Wired, call,
        decode, guarded, outcome, passed_over, timer,
    },
    store::{
        Store,
        record::{DeadReason, OnceClaim},
    },
};

/// What an attempt needs to know.
pub(super) struct Attempt<S> {
    pub(super) context: Arc<Context<S>>,
    pub(super) wired: Arc<Wired>,
    pub(super) arrival: Arc<Arrival>,
    /// Its queue.
    pub(super) key: u64,
    /// From 1.
    pub(super) number: u32,
    /// Whether it may have taken a process down.
    pub(super) is_suspect: bool,
}

impl<S: Store> Making for Attempt<S> {
    type Event = ();

    fn key(&self) -> u64 {
        self.key
    }

    fn number(&self) -> u32 {
        self.number
    }

    async fn make(self, timed: bool) -> Attempted<()> {
        let begun = timer(timed);
        let outcome = guarded(self.attempt()).await;
        let took = begun.map_or(Duration::ZERO, |begun| begun.elapsed());
        self.report(&outcome, took);
        Attempted { took, ..Attempted::unmade(self.key, self.number, outcome) }
    }
}

impl<S: Store> Attempt<S> {
    async fn attempt(&self) -> Outcome {
        // For each attempt anew: what one task has made and freed, no other has to wait for.
        let (entry, event) = match decode(&self.arrival.envelope, &self.context.registry) {
            Ok((def, event)) => match self.wired.entry(def) {
                Some(entry) => (entry, event),
                None => return Outcome::Handled,
            },
            Err(Undeliverable { reason, error }) => return Outcome::Dead { reason, error },
        };
        let event = &*event;
        let id = self.arrival.envelope.meta.id;
        // One that runs `once` leaves its mark anyway.
        if self.is_suspect
            && !self.wired.options.once
            && let Err(error) = self.context.store.begin_received(&self.wired.name, id, self.number).await
        {
            return store_failed(&error);
        }
        if self.wired.transactional {
            return self.in_transaction(entry, event).await;
        }
        if self.wired.options.once {
            match self.context.store.receive_once(&self.wired.name, id).await {
                Err(error) => return store_failed(&error),
                Ok(OnceClaim::Fresh) => {}
                Ok(OnceClaim::Done | OnceClaim::LeaseLost) => return Outcome::Handled,
                // A mark that this process could not take back: it knows that the attempt failed.
                Ok(OnceClaim::Interrupted) if self.number > 1 => {}
                Ok(OnceClaim::Interrupted) => {
                    return Outcome::Dead { reason: DeadReason::Interrupted, error: INTERRUPTED.to_owned() };
                }
            }
        }
        fault::point("consume.before");
        let result = self.call(entry, event, None).await;
        fault::point("consume.after");
        if result.is_err() && self.wired.options.once {
            // A failed attempt left no effect. If the mark stays, the next attempt knows better than it.
            let _ = self.context.store.forget_received(&self.wired.name, &[id]).await;
        }
        outcome(result)
    }

    /// The handler's writes, and the mark that it made them, commit together.
    async fn in_transaction(&self, entry: &Entry, event: &AnyEvent) -> Outcome {
        let store = &self.context.store;
        let mut transaction = match store.begin().await {
            Ok(transaction) => transaction,
            Err(error) => return store_failed(&error),
        };
        let id = self.arrival.envelope.meta.id;
        match store.receive_in(S::connection(&mut transaction), &self.wired.name, id).await {
            Err(error) => return store_failed(&error),
            Ok(false) => return Outcome::Handled,
            Ok(true) => {}
        }
        let result = self.call(entry, event, Some(S::connection(&mut transaction))).await;
        if result.is_err() {
            // The handler's error is the one to tell; dropping the transaction rolls back as well.
            let _ = store.rollback(transaction).await;
            return outcome(result);
        }
        // One that ignored a failed statement has written nothing, whatever it says.
        match store.append(S::connection(&mut transaction), &[]).await {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::Aborted => return outcome(Err(passed_over(&error))),
            Err(error) => return store_failed(&error),
        }
        fault::point("consume.before_commit");
        let committed = store.commit(transaction).await;
        fault::point("consume.after_commit");
        match committed {
            Ok(()) => Outcome::Handled,
            // Whether it committed is not known: the next attempt finds the mark, or not.
            Err(error) => store_failed(&error),
        }
    }

    async fn call(
        &self,
        entry: &Entry,
        event: &AnyEvent,
        transaction: Option<&mut (dyn Any + Send)>,
    ) -> Result<(), HandlerError> {
        let about = Call { event, meta: &self.arrival.envelope.meta, attempt: self.number };
        call(&about, &self.wired, entry, transaction).await
    }

    fn report(&self, outcome: &Outcome, took: Duration) {
        let (handler, meta, attempt) = (&*self.wired.name, &self.arrival.envelope.meta, self.number);
        let elapsed_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        match outcome {
            Outcome::Handled => tracing::debug!(target: LOG, handler, event = %meta.name,
                event_id = %meta.id, aggregate_id = %meta.aggregate_id, attempt, elapsed_us, "handled"),
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

fn store_failed(error: &Error) -> Outcome {
    Outcome::StoreFailed { error: error.to_string() }
}
