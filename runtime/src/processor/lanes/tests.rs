//! The corners of the lanes that no flow from outside comes by for certain.

use super::*;
use crate::event::{AggregateId, Envelope, EventMeta};

fn event(position: i64) -> HeldEvent {
    event_of("c1", position)
}

fn event_of(aggregate: &str, position: i64) -> HeldEvent {
    let id = AggregateId::from(aggregate);
    let mut meta = EventMeta::new(EventId::generate(), "CardAdded", 1, "Card", id, DateTime::UNIX_EPOCH);
    meta.position = Some(position);
    HeldEvent::alone(Envelope::new(meta, b"{}".to_vec()))
}

#[test]
fn nothing_is_parked_behind_what_is_not() {
    let now = DateTime::UNIX_EPOCH;
    let mut lanes = Lanes::default();
    for position in [1, 2] {
        lanes.admit(event(position), position, position.unsigned_abs(), true, now);
    }
    let job = lanes.start().expect("the first one can be tried");
    lanes.arm(job.key, 1, now);
    lanes.repeat(job.key, true, now);
    // Parked alone, it would come before the second one when the parked ones are read again.
    let changes = lanes.admit(event(3), 3, 3, true, now);
    assert!(changes.parked.is_empty(), "{:?}", changes.parked);
    assert!(changes.tickets.is_empty());
}

#[test]
fn a_crash_is_not_forgotten_because_the_store_fails_afterwards() {
    let now = DateTime::UNIX_EPOCH;
    let mut lanes = Lanes::default();
    let event = event(1);
    lanes.restore(event.key, Parked { state: ParkedState::Running, attempts: 3, ..waiting(&event, 1, now) });
    let job = lanes.start().expect("it can be buried");
    lanes.repeat(job.key, false, now);
    lanes.wake(now);
    let job = lanes.start().expect("it can be buried");
    assert_eq!((job.attempts, job.crashed), (3, true));
}

#[test]
fn several_are_first_the_first_of_each_lane_and_each_lane_in_order() {
    let now = DateTime::UNIX_EPOCH;
    let lanes = || {
        let mut lanes = Lanes::default();
        for (position, aggregate) in [(1, "a"), (2, "a"), (3, "b"), (4, "a"), (5, "c"), (6, "b")] {
            lanes.admit(event_of(aggregate, position), position, position.unsigned_abs(), true, now);
        }
        lanes
    };
    let started = |lanes: &mut Lanes, most: usize| {
        let first = lanes.start().expect("something is ready");
        let jobs = lanes.start_with(first, most);
        jobs.iter().map(|job| job.position).collect::<Vec<_>>()
    };
    assert_eq!(started(&mut lanes(), 9), [1, 3, 5, 2, 6, 4]);
    let mut some = lanes();
    assert_eq!(started(&mut some, 2), [1, 3]);
    let left = some.start().expect("`c` is still ready");
    assert_eq!(left.position, 5);
    assert!(some.start().is_none(), "`a` and `b` run");
    some.settle(left.key);
    some.give_back(event_of("b", 3).key);
    assert_eq!(started(&mut some, 9), [3, 6], "what was given back comes first");
}

#[test]
fn nothing_that_has_failed_before_goes_with_others() {
    let now = DateTime::UNIX_EPOCH;
    let mut lanes = Lanes::default();
    for (position, aggregate) in [(1, "a"), (2, "b"), (3, "b"), (4, "c")] {
        lanes.admit(event_of(aggregate, position), position, position.unsigned_abs(), true, now);
    }
    let first = lanes.start().expect("`a` is ready");
    let failed = lanes.start().expect("`b` is ready");
    lanes.retry(failed.key, 1, now, "no".to_owned());
    lanes.wake(now);
    let jobs = lanes.start_with(first, 9);
    assert_eq!(jobs.iter().map(|job| job.position).collect::<Vec<_>>(), [1, 4]);
    let again = lanes.start().expect("`b` is ready");
    assert_eq!((again.position, again.attempts), (2, 1));
}
