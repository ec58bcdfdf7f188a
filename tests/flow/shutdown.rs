//! What a shutdown does with deliveries that do not end within the grace time.

use std::{
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use domain_events::{
    DomainEvents, MemoryStore, RunningProcessor, SqliteStore, handler,
    handler::HandlerDef,
    prelude::*,
    store::{
        Store, SubscriptionStore,
        record::{DeadReason, NodeId, Position, SubscriptionId},
    },
};
use tokio::sync::Notify;

use crate::{
    halting::HaltingStore,
    library::{CardAddedToLibraryEvent, LIMIT, add, settle, until},
};

/// Short: it runs out in every test here.
const GRACE: Duration = Duration::from_millis(20);

/// A handler's way out, once a test opens it; and what came in.
#[derive(Default)]
struct Door {
    /// The attempts that began.
    entered: Mutex<Vec<u32>>,
    left: AtomicU32,
    cut_off: AtomicBool,
    open: Notify,
    /// For a handler that waits as it must not.
    thread: (Mutex<bool>, Condvar),
}

impl Door {
    fn enter(&self, attempt: Attempt) {
        self.entered.lock().unwrap().push(attempt.0);
    }

    fn entered(&self) -> Vec<u32> {
        self.entered.lock().unwrap().clone()
    }

    fn open_for_ever(&self) {
        self.open.notify_one();
        *self.thread.0.lock().unwrap() = true;
        self.thread.1.notify_all();
    }
}

/// So that a test that fails does not wait for a thread that waits for it.
struct OpenedAtTheEnd(Arc<Door>);

impl Drop for OpenedAtTheEnd {
    fn drop(&mut self) {
        self.0.open_for_ever();
    }
}

#[event_handler(CardAddedToLibraryEvent, group = "shutdown")]
async fn waits(_: &CardAddedToLibraryEvent, attempt: Attempt, door: Service<Door>) {
    door.enter(attempt);
    door.open.notified().await;
    door.left.fetch_add(1, Ordering::SeqCst);
}

/// Sees a handler's end, however it comes.
struct Inside<'a>(&'a Door);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.cut_off.store(true, Ordering::SeqCst);
    }
}

#[event_handler(CardAddedToLibraryEvent, group = "shutdown")]
async fn waits_for_bob(event: &CardAddedToLibraryEvent, attempt: Attempt, door: Service<Door>) {
    door.enter(attempt);
    if event.curator_id == "bob" {
        let _inside = Inside(&door);
        door.open.notified().await;
    }
}

#[event_handler(CardAddedToLibraryEvent, group = "shutdown", max_attempts = 2, backoff = "1ms..2ms")]
async fn fails_then_waits(_: &CardAddedToLibraryEvent, attempt: Attempt, door: Service<Door>) -> Result<(), String> {
    door.enter(attempt);
    if attempt.0 == 1 {
        return Err("not at the first try".into());
    }
    door.open.notified().await;
    Ok(())
}

#[event_handler(CardAddedToLibraryEvent, group = "shutdown", once)]
async fn once_only(_: &CardAddedToLibraryEvent, attempt: Attempt, door: Service<Door>) {
    door.enter(attempt);
    door.open.notified().await;
}

#[event_handler(CardAddedToLibraryEvent, group = "shutdown")]
async fn blocks(_: &CardAddedToLibraryEvent, attempt: Attempt, door: Service<Door>) {
    door.enter(attempt);
    let (open, opened) = &door.thread;
    drop(opened.wait_timeout_while(open.lock().unwrap(), LIMIT, |open| !*open).unwrap());
}

fn program<S: Store>(store: S, door: &Arc<Door>, handler: &'static HandlerDef) -> DomainEvents<S> {
    let services = Services::new().with::<Door>(Arc::clone(door));
    let builder = DomainEvents::builder().store(store).without_linked().services(services).handler(handler);
    builder.grace(GRACE).lease(Duration::from_secs(1)).build().unwrap()
}

/// Commits one event, and starts a processor whose handler is in the middle of these attempts.
async fn in_the_middle<S: Store>(events: &DomainEvents<S>, door: &Door, attempts: &[u32]) -> RunningProcessor {
    add(events, "c1", &["alice"]).await;
    let running = events.processor().start().await.unwrap();
    until("the handler is in the middle of it", || door.entered() == attempts).await;
    running
}

async fn stop(running: RunningProcessor) {
    tokio::time::timeout(LIMIT, running.shutdown()).await.expect("a shutdown ends").unwrap();
}

/// Who holds the only subscription, and how far it has come.
async fn standing<S: Store>(events: &DomainEvents<S>) -> (Option<NodeId>, Position) {
    let state = events.admin().subscriptions().await.unwrap().remove(0);
    (state.owner, state.position)
}

