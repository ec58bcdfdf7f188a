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
    time::Duration,
};

use super::{Attempted, Making, together::Together};
use crate::handler::Outcome;

/// How long a burst should take: what is in it waits as long, and has one thread.
pub(crate) const BURST: Duration = Duration::from_micros(500);

/// What came of a burst.
pub(super) struct Made<E> {
    pub(super) attempts: Vec<Attempted<E>>,
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
    let mut attempts = Vec::with_capacity(together.about(VecDeque::len));
    let Some(first) = together.next() else { return Made { attempts, waits: None } };
    let (mut key, mut number) = (first.key(), first.number());
    // Each is made where the one before it was: what it needs is too large to be allocated for each.
    let mut rest = Box::pin(first.make());
    let mut took = Duration::ZERO;
    while let Poll::Ready(attempted) = poll_fn(|cx| Poll::Ready(rest.as_mut().poll(cx))).await {
        if !matches!(attempted.outcome, Outcome::Handled) {
            together.leave_lane(key);
        }
        took += attempted.took;
        attempts.push(attempted);
        if took >= BURST {
            return Made { attempts, waits: None };
        }
        let Some(next) = together.next() else { return Made { attempts, waits: None } };
        (key, number) = (next.key(), next.number());
        rest.set(next.make());
    }
    Made { attempts, waits: Some(Waits { key, number, rest }) }
}
