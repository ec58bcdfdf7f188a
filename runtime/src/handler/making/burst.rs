//! Deliveries of a handler that answers at once, made one after the other in one task: a task for each would cost more
//! than the handler does.
//!
//! One that has to wait ends the burst, and goes on in a task of its own: nobody waits for it. One that blocks its thread,
//! against the rules of async code, holds up those that were made before it in the same burst; the rest is taken back.

use std::{
    collections::VecDeque,
    future::{Future, poll_fn},
    pin::Pin,
    task::Poll,
    time::{Duration, Instant},
};

use super::{Attempted, Making, together::Together};
use crate::handler::Outcome;

/// How long a burst should take: what is in it waits as long, and has one thread.
pub(crate) const BURST: Duration = Duration::from_micros(500);

/// After the first few deliveries, the clock is looked at after so many.
const LOOK_EVERY: usize = 8;

/// What came of a burst.
pub(super) struct Made<E> {
    pub(super) attempts: Vec<Attempted<E>>,
    pub(super) took: Duration,
    pub(super) waits: Option<Waits<E>>,
}

/// A delivery that was begun, and has to wait.
pub(super) struct Waits<E> {
    pub(super) key: u64,
    pub(super) number: u32,
    pub(super) rest: Pin<Box<dyn Future<Output = Attempted<E>> + Send>>,
}

/// Makes them, until one has to wait, or they have taken long, or nothing is left.
pub(super) async fn make<A: Making>(together: &Together<A>) -> Made<A::Event> {
    let begun = Instant::now();
    let mut attempts = Vec::with_capacity(together.about(VecDeque::len));
    let Some(first) = together.next() else { return Made { attempts, took: Duration::ZERO, waits: None } };
    let (mut key, mut number) = (first.key(), first.number());
    // Each is made where the one before it was: what it needs is too large to be allocated for each.
    let mut rest = Box::pin(first.make(false));
    while let Poll::Ready(attempted) = poll_fn(|cx| Poll::Ready(rest.as_mut().poll(cx))).await {
        if !matches!(attempted.outcome, Outcome::Handled) {
            together.leave_lane(key);
        }
        attempts.push(attempted);
        if is_long(begun, attempts.len()) {
            return Made { attempts, took: begun.elapsed(), waits: None };
        }
        let Some(next) = together.next() else { return Made { attempts, took: begun.elapsed(), waits: None } };
        (key, number) = (next.key(), next.number());
        rest.set(next.make(false));
    }
    Made { attempts, took: begun.elapsed(), waits: Some(Waits { key, number, rest }) }
}

/// Whether a burst with so many deliveries has taken long enough, as far as is looked.
fn is_long(begun: Instant, made: usize) -> bool {
    (made.is_power_of_two() || made.is_multiple_of(LOOK_EVERY)) && begun.elapsed() >= BURST
}
