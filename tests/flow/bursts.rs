//! Handlers that answer at once are called one after the other, and one that has to wait holds up nobody else.

use std::sync::{Arc, atomic::Ordering};

use domain_events::{DomainEvents, MemoryStore, handler, prelude::*};

use crate::{
    hall::{self, CARDS, CONCURRENCY, EVENTS, Hall, Opens, check, curator},
    library::{Diary, LIMIT, add, on, until},
};

/// A backlog, in which the first `special` cards have an event that does not go on.
async fn backlog(hall: &Arc<Hall>, special: usize, how: &str) -> DomainEvents {
    let services = Services::new().with::<Hall>(Arc::clone(hall));
    // Nobody is held up by the bound on what is read behind a delivery that does not end: all of it may be.
    let events =
        on(MemoryStore::new(), &Diary::new(), &[handler!(hall::quick)]).services(services).batch(CARDS * EVENTS);
    let events = events.build().unwrap();
    for number in 0..EVENTS {
        for card in 0..CARDS {
            add(&events, &format!("c{card}"), &[&curator(card, number, special, how)]).await;
        }
    }
    events
}

/// The others get through, then all of them.
async fn others_get_through(special: usize, how: &str, held: bool) {
    let hall = Hall::new();
    let events = backlog(&hall, special, how).await;
    let _opens = Opens(&hall);
    let running = events.processor().start().await.unwrap();
    hall::others_get_through(&hall, special, held).await;
    domain_events::testkit::wait_until_settled(&events, LIMIT).await;
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
    let events = backlog(&hall, special, "waits").await;
    let running = events.processor().start().await.unwrap();
    until("as many as may run wait", || hall.inside.load(Ordering::SeqCst) == CONCURRENCY).await;
    hall.open();
    domain_events::testkit::wait_until_settled(&events, LIMIT).await;
    running.shutdown().await.unwrap();
    check(&hall, special, "waits");
}
