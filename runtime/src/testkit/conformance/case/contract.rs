//! The store's own contract, method by method: what a breach of would not show in the other cases, or not clearly.

use std::{sync::Arc, time::Duration};

use super::processors::node;
use crate::{
    event::EventId,
    store::{
        DeadLetterStore, EventLog, Store, SubscriptionStore,
        record::{
            AggregateKey, Checkpoint, Claim, DeadLetter, DeadReason, Forgotten, Lease, NewSubscription, Node,
            OnceClaim, Parked, ParkedState, Position, StartAt, SubscriptionId, SubscriptionState,
        },
    },
    testkit::{
        conformance::{
            StoreHarness, cast,
            suite::{Suite, calm, commit, subscription, until},
        },
        recorded::read_all,
    },
};

const LONG: Duration = Duration::from_secs(60);

fn wanted(handler: &str, partition: u16, partitions: u16, aliases: &[&str]) -> NewSubscription {
    let id = SubscriptionId { handler: Arc::from(cast::full(handler)), partition };
    let aliases = aliases.iter().map(|alias| cast::full(alias)).collect();
    NewSubscription { id, partitions, aliases, start: StartAt::Beginning }
}

/// A subscription as a processor would make it.
pub(super) async fn new_subscription<S: Store>(store: &S, handler: &str, from_head: bool) -> SubscriptionId {
    let start = if from_head { StartAt::Head } else { StartAt::Beginning };
    let new = NewSubscription { start, ..wanted(handler, 0, 1, &[]) };
    store.ensure(std::slice::from_ref(&new)).await.expect("a subscription can be made");
    new.id
}

/// Claims until it succeeds: another's lease may have to run out first.
pub(super) async fn claimed<S: Store>(store: &S, name: &str, id: &SubscriptionId, ttl: Duration) -> Claim {
    let claim = std::cell::RefCell::new(None);
    until(&format!("{name} has claimed {id}"), || async {
        let taken = store.claim(&node(name), id, ttl).await.expect("the store answers");
        let got = taken.is_some();
        *claim.borrow_mut() = taken;
        if got { Ok(()) } else { Err("somebody else has the lease".to_owned()) }
    })
    .await;
    claim.into_inner().expect("`until` ends with a claim")
}

async fn checkpoint<S: Store>(store: &S, step: Checkpoint) -> bool {
    store.checkpoint(&[step]).await.expect("the store answers")[0]
}

/// One event in the log, and what a subscription may say about it.
async fn one_event<H: StoreHarness>(suite: &Suite<H>) -> (H::Store, crate::event::Envelope) {
    let events = suite.runtime(&calm(), &[]).await;
    commit(&events, "p1", [1]).await;
    let store = suite.harness.open().await;
    let envelope = read_all(&store).await.remove(0);
    (store, envelope)
}

fn parked(envelope: &crate::event::Envelope, state: ParkedState, attempts: u32) -> Parked {
    let meta = &envelope.meta;
    Parked {
        aggregate: AggregateKey::from(meta),
        position: meta.position.expect("a committed event has a position"),
        event: meta.id,
        state,
        attempts,
        next_at: meta.occurred_at,
        error: Some("it's \"broken\"".to_owned()),
    }
}

