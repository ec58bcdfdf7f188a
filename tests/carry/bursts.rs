//! What comes from a broker is made in bursts too, where a handler answers at once; one that has to wait holds up nobody else.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use domain_events::{DomainEvents, MemoryStore, handler, prelude::*, transport::MemoryTransport};

use crate::{
    hall::{self, CARDS, CONCURRENCY, EVENTS, Hall, Opens, check, curator},
    library::{Diary, LIMIT, add, on, until},
    stage::{consumer, published, publisher, relay},
};

/// A backlog on a broker, in which the first `special` cards have an event that does not go on.
async fn backlog(special: usize, how: &str) -> MemoryTransport {
    let (broker, events) = (MemoryTransport::new(), publisher());
    for number in 0..EVENTS {
        for card in 0..CARDS {
            add(&events, &format!("c{card}"), &[&curator(card, number, special, how)]).await;
        }
    }
    let relay = relay(&events, &broker).await;
    published(&events).await;
    relay.shutdown().await.unwrap();
    broker
}

fn worker(hall: &Arc<Hall>) -> DomainEvents<MemoryStore> {
    worker_with(hall, LIMIT)
}

fn worker_with(hall: &Arc<Hall>, grace: Duration) -> DomainEvents<MemoryStore> {
    let services = Services::new().with::<Hall>(Arc::clone(hall));
    on(MemoryStore::new(), &Diary::new(), &[handler!(hall::quick)]).services(services).grace(grace).build().unwrap()
}

/// The others get through, then all of them.
async fn others_get_through(special: usize, how: &str, held: bool) {
    let hall = Hall::new();
    let (broker, events) = (backlog(special, how).await, worker(&hall));
    let _opens = Opens(&hall);
    // Nobody is held up by the bound on what is unsettled: all of it may be.
    let running = events.consumer(Arc::new(broker)).window(CARDS * EVENTS).start().unwrap();
    hall::others_get_through(&hall, special, held).await;
    until("all are through", || hall.through().len() == CARDS).await;
    running.shutdown().await.unwrap();
    check(&hall, special, how);
}

#[tokio::test]
async fn those_that_wait_hold_up_nobody_else() {
    let special = CONCURRENCY - 1;
    others_get_through(special, "waits", false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_that_blocks_its_thread_holds_up_those_only_that_were_made_before_it() {
    // Where it stands in its burst is chance.
    for _ in 0..8 {
        others_get_through(1, "blocks", true).await;
    }
}

#[tokio::test]
async fn those_that_wait_are_never_more_than_may_run_at_a_time() {
    let (hall, special) = (Hall::new(), 4 * CONCURRENCY);
    let (broker, events) = (backlog(special, "waits").await, worker(&hall));
    let running = consumer(&events, &broker);
    until("as many as may run wait", || hall.inside.load(Ordering::SeqCst) == CONCURRENCY).await;
    hall.open();
    until("all are through", || hall.through().len() == CARDS).await;
    running.shutdown().await.unwrap();
    check(&hall, special, "waits");
}

/// What is cut off, and what was to be made behind it, is left to the broker.
#[tokio::test]
async fn what_does_not_end_in_time_comes_again_with_all_that_was_behind_it() {
    let hall = Hall::new();
    let broker = backlog(1, "waits").await;
    let first = worker_with(&hall, Duration::from_millis(50));
    let running = consumer(&first, &broker);
    until("it is there", || hall.stuck() == 1).await;
    running.shutdown().await.unwrap();
    let again = Hall::new();
    again.open();
    let second = worker(&again);
    let running = consumer(&second, &broker);
    until("it comes again, and all behind it", || {
        again
            .done
            .lock()
            .unwrap()
            .get("c0")
            .is_some_and(|done| done.last() == Some(&curator(0, EVENTS - 1, 1, "waits")))
    })
    .await;
    running.shutdown().await.unwrap();
    let done = again.done.lock().unwrap();
    let missing: Vec<_> = (0..EVENTS)
        .map(|number| curator(0, number, 1, "waits"))
        .filter(|line| !done["c0"].contains(line) && !hall.done.lock().unwrap()["c0"].contains(line))
        .collect();
    assert_eq!(missing, [""; 0]);
}
