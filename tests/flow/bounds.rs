//! What keeps memory and the log within bounds, however much there is to do and however long it goes wrong.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use domain_events::{
    Clock, MemoryStore, SqliteStore, handler,
    prelude::*,
    store::{Store, record::Position},
};
use tokio::sync::Semaphore;

use crate::library::{CardAddedToLibraryEvent, Diary, LIMIT, add, on, settle, until};

const CARDS: usize = 40;

async fn add_cards<S: Store>(events: &domain_events::DomainEvents<S>) {
    for card in 0..CARDS {
        add(events, &format!("c{card}"), &["alice"]).await;
    }
}

#[tokio::test]
async fn a_handler_that_fails_for_everything_stops_at_the_limit_and_goes_on_when_it_is_mended() {
    let hour = Duration::from_secs(3600);
    let diary = Diary::with_rule(move |line, _| match line.starts_with("index") {
        true => Err(HandlerError::retry_after(hour, "the index is away")),
        false => Ok(()),
    });
    let clock = Clock::manual(chrono::Utc::now());
    let handlers = [handler!(crate::library::index), handler!(crate::library::notify)];
    let builder = on(MemoryStore::new(), &diary, &handlers).clock(clock.clone()).parked_limit(8).batch(4);
    let events = builder.build().unwrap();
    add_cards(&events).await;
    let running = events.processor().start().await.unwrap();
    until("the other handler is through", || diary.of("notify").len() == CARDS).await;
    until("the limit is reached", || diary.of("index").len() >= 8).await;
    // More events, so that it is asked whether to read on.
    for card in 0..CARDS {
        add(&events, &format!("d{card}"), &["alice"]).await;
    }
    until("the other handler is through again", || diary.of("notify").len() == 2 * CARDS).await;
    let tried = diary.of("index").len();
    assert!((8..=12).contains(&tried), "the limit of 8 and a batch of 4, but {tried} deliveries were tried");
    diary.set_rule(|_, _| Ok(()));
    clock.advance(hour * 2);
    until("all is made up for", || diary.of("index").len() == 2 * CARDS + tried).await;
    running.shutdown().await.unwrap();
}

/// A handler's way out.
struct Gate {
    inside: AtomicUsize,
    permits: Semaphore,
}

#[event_handler(CardAddedToLibraryEvent, group = "bounds", timeout = "10m")]
async fn slow(_: &CardAddedToLibraryEvent, gate: Service<Gate>) {
    gate.inside.fetch_add(1, Ordering::SeqCst);
    drop(gate.permits.acquire().await);
}

#[tokio::test]
async fn a_slow_handler_has_no_more_in_hand_than_a_batch() {
    let gate = Arc::new(Gate { inside: AtomicUsize::new(0), permits: Semaphore::new(0) });
    let diary = Diary::new();
    let services = Services::new().with::<Gate>(Arc::clone(&gate)).with::<Diary>(Arc::clone(&diary));
    let handlers = [handler!(slow), handler!(crate::library::notify)];
    // Fewer than the 16 that may run at a time.
    let events = on(MemoryStore::new(), &diary, &handlers).services(services).batch(4).build().unwrap();
    add_cards(&events).await;
    let running = events.processor().start().await.unwrap();
    until("the other handler is through", || diary.of("notify").len() == CARDS).await;
    until("its hands are full", || gate.inside.load(Ordering::SeqCst) >= 4).await;
    assert_eq!(gate.inside.load(Ordering::SeqCst), 4);
    gate.permits.close();
    until("it goes on", || gate.inside.load(Ordering::SeqCst) == CARDS).await;
    running.shutdown().await.unwrap();
}

#[tokio::test]
async fn the_processor_removes_what_is_old_and_handled() {
    swept(MemoryStore::new()).await;
    swept(SqliteStore::in_memory().await.unwrap()).await;
}

async fn swept<S: Store>(store: S) {
    let diary = Diary::with_rule(|line, _| match line {
        "index c7 alice" => Err(HandlerError::permanent("broken")),
        _ => Ok(()),
    });
    let clock = Clock::manual(chrono::Utc::now());
    let (day, handlers) = (Duration::from_secs(24 * 3600), [handler!(crate::library::index)]);
    let builder = on(store, &diary, &handlers).clock(clock.clone()).retain(day).sweep(Duration::from_millis(1));
    let events = builder.build().unwrap();
    add_cards(&events).await;
    assert_eq!(settle(&events).await.len(), 1);
    let kept = async || events.store().read(&Position::BEGINNING, 2 * CARDS).await.unwrap().events.len();
    assert_eq!(kept().await, CARDS, "they are young");
    clock.advance(day * 2);
    let running = events.processor().start().await.unwrap();
    let begun = std::time::Instant::now();
    while kept().await > 1 {
        assert!(begun.elapsed() < LIMIT, "{} events are still there", kept().await);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    running.shutdown().await.unwrap();
    assert_eq!(kept().await, 1, "a dead letter keeps its event");
}