/// Held by one at a time; a release is no crash, and `calm` forgets the crashes there were.
pub async fn contract_a_claim_excludes_others_until_released<H: StoreHarness>(suite: Suite<H>) {
    let store = suite.harness.open().await;
    let id = new_subscription(&store, "first", false).await;
    let first = claimed(&store, "one", &id, LONG).await;
    assert_eq!((first.position, first.crashes, first.paused), (Position::BEGINNING, 0, false), "a new subscription");
    for name in ["one", "two"] {
        let taken = store.claim(&node(name), &id, LONG).await.expect("the store answers");
        assert_eq!(taken, None, "{name} took a lease that was live");
    }
    store.release(&first.lease).await.expect("the store answers");
    let second = claimed(&store, "two", &id, Duration::from_millis(20)).await;
    assert_eq!(second.crashes, 0, "a released lease counted as a crash");
    let third = claimed(&store, "three", &id, LONG).await;
    assert_eq!(third.crashes, 1, "a lease that ran out did not count as a crash");
    assert!(first.lease.fence < second.lease.fence && second.lease.fence < third.lease.fence, "fences must grow");

    let mut calm = Checkpoint::new(third.lease.clone());
    calm.calm = true;
    assert!(checkpoint(&store, calm).await, "the holder may write");
    store.release(&third.lease).await.expect("the store answers");
    assert_eq!(claimed(&store, "four", &id, LONG).await.crashes, 0, "`calm` did not forget the crash");
    let unknown = SubscriptionId { handler: "nobody.knows".into(), partition: 0 };
    let nothing = store.claim(&node("one"), &unknown, LONG).await.expect("the store answers");
    assert_eq!(nothing, None, "a subscription that does not exist was claimed");
}

/// Position, parked rows and dead letters of one step stand together, read back as they were written.
pub async fn contract_a_checkpoint_is_all_or_nothing<H: StoreHarness>(suite: Suite<H>) {
    let (store, envelope) = one_event(&suite).await;
    let id = new_subscription(&store, "first", false).await;
    let lease = claimed(&store, "one", &id, LONG).await.lease;
    let head = store.head().await.expect("the store answers");
    let row = parked(&envelope, ParkedState::Dead, 3);
    let letter = DeadLetter::new(
        Arc::clone(&id.handler),
        envelope.clone(),
        3,
        DeadReason::AttemptsUsedUp,
        "it's \"broken\"".to_owned(),
        envelope.meta.occurred_at,
    );
    let mut step = Checkpoint::new(lease.clone());
    step.position = Some(head.clone());
    step.parked = vec![row.clone()];
    step.dead = vec![letter.clone()];

    let mut foreign = step.clone();
    foreign.lease = Lease { fence: lease.fence + 1, ..lease.clone() };
    assert!(!checkpoint(&store, foreign).await, "a lease with another fence may not write");
    let untouched = subscription(&store, "first").await;
    assert_eq!((untouched.position, untouched.parked, untouched.dead), (Position::BEGINNING, 0, 0), "after a refusal");

    assert!(checkpoint(&store, step).await, "the holder may write");
    let state = subscription(&store, "first").await;
    assert_eq!((state.position, state.lag, state.dead), (head, 0, 1), "position, lag and dead letters");
    assert_eq!(
        store.parked(&id.handler, 10).await.expect("the store answers"),
        std::slice::from_ref(&row),
        "the parked row"
    );
    assert_eq!(
        store.dead_letters(None, 10).await.expect("the store answers"),
        std::slice::from_ref(&letter),
        "the dead letter"
    );

    // Settled: the row goes; and a redriven letter comes back as a row that is due at once.
    assert!(store.redrive(letter.id).await.expect("the store answers"), "there is a dead letter");
    let rows = store.parked(&id.handler, 10).await.expect("the store answers");
    assert_eq!(rows.iter().map(|row| (row.state, row.attempts)).collect::<Vec<_>>(), [(ParkedState::Retrying, 0)]);
    assert!(rows[0].next_at <= chrono::Utc::now(), "a redriven delivery is due at once, not at {}", rows[0].next_at);
    assert!(!store.redrive(letter.id).await.expect("the store answers"), "it was redriven a second time");
    let mut settled = Checkpoint::new(lease);
    settled.settled = vec![row.position];
    assert!(checkpoint(&store, settled).await, "the holder may write");
    assert_eq!(store.parked(&id.handler, 10).await.expect("the store answers"), [], "a settled row is gone");
    assert!(subscription(&store, "first").await.revision > state.revision, "a person's action shows in `revision`");
}

