//! The corners of the lanes that no flow from outside comes by for certain.

use super::*;
use crate::event::{AggregateId, Envelope, EventMeta};

fn event(position: i64) -> Arc<TailEvent> {
    let id = AggregateId::from("c1");
    let mut meta = EventMeta::new(EventId::generate(), "CardAdded", 1, "Card", id, DateTime::UNIX_EPOCH);
    meta.position = Some(position);
    TailEvent::new(Envelope::new(meta, b"{}".to_vec()))
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
