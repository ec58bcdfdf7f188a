//! What follows an attempt: the one place that knows when a delivery is repeated, and when it is given up on.

use std::time::Duration;

use super::{HandlerOptions, Verdict};
use crate::event::DeadReason;

/// How an attempt ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The handler did it, or had done it before, or said that nothing is to be done.
    Handled,
    /// The handler failed.
    Failed { verdict: Verdict, error: String },
    /// It can't be handled, whatever the handler says.
    Dead { reason: DeadReason, error: String },
    /// The store failed, so the handler was not called, or its work was rolled back: not the handler's fault.
    StoreFailed { error: String },
    /// The grace time of a shutdown ended first.
    CutOff,
    /// Another node holds the subscription now.
    LeaseLost,
}

/// What a dead letter says whose attempts all ended with their process.
pub(crate) const CRASHED: &str =
    "each of its attempts ended with its process: it aborted, ran out of memory or was killed";

/// What one says of which nobody knows whether its effect happened.
pub(crate) const INTERRUPTED: &str = "an attempt was begun and its process ended; this handler runs `once`, so whether the \
                                      effect happened is for a person to find out: then redrive or discard";

/// What to do with the delivery.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Settle,
    /// Again, and the attempt counts.
    Retry {
        wait: Duration,
        error: String,
    },
    /// Again, as if it had not been tried.
    Repeat,
    Bury {
        reason: DeadReason,
        error: String,
    },
    Leave,
}

/// Decides, after `attempts` attempts that count (this one included).
pub(crate) fn next(outcome: Outcome, attempts: u32, options: &HandlerOptions) -> Next {
    match outcome {
        Outcome::Handled => Next::Settle,
        Outcome::LeaseLost => Next::Leave,
        Outcome::StoreFailed { .. } | Outcome::CutOff => Next::Repeat,
        Outcome::Dead { reason, error } => Next::Bury { reason, error },
        Outcome::Failed { verdict: Verdict::Discard, .. } => Next::Settle,
        Outcome::Failed { verdict: Verdict::Permanent, error } => Next::Bury { reason: DeadReason::Permanent, error },
        Outcome::Failed { error, .. } if attempts >= options.max_attempts => {
            Next::Bury { reason: DeadReason::AttemptsUsedUp, error }
        }
        Outcome::Failed { verdict: Verdict::RetryAfter(wait), error } => Next::Retry { wait, error },
        Outcome::Failed { verdict: Verdict::Retry, error } => {
            Next::Retry { wait: options.backoff.jittered(attempts), error }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: HandlerOptions = HandlerOptions::DEFAULT.max_attempts(3);

    fn failed(verdict: Verdict) -> Outcome {
        Outcome::Failed { verdict, error: "no".to_owned() }
    }

    #[test]
    fn the_last_attempt_makes_a_dead_letter() {
        assert!(matches!(next(failed(Verdict::Retry), 2, &OPTIONS), Next::Retry { .. }));
        let buried = next(failed(Verdict::Retry), 3, &OPTIONS);
        assert_eq!(buried, Next::Bury { reason: DeadReason::AttemptsUsedUp, error: "no".to_owned() });
        let later = failed(Verdict::RetryAfter(Duration::from_secs(9)));
        assert!(matches!(next(later, 3, &OPTIONS), Next::Bury { .. }));
    }

    #[test]
    fn permanent_is_dead_at_once_and_discard_is_done() {
        let buried = next(failed(Verdict::Permanent), 1, &OPTIONS);
        assert_eq!(buried, Next::Bury { reason: DeadReason::Permanent, error: "no".to_owned() });
        assert_eq!(next(failed(Verdict::Discard), 1, &OPTIONS), Next::Settle);
    }

    #[test]
    fn a_failing_store_and_a_shutdown_cost_no_attempt() {
        let failed = Outcome::StoreFailed { error: "away".to_owned() };
        assert_eq!(next(failed, 3, &OPTIONS), Next::Repeat);
        assert_eq!(next(Outcome::CutOff, 3, &OPTIONS), Next::Repeat);
    }
}