/// Marked, done, failed, interrupted: what `once` promises stands in these marks.
pub async fn contract_once_marks_outlive_the_attempt<H: StoreHarness>(suite: Suite<H>) {
    let (store, envelope) = one_event(&suite).await;
    let id = new_subscription(&store, "once", false).await;
    let lease = claimed(&store, "one", &id, LONG).await.lease;
    let position = envelope.meta.position.expect("a committed event has a position");
    let (done, failed, lost) = (envelope.meta.id, EventId::generate(), EventId::generate());
    let claim = async |event| store.claim_once(&lease, event, position).await.expect("the store answers");
    for event in [done, failed, lost] {
        assert_eq!(claim(event).await, OnceClaim::Fresh, "the first time");
    }
    let mut step = Checkpoint::new(lease.clone());
    step.once_done = vec![done];
    step.once_failed = vec![failed];
    assert!(checkpoint(&store, step).await, "the holder may write");
    assert_eq!(claim(done).await, OnceClaim::Done, "handled before");
    assert_eq!(claim(failed).await, OnceClaim::Fresh, "failed before, without an effect");
    assert_eq!(claim(lost).await, OnceClaim::Interrupted, "begun before, and never heard of again");
}

/// The mark of a transactional handler is there if and only if its transaction committed.
pub async fn contract_a_handled_mark_follows_its_transaction<H: StoreHarness>(suite: Suite<H>) {
    let (store, envelope) = one_event(&suite).await;
    let id = new_subscription(&store, "ledger", false).await;
    let lease = claimed(&store, "one", &id, LONG).await.lease;
    let position = envelope.meta.position.expect("a committed event has a position");
    let (event, undone) = (envelope.meta.id, EventId::generate());
    for (round, commits, before) in
        [("rolled back", false, vec![]), ("committed", true, vec![]), ("again", false, vec![event])]
    {
        let mut transaction = store.begin().await.expect("a transaction begins");
        let connection = H::Store::connection(&mut transaction);
        let handled = store.handled(connection, &lease, &[undone, event]).await;
        assert_eq!(handled.expect("the store answers"), Some(before), "{round}");
        store.mark_handled(connection, &lease, &[(event, position)]).await.expect("the store answers");
        for again in [false, true] {
            store.savepoint(connection, again).await.expect("the store answers");
            store.mark_handled(connection, &lease, &[(undone, position)]).await.expect("the store answers");
            store.undo(connection).await.expect("the store answers");
        }
        if commits {
            store.commit(transaction).await.expect("a transaction commits");
        } else {
            store.rollback(transaction).await.expect("a transaction rolls back");
        }
    }
}

/// `glance` says of each subscription what `subscriptions` says, and only of its lag no more than whether there is one.
pub async fn contract_a_glance_says_who_has_something_to_do<H: StoreHarness>(suite: Suite<H>) {
    let (store, envelope) = one_event(&suite).await;
    new_subscription(&store, "behind", false).await;
    new_subscription(&store, "paused", false).await;
    new_subscription(&store, "at_the_end", true).await;
    let parking = new_subscription(&store, "parking", false).await;
    store.set_paused(&cast::full("paused"), true).await.expect("the store answers");
    let lease = claimed(&store, "one", &parking, LONG).await.lease;
    let mut step = Checkpoint::new(lease);
    step.position = Some(store.head().await.expect("the store answers"));
    step.parked = vec![parked(&envelope, ParkedState::Retrying, 1)];
    assert!(checkpoint(&store, step).await, "the holder may write");

    let counted = store.subscriptions().await.expect("the store answers");
    let glanced = store.glance().await.expect("the store answers");
    let lagging: Vec<_> = counted.iter().map(|state| state.lag > 0).collect();
    assert_eq!(lagging, [false, true, false, true], "at the end, behind, parking, paused: who lags");
    assert_eq!(glanced.iter().map(|state| state.lag > 0).collect::<Vec<_>>(), lagging, "who lags, at a glance");
    let besides = |states: Vec<SubscriptionState>| -> Vec<_> {
        states.into_iter().map(|state| SubscriptionState { lag: 0, ..state }).collect()
    };
    assert_eq!(besides(glanced), besides(counted), "all that is said besides");
}