#[tokio::test]
async fn a_delivery_that_outlasts_the_grace_time_is_cut_off_and_made_again() {
    let door = Arc::new(Door::default());
    let events = program(MemoryStore::new(), &door, handler!(waits));
    stop(in_the_middle(&events, &door, &[1]).await).await;
    assert_eq!(door.left.load(Ordering::SeqCst), 0, "it did not end by itself");
    assert_eq!(standing(&events).await, (None, Position::BEGINNING), "the lease is given back, the event is not done");

    door.open_for_ever();
    assert!(settle(&events).await.is_empty());
    assert_eq!((door.entered(), door.left.load(Ordering::SeqCst)), (vec![1, 1], 1), "from its first attempt");
}

#[tokio::test]
async fn an_attempt_that_is_cut_off_does_not_count() {
    cut_off_at_the_last_attempt(MemoryStore::new()).await;
    cut_off_at_the_last_attempt(SqliteStore::in_memory().await.unwrap()).await;
}

async fn cut_off_at_the_last_attempt<S: Store>(store: S) {
    let door = Arc::new(Door::default());
    let events = program(store, &door, handler!(fails_then_waits));
    // Its attempts are noted before they begin, so that a crash is laid at their door; this is none.
    stop(in_the_middle(&events, &door, &[1, 2]).await).await;
    let again = events.processor().start().await.unwrap();
    until("it is tried again", || door.entered() == [1, 2, 2]).await;
    stop(again).await;
    door.open_for_ever();
    assert!(settle(&events).await.is_empty(), "a shutdown was taken for a crash of the handler");
    assert_eq!(door.entered(), [1, 2, 2, 2]);
}

#[tokio::test]
async fn a_once_handler_that_is_cut_off_is_for_a_person() {
    let door = Arc::new(Door::default());
    let events = program(MemoryStore::new(), &door, handler!(once_only));
    stop(in_the_middle(&events, &door, &[1]).await).await;
    door.open_for_ever();
    let dead = settle(&events).await;
    assert_eq!(dead.iter().map(|letter| letter.reason).collect::<Vec<_>>(), [DeadReason::Interrupted]);
    assert_eq!(door.entered(), [1], "nobody knows whether its effect happened, so it is not repeated");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn what_can_not_be_cut_off_holds_up_no_shutdown_and_keeps_its_lease() {
    let door = Arc::new(Door::default());
    let _opened = OpenedAtTheEnd(Arc::clone(&door));
    let events = program(MemoryStore::new(), &door, handler!(blocks));
    stop(in_the_middle(&events, &door, &[1]).await).await;

    // While it still runs nobody else may: the lease was not given back, so the next holder sees that it ran out.
    let id = SubscriptionId { handler: "shutdown.blocks".into(), partition: 0 };
    let elsewhere = NodeId("elsewhere".into());
    let claim = tokio::time::timeout(LIMIT, async {
        loop {
            if let Some(claim) = events.store().claim(&elsewhere, &id, LIMIT).await.unwrap() {
                break claim;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let claim = claim.await.expect("a lease that is not renewed runs out");
    assert_eq!(claim.crashes, 1, "the lease was given back while the delivery still ran");
    events.store().release(&claim.lease).await.unwrap();
    door.open_for_ever();
    assert!(settle(&events).await.is_empty());
    assert_eq!(door.entered(), [1, 1], "made again");
}

#[tokio::test]
async fn a_store_that_does_not_answer_holds_up_no_shutdown() {
    let (door, store) = (Arc::new(Door::default()), HaltingStore::default());
    let halt = Arc::clone(&store.halt);
    let events = program(store, &door, handler!(fails_then_waits));
    let running = in_the_middle(&events, &door, &[1, 2]).await;
    halt.mute.store(true, Ordering::SeqCst);
    stop(running).await;
}

#[tokio::test]
async fn what_was_done_is_written_down_though_the_grace_time_is_over() {
    let (door, store) = (Arc::new(Door::default()), HaltingStore::default());
    let halt = Arc::clone(&store.halt);
    halt.mute.store(true, Ordering::SeqCst);
    let events = program(store, &door, handler!(waits_for_bob));
    add(&events, "c1", &["alice", "bob"]).await;
    let running = events.processor().start().await.unwrap();
    until("bob's turn has come", || door.entered() == [1, 1]).await;
    let stopping = tokio::spawn(stop(running));
    until("the delivery is cut off", || door.cut_off.load(Ordering::SeqCst)).await;
    assert_eq!(standing(&events).await.1, Position::BEGINNING, "the store has not answered yet");
    halt.mute.store(false, Ordering::SeqCst);
    stopping.await.unwrap();
    assert_eq!(standing(&events).await, (None, Position { after: 1, window: None }));
}
