//! Deliveries of a transactional handler that share a transaction: what they write, and the marks that they did, commit
//! together.
//!
//! Each has a savepoint, so that one that fails takes back its own writes and no other's, and every attempt is one call of
//! the handler. A delivery that is alone needs none: its transaction is rolled back whole.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use super::delivery::{Attempt, Attempted, store_failed};
use crate::{
    error::{Error, ErrorKind, Result},
    event::EventId,
    fault,
    handler::{Outcome, Together, Verdict, guarded, passed_over},
    store::{Store, record::Lease},
};

/// How long the store may take to undo an attempt. One that was cut off can have left a statement behind that still
/// waits for a lock: then the transaction is given up.
const UNDONE_WITHIN: Duration = Duration::from_secs(1);

/// Deliveries that share a transaction.
pub(super) struct Batch<'a, S>(pub(super) &'a Together<Attempt<S>>);

impl<S: Store> Batch<'_, S> {
    /// Makes them, until one takes long or nothing is left.
    pub(super) async fn make(&self, store: &S) -> Vec<Attempted> {
        let Some((lease, events)) = self.about() else { return Vec::new() };
        let mut transaction = match store.begin().await {
            Ok(transaction) => transaction,
            Err(error) => return self.refuse_all(&error),
        };
        let handled = match store.handled(S::connection(&mut transaction), &lease, &events).await {
            Ok(Some(handled)) => handled,
            Ok(None) => return self.0.next().map(|attempt| attempt.ended(Outcome::LeaseLost)).into_iter().collect(),
            Err(error) => return self.refuse_all(&error),
        };
        let mut made = Made { store, lease, ended: Vec::new(), fresh: Vec::new() };
        match self.make_in(&mut transaction, &handled, events.len() > 1, &mut made).await {
            Err(error) => made.lose(&error),
            Ok(()) if made.fresh.is_empty() => roll_back(store, transaction).await,
            Ok(()) => made.commit(transaction).await,
        }
        for (attempt, attempted) in &made.ended {
            attempt.report(attempted);
        }
        made.ended.into_iter().map(|(_, attempted)| attempted).collect()
    }

    /// The lease all of them are made under, and their events.
    fn about(&self) -> Option<(Lease, Vec<EventId>)> {
        self.0.about(|attempts| {
            let lease = attempts.front()?.common.lease.clone();
            let events = attempts.iter().filter_map(|attempt| attempt.event.as_ref()).map(|event| event.id());
            Some((lease, events.collect()))
        })
    }

    /// An error is one of the transaction: nothing of it is kept.
    async fn make_in(
        &self,
        transaction: &mut S::Transaction,
        handled: &[EventId],
        shared: bool,
        made: &mut Made<'_, S>,
    ) -> Result<()> {
        let store = made.store;
        let since = Instant::now();
        if shared {
            store.savepoint(S::connection(transaction), false).await?;
        }
        while let Some(attempt) = self.0.next() {
            let Some(event) = attempt.event.clone() else { continue };
            let begun = Instant::now();
            if handled.contains(&event.id()) {
                made.end(attempt, Outcome::Handled, begun);
                continue;
            }
            let shared_for = attempt.common.context.config.share_transactions;
            let mut outcome = guarded(attempt.attempt(&event, Some(S::connection(transaction)))).await;
            if shared && matches!(outcome, Outcome::Handled) {
                outcome = match store.savepoint(S::connection(transaction), true).await {
                    Ok(()) => Outcome::Handled,
                    Err(error) if error.kind() == ErrorKind::Aborted => passed_over_error(&error),
                    Err(error) => {
                        made.end(attempt, store_failed(&error), begun);
                        return Err(error);
                    }
                };
            }
            let (key, is_handled) = (attempt.key, matches!(outcome, Outcome::Handled));
            made.end(attempt, outcome, begun);
            if is_handled {
                made.fresh.push(made.ended.len() - 1);
                if made.fresh.len() > 1 {
                    fault::point("transaction.shared");
                }
            } else {
                self.0.leave_lane(key);
                if shared {
                    in_time(store.undo(S::connection(transaction))).await?;
                }
            }
            if since.elapsed() >= shared_for {
                break;
            }
        }
        Ok(())
    }

    /// None of them could be made.
    fn refuse_all(&self, error: &Error) -> Vec<Attempted> {
        std::iter::from_fn(|| self.0.next()).map(|attempt| attempt.ended(store_failed(error))).collect()
    }
}

/// What was made of a batch so far.
struct Made<'a, S: Store> {
    store: &'a S,
    lease: Lease,
    ended: Vec<(Attempt<S>, Attempted)>,
    /// Those of them whose writes are in the transaction.
    fresh: Vec<usize>,
}

impl<S: Store> Made<'_, S> {
    fn end(&mut self, attempt: Attempt<S>, outcome: Outcome, begun: Instant) {
        let attempted = Attempted { took: begun.elapsed(), ..attempt.ended(outcome) };
        self.ended.push((attempt, attempted));
    }

    async fn commit(&mut self, mut transaction: S::Transaction) {
        let marks: Vec<_> = self
            .fresh
            .iter()
            .filter_map(|index| self.ended.get(*index))
            .filter_map(|(attempt, _)| Some((attempt.event.as_ref()?.id(), attempt.position)))
            .collect();
        // Last: where a statement failed and nobody was told, the database says so now, and would not at the commit.
        match self.store.mark_handled(S::connection(&mut transaction), &self.lease, &marks).await {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::Aborted => {
                self.decide(|| passed_over_error(&error));
                return roll_back(self.store, transaction).await;
            }
            Err(error) => return self.lose(&error),
        }
        fault::point("transaction.before_commit");
        let committed = self.store.commit(transaction).await;
        fault::point("transaction.after_commit");
        if let Err(error) = committed {
            // Whether it committed is not known: the next attempt finds the marks, or not.
            self.lose(&error);
        }
    }

    /// What was written is not kept, through no fault of the handler's.
    fn lose(&mut self, error: &Error) {
        self.decide(|| store_failed(error));
    }

    fn decide(&mut self, outcome: impl Fn() -> Outcome) {
        for index in self.fresh.drain(..) {
            if let Some((_, attempted)) = self.ended.get_mut(index) {
                attempted.outcome = outcome();
            }
        }
    }
}

fn passed_over_error(error: &Error) -> Outcome {
    Outcome::Failed { verdict: Verdict::Retry, error: passed_over(error).to_string() }
}

/// The handler's error is the one to tell; dropping the transaction rolls back as well.
async fn roll_back<S: Store>(store: &S, transaction: S::Transaction) {
    let _ = in_time(store.rollback(transaction)).await;
}

async fn in_time(undoing: impl Future<Output = Result<()>>) -> Result<()> {
    tokio::time::timeout(UNDONE_WITHIN, undoing).await.unwrap_or_else(|_| {
        let message = "an attempt could not be undone, since its last statement goes on; the transaction is given up, and \
                       what it held besides is done again";
        Err(Error::new(ErrorKind::Unavailable, message))
    })
}