/// A renamed handler takes over position, parked rows and dead letters; the old name is gone.
pub async fn contract_an_alias_hands_everything_over<H: StoreHarness>(suite: Suite<H>) {
    let (store, envelope) = one_event(&suite).await;
    let old = new_subscription(&store, "old", false).await;
    let lease = claimed(&store, "one", &old, LONG).await.lease;
    let head = store.head().await.expect("the store answers");
    let mut step = Checkpoint::new(lease.clone());
    step.position = Some(head.clone());
    step.parked = vec![parked(&envelope, ParkedState::Retrying, 1)];
    assert!(checkpoint(&store, step).await, "the holder may write");
    store.release(&lease).await.expect("the store answers");

    store.ensure(&[wanted("new", 0, 1, &["never", "old"])]).await.expect("the store answers");
    let states = store.subscriptions().await.expect("the store answers");
    let names: Vec<_> = states.iter().map(|state| state.id.to_string()).collect();
    assert_eq!(names, [cast::full("new")], "the subscriptions after a rename");
    assert_eq!((&states[0].position, states[0].parked), (&head, 1), "position and parked rows of the new name");
    assert_eq!(store.parked(&cast::full("new"), 10).await.expect("the store answers").len(), 1, "its parked row");
}

/// More partitions, or fewer: all begin where the slowest stood, so nothing is skipped.
pub async fn contract_partitions_begin_at_the_least_position<H: StoreHarness>(suite: Suite<H>) {
    let (store, _) = one_event(&suite).await;
    let head = store.head().await.expect("the store answers");
    let two: Vec<_> = (0..2).map(|partition| wanted("split", partition, 2, &[])).collect();
    store.ensure(&two).await.expect("the store answers");
    let lease = claimed(&store, "one", &two[1].id, LONG).await.lease;
    let mut step = Checkpoint::new(lease.clone());
    step.position = Some(head);
    assert!(checkpoint(&store, step).await, "the holder may write");

    let three: Vec<_> = (0..3).map(|partition| wanted("split", partition, 3, &[])).collect();
    store.ensure(&three).await.expect("the store answers");
    let states = store.subscriptions().await.expect("the store answers");
    assert_eq!(states.len(), 2, "partitions were changed under a live lease: {states:?}");
    store.release(&lease).await.expect("the store answers");
    store.ensure(&three).await.expect("the store answers");
    let states = store.subscriptions().await.expect("the store answers");
    let positions: Vec<_> = states.iter().map(|state| (state.id.partition, state.position.after)).collect();
    assert_eq!(positions, [(0, 0), (1, 0), (2, 0)], "three partitions at the least of two positions");
    let mut late = Checkpoint::new(lease);
    late.calm = true;
    assert!(!checkpoint(&store, late).await, "a holder from before the change may still write");
}

/// `changed` resolves after a commit and after a person's action, also when another handle made them.
pub async fn contract_a_change_is_announced<H: StoreHarness>(suite: Suite<H>) {
    let store = suite.harness.open().await;
    let other = suite.runtime(&calm(), &[]).await;
    new_subscription(&store, "first", false).await;
    let mut seen = 0;
    let announced = async |seen: &mut i64, what: &str| {
        let changed = tokio::time::timeout(Duration::from_secs(10), store.changed(seen)).await;
        changed.unwrap_or_else(|_| panic!("`changed` did not resolve after {what}")).expect("the store answers");
    };
    announced(&mut seen, "the first call").await;
    commit(&other, "p1", [1]).await;
    announced(&mut seen, "a commit").await;
    assert!(other.store().set_paused(&cast::full("first"), true).await.expect("the store answers"), "it exists");
    announced(&mut seen, "a pause").await;
    assert!(!other.store().set_paused("nobody.knows", true).await.expect("the store answers"), "it does not exist");
}

