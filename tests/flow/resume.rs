//! What is taken up again: after a holder that left something unfinished, an action of a person, another number of
//! partitions.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use chrono::Utc;
use domain_events::{
    DomainEvents, Envelope, MemoryStore, SqliteStore, handler,
    handler::HandlerDef,
    prelude::*,
    store::{
        DeadLetterStore, Store, SubscriptionStore,
        record::{
            AggregateKey, Checkpoint, Claim, DeadLetter, DeadReason, NewSubscription, NodeId, Parked, ParkedState,
            StartAt, SubscriptionId,
        },
    },
    testkit,
};
use tokio::sync::Notify;

use crate::{
    halting::HaltingStore,
    library::{Card, CardAddedToLibraryEvent, Diary, LIMIT, add, on, settle, until},
};

#[event_handler(CardAddedToLibraryEvent, group = "resume", partitions = 4)]
async fn spread(event: &CardAddedToLibraryEvent, diary: Service<Diary>) {
    diary.write(format!("spread {}", event.card_id));
}

#[event_handler(CardAddedToLibraryEvent, group = "resume", on_dead = "park", max_attempts = 3, backoff = "5ms..20ms")]
async fn strict(event: &CardAddedToLibraryEvent, attempt: Attempt, diary: Service<Diary>) {
    diary.write(format!("strict {} {}", event.card_id, attempt.0));
}

/// Another node takes a subscription, made with this number of partitions.
async fn elsewhere<S: Store>(events: &DomainEvents<S>, handler: &str, partitions: u16, ttl: Duration) -> Claim {
    let id = SubscriptionId { handler: handler.into(), partition: 0 };
    let wanted = NewSubscription { id: id.clone(), partitions, aliases: Vec::new(), start: StartAt::Beginning };
    events.store().ensure(&[wanted]).await.unwrap();
    events.store().claim(&NodeId("elsewhere".into()), &id, ttl).await.unwrap().unwrap()
}

#[tokio::test]
async fn another_number_of_partitions_waits_for_the_old_holder_and_skips_nothing() {
    let diary = Diary::new();
    let builder = on(MemoryStore::new(), &diary, &[handler!(spread)]);
    let events = builder.lease(Duration::from_millis(300)).build().unwrap();
    // A process of the release before, with one partition, that is killed now.
    elsewhere(&events, "resume.spread", 1, Duration::from_millis(400)).await;
    let cards: Vec<_> = (0..16).map(|card| format!("c{card}")).collect();
    for card in &cards {
        add(&events, card, &["alice"]).await;
    }
    let running = events.processor().start().await.unwrap();
    until("every card was delivered", || diary.of("spread").len() >= cards.len()).await;
    testkit::wait_until_handled(&events, LIMIT).await;
    running.shutdown().await.unwrap();
    let (mut delivered, mut wanted) = (diary.of("spread"), cards);
    delivered.sort();
    wanted.sort();
    assert_eq!(delivered, wanted, "each card once");
}

/// What a holder leaves that ended while the first event was under way and the second had failed already: the position
/// lies before both, and the second is parked.
async fn left_behind(events: &DomainEvents, state: ParkedState) -> Envelope {
    add(events, "c1", &["alice"]).await;
    add(events, "c2", &["alice"]).await;
    let failed = testkit::recorded_envelopes(events).await.swap_remove(1);
    let lease = elsewhere(events, "resume.strict", 1, Duration::from_secs(60)).await.lease;
    let mut checkpoint = Checkpoint::new(lease.clone());
    checkpoint.parked.push(Parked {
        aggregate: AggregateKey::from(&failed.meta),
        position: failed.meta.position.unwrap(),
        event: failed.meta.id,
        state,
        attempts: 1,
        next_at: Utc::now(),
        error: Some("broken".into()),
    });
    if state == ParkedState::Dead {
        let (handler, error) = (lease.subscription.handler.clone(), "broken".to_owned());
        let letter = DeadLetter::new(handler, failed.clone(), 1, DeadReason::Permanent, error, Utc::now());
        checkpoint.dead.push(letter);
    }
    assert_eq!(events.store().checkpoint(&[checkpoint]).await.unwrap(), [true]);
    events.store().release(&lease).await.unwrap();
    failed
}

#[tokio::test]
async fn a_parked_delivery_behind_the_position_is_not_read_again() {
    let diary = Diary::new();
    let events = on(MemoryStore::new(), &diary, &[handler!(strict)]).build().unwrap();
    left_behind(&events, ParkedState::Retrying).await;
    assert!(settle(&events).await.is_empty());
    let mut delivered = diary.of("strict");
    delivered.sort();
    assert_eq!(delivered, ["c1 1", "c2 2"], "each once, and the attempt before counts");
}