/// Nodes are seen by each other while they live, and not after they left or fell silent.
pub async fn contract_nodes_come_and_go<H: StoreHarness>(suite: Suite<H>) {
    let store = suite.harness.open().await;
    let row = |name: &str| Node { id: node(name), handlers: vec![cast::full("first"), "it's.\"odd\"".to_owned()] };
    let names = |nodes: &[Node]| nodes.iter().map(|node| node.id.to_string()).collect::<Vec<_>>();
    store.heartbeat(&row("silent"), Duration::from_millis(20)).await.expect("the store answers");
    store.heartbeat(&row("b"), LONG).await.expect("the store answers");
    let nodes = store.heartbeat(&row("a"), LONG).await.expect("the store answers");
    assert_eq!(nodes.iter().find(|node| node.id == row("b").id), Some(&row("b")), "a node as another one reads it");
    until("the silent node is forgotten", || async {
        let nodes = store.heartbeat(&row("a"), LONG).await.expect("the store answers");
        if names(&nodes) == ["a", "b"] { Ok(()) } else { Err(format!("{:?}", names(&nodes))) }
    })
    .await;
    store.leave(&row("b").id).await.expect("the store answers");
    let nodes = store.heartbeat(&row("a"), LONG).await.expect("the store answers");
    assert_eq!(names(&nodes), ["a"], "a node that left is still there");
}

/// What nobody has any more can go, with all there is of it, and holds nothing back from then on.
pub async fn contract_a_retired_handler_is_forgotten<H: StoreHarness>(suite: Suite<H>) {
    let (store, envelope) = one_event(&suite).await;
    let id = new_subscription(&store, "retired", false).await;
    let forget = async |dead_letters| store.forget(&id.handler, dead_letters).await.expect("the store answers");
    let lease = claimed(&store, "one", &id, LONG).await.lease;
    let mut step = Checkpoint::new(lease.clone());
    step.parked = vec![parked(&envelope, ParkedState::Dead, 3)];
    let (error, at) = ("broken".to_owned(), envelope.meta.occurred_at);
    step.dead = vec![DeadLetter::new(Arc::clone(&id.handler), envelope, 3, DeadReason::Permanent, error, at)];
    assert!(checkpoint(&store, step.clone()).await, "the holder may write");

    assert_eq!(forget(true).await, Forgotten::Alive(node("one")), "under a live lease");
    store.release(&lease).await.expect("the store answers");
    let row = Node { id: node("two"), handlers: vec![id.handler.to_string()] };
    store.heartbeat(&row, LONG).await.expect("the store answers");
    assert_eq!(forget(true).await, Forgotten::Alive(node("two")), "a live node would make it anew");
    store.leave(&row.id).await.expect("the store answers");
    assert_eq!(forget(false).await, Forgotten::DeadLetters(1), "nobody said that they may go");

    let future = chrono::Utc::now() + chrono::Duration::hours(1);
    assert_eq!(store.trim(future, 10).await.expect("the store answers"), 0, "it still holds the event");
    assert_eq!(forget(true).await, Forgotten::Gone { parked: 1, dead: 1 }, "nothing is in the way any more");
    assert_eq!(store.subscriptions().await.expect("the store answers"), [], "its subscription");
    assert_eq!(store.parked(&id.handler, 10).await.expect("the store answers"), [], "its parked deliveries");
    assert_eq!(store.dead_letters(None, 10).await.expect("the store answers"), [], "its dead letters");
    assert!(!checkpoint(&store, step).await, "a holder from before may still write");
    let gone = usize::from(!store.capabilities().retains_pieces);
    assert_eq!(store.trim(future, 10).await.expect("the store answers"), gone, "nobody holds the event any more");
    assert_eq!(forget(false).await, Forgotten::Unknown, "there is nothing left to forget");
}