#[tokio::test]
async fn a_dead_letter_behind_the_position_still_waits_for_a_person() {
    let diary = Diary::new();
    let events = on(MemoryStore::new(), &diary, &[handler!(strict)]).build().unwrap();
    left_behind(&events, ParkedState::Dead).await;
    for _ in 0..2 {
        settle(&events).await;
        assert_eq!(diary.of("strict"), ["c1 1"], "a dead letter was delivered");
    }
    let parked = events.store().parked("resume.strict", 10).await.unwrap();
    assert_eq!(parked.iter().map(|row| row.state).collect::<Vec<_>>(), [ParkedState::Dead]);
}

/// A value whose own reading panics, as `serde(from = "..")` with an `unwrap` in it does.
#[derive(Debug, Clone, PartialEq)]
struct Barcode;

impl serde::Serialize for Barcode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("not a barcode")
    }
}

impl<'de> serde::Deserialize<'de> for Barcode {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        panic!("no such barcode")
    }
}

#[derive(Debug, Clone, PartialEq, DomainEvent)]
#[event(aggregate = Card)]
struct CardScannedEvent {
    #[event(aggregate_id)]
    card_id: String,
    barcode: Barcode,
}

#[event_handler(CardScannedEvent, group = "resume", max_attempts = 2, backoff = "5ms..20ms")]
async fn scan(_: &CardScannedEvent) {}

#[tokio::test]
async fn a_payload_whose_decoding_panics_is_a_dead_letter() {
    let events = on(MemoryStore::new(), &Diary::new(), &[handler!(scan)]).build().unwrap();
    let mut card = Card::new("c1");
    card.raise(CardScannedEvent { card_id: "c1".into(), barcode: Barcode });
    crate::library::save(&events, &mut card).await.unwrap();
    let dead = settle(&events).await;
    assert_eq!(dead.len(), 1, "the delivery is gone without a dead letter");
    assert!(dead[0].error.contains("no such barcode"), "{}", dead[0].error);
}

/// A handler that is held up until the test lets it go.
#[derive(Default)]
struct Gate {
    entered: AtomicU32,
    finished: AtomicU32,
    open: Notify,
    cut_off: Notify,
}

struct CutOff(Option<Service<Gate>>);

impl Drop for CutOff {
    fn drop(&mut self) {
        if let Some(gate) = self.0.take() {
            gate.cut_off.notify_one();
        }
    }
}

#[event_handler(CardAddedToLibraryEvent, group = "resume")]
async fn slow(_: &CardAddedToLibraryEvent, gate: Service<Gate>) {
    let mut cut_off = CutOff(Some(gate.clone()));
    gate.entered.fetch_add(1, Ordering::SeqCst);
    gate.open.notified().await;
    gate.finished.fetch_add(1, Ordering::SeqCst);
    cut_off.0 = None;
}

#[tokio::test]
async fn an_action_of_a_person_cuts_off_nothing_that_runs() {
    const GRACE: Duration = Duration::from_millis(20);
    let gate = Arc::new(Gate::default());
    let services = Services::new().with::<Gate>(Arc::clone(&gate));
    let builder = DomainEvents::builder().without_linked().services(services).handler(handler!(slow)).grace(GRACE);
    let events = builder.build().unwrap();
    let running = events.processor().start().await.unwrap();
    add(&events, "c1", &["alice"]).await;
    until("the handler runs", || gate.entered.load(Ordering::SeqCst) == 1).await;
    events.admin().pause("resume.slow").await.unwrap();
    let cut_off = tokio::time::timeout(GRACE * 20, gate.cut_off.notified()).await;
    assert!(cut_off.is_err(), "the grace time is for shutdowns, not for a pause");
    events.admin().resume("resume.slow").await.unwrap();
    gate.open.notify_one();
    testkit::wait_until_handled(&events, LIMIT).await;
    running.shutdown().await.unwrap();
    assert_eq!((gate.entered.load(Ordering::SeqCst), gate.finished.load(Ordering::SeqCst)), (1, 1));
}

#[tokio::test]
async fn times_without_end_are_only_long() {
    let builder = on(MemoryStore::new(), &Diary::new(), &[handler!(strict)]);
    let events = builder.grace(Duration::MAX).lease(Duration::MAX).build().unwrap();
    add(&events, "c1", &["alice"]).await;
    settle(&events).await;
    let owners: Vec<_> = events.admin().subscriptions().await.unwrap().into_iter().map(|state| state.owner).collect();
    assert_eq!(owners, [None], "the lease was given back");
}

#[tokio::test]
async fn drain_leaves_a_paused_handler_as_it_is() {
    let diary = Diary::new();
    let handlers: [&'static HandlerDef; 2] = [handler!(strict), handler!(crate::library::index)];
    let events = on(MemoryStore::new(), &diary, &handlers).build().unwrap();
    events.processor().drain().await.unwrap();
    events.admin().pause("resume.strict").await.unwrap();
    add(&events, "c1", &["alice"]).await;
    tokio::time::timeout(LIMIT, events.processor().drain()).await.expect("it waits for a person").unwrap();
    assert_eq!((diary.of("index").len(), diary.of("strict").len()), (1, 0));
}

#[event_handler(CardAddedToLibraryEvent, group = "resume")]
async fn later(_: &CardAddedToLibraryEvent, diary: Service<Diary>) -> Result<(), HandlerError> {
    diary.write("later tried".to_owned());
    Err(HandlerError::retry_after(Duration::from_millis(400), "not yet"))
}

#[tokio::test]
async fn a_due_delivery_waits_quietly_while_the_lease_can_not_be_renewed() {
    let diary = Diary::new();
    let store = SqliteStore::in_memory().await.unwrap();
    let events = on(store, &diary, &[handler!(later)]).lease(Duration::from_millis(150)).build().unwrap();
    let running = events.processor().start().await.unwrap();
    add(&events, "c1", &["alice"]).await;
    until("the first attempt was made", || diary.of("later").len() == 1).await;
    // Nobody else can write now, so the lease can't be renewed, and the delivery comes due.
    let work = events.begin().await.unwrap();
    let metrics = tokio::runtime::Handle::current().metrics();
    let before = metrics.worker_park_count(0);
    let started = std::time::Instant::now();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let woken = metrics.worker_park_count(0) - before;
    let seconds = started.elapsed().as_secs_f64();
    work.rollback().await.unwrap();
    running.shutdown().await.unwrap();
    // The store is looked at every 20 ms; a subscription that looks again at once wakes up every millisecond.
    // A rate, so that a busy machine, on which the pause takes longer, is not blamed.
    assert!((woken as f64) < 400.0 * seconds, "woken {woken} times in {seconds:.1} seconds");
}

#[event_handler(CardAddedToLibraryEvent, group = "resume", concurrency = 1)]
async fn single(event: &CardAddedToLibraryEvent, diary: Service<Diary>, gate: Service<Gate>) {
    diary.write(format!("single {} {}", event.card_id, event.curator_id));
    if event.card_id == "c2" {
        gate.entered.fetch_add(1, Ordering::SeqCst);
        gate.open.notified().await;
    }
}

#[tokio::test]
async fn what_a_shutdown_has_finished_is_not_delivered_again() {
    let (diary, gate) = (Diary::new(), Arc::new(Gate::default()));
    let services = Services::new().with::<Gate>(Arc::clone(&gate)).with::<Diary>(Arc::clone(&diary));
    let events = DomainEvents::builder().without_linked().services(services).handler(handler!(single)).build().unwrap();
    add(&events, "c1", &["alice", "bob"]).await;
    add(&events, "c2", &["alice"]).await;
    let running = events.processor().start().await.unwrap();
    // The second event of `c1` stands before that of `c2` in the log, and behind it in the queue.
    until("the other card's event is under way", || gate.entered.load(Ordering::SeqCst) == 1).await;
    let stopping = tokio::spawn(running.shutdown());
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    gate.open.notify_one();
    stopping.await.unwrap().unwrap();
    assert_eq!(diary.of("single"), ["c1 alice", "c2 alice"], "it was told to stop");

    assert!(settle(&events).await.is_empty());
    assert_eq!(diary.of("single"), ["c1 alice", "c2 alice", "c1 bob"], "each once");
}

#[tokio::test]
async fn a_redrive_while_the_parked_deliveries_are_read_is_not_missed() {
    let diary = Diary::with_rule(|_, _| Err(HandlerError::permanent("broken")));
    let store = HaltingStore::default();
    let halt = Arc::clone(&store.halt);
    let events = on(store, &diary, &[handler!(crate::library::index)]).build().unwrap();
    add(&events, "c1", &["alice"]).await;
    let dead = settle(&events).await;
    diary.set_rule(|_, _| Ok(()));

    halt.armed.store(true, Ordering::SeqCst);
    let running = events.processor().start().await.unwrap();
    halt.reached.notified().await;
    let looks = halt.looks.load(Ordering::SeqCst);
    events.admin().redrive(dead[0].id).await.unwrap();
    until("the node has seen that a person did something", || halt.looks.load(Ordering::SeqCst) > looks).await;
    tokio::task::yield_now().await;
    halt.go_on.notify_one();
    testkit::wait_until_handled(&events, LIMIT).await;
    assert_eq!(diary.of("index").len(), 2);
    running.shutdown().await.unwrap();
}
