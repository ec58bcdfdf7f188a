//! Handlers that take the transaction, and what PostgreSQL makes of a transaction in which something failed.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use domain_events::{
    DomainEvents, ErrorKind, PostgresStore, handler,
    handler::HandlerDef,
    prelude::*,
    testkit::{
        conformance::{Parcel, ParcelMovedEvent, PostgresHarness, StoreHarness},
        wait_until_settled,
    },
};
use sqlx::{Acquire, PgConnection};
use tokio::sync::watch;

use crate::kit::{LIMIT, save};

/// What the handler was given, and a door it may have to wait at.
struct Scene {
    seen: Mutex<Vec<(String, u64)>>,
    door: watch::Sender<bool>,
}

impl Default for Scene {
    fn default() -> Self {
        Self { seen: Mutex::default(), door: watch::Sender::new(false) }
    }
}

impl Scene {
    fn seen(&self) -> BTreeMap<String, Vec<u64>> {
        let mut seen = BTreeMap::<_, Vec<_>>::new();
        for (parcel, step) in self.seen.lock().unwrap().iter() {
            seen.entry(parcel.clone()).or_default().push(*step);
        }
        seen
    }
}

/// Writes first, then does what the event's note says.
#[event_handler(ParcelMovedEvent, group = "moods", max_attempts = 3, backoff = "10ms..20ms", timeout = "3s")]
async fn moody(
    event: &ParcelMovedEvent,
    attempt: Attempt,
    scene: Service<Scene>,
    connection: &mut PgConnection,
) -> Result<(), HandlerError> {
    scene.seen.lock().unwrap().push((event.parcel_id.clone(), event.step));
    write(event, connection).await?;
    match (event.note.as_str(), attempt.0) {
        ("fails once", 1) => return Err("after the write".into()),
        ("panics once", 1) => panic!("after the write"),
        ("passes over", _) => drop(sqlx::query("insert into nowhere values (1)").execute(connection).await),
        ("passes over once", 1) => drop(sqlx::query("select 1 / 0").execute(connection).await),
        ("tries", _) => {
            let mut attempt = connection.begin().await?;
            drop(sqlx::query("insert into nowhere values (1)").execute(&mut *attempt).await);
            attempt.rollback().await?;
        }
        ("hangs once", 1) => {
            sqlx::query("select pg_sleep(600)").execute(connection).await?;
        }
        _ => {}
    }
    Ok(())
}

/// Waits at the door where the event's note says so.
#[event_handler(ParcelMovedEvent, group = "moods", timeout = "10m")]
async fn patient(
    event: &ParcelMovedEvent,
    scene: Service<Scene>,
    connection: &mut PgConnection,
) -> Result<(), sqlx::Error> {
    scene.seen.lock().unwrap().push((event.parcel_id.clone(), event.step));
    write(event, connection).await?;
    if event.note == "waits" {
        drop(scene.door.subscribe().wait_for(|open| *open).await);
    }
    Ok(())
}

async fn write(event: &ParcelMovedEvent, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let effect = format!("{} {}", event.parcel_id, event.step);
    sqlx::query("insert into effects (effect) values ($1)").bind(effect).execute(connection).await?;
    Ok(())
}

async fn runtime(
    harness: &PostgresHarness,
    scene: &Arc<Scene>,
    handler: &'static HandlerDef,
) -> DomainEvents<PostgresStore> {
    let store = harness.open().await;
    let alter = "alter table effects add column if not exists tx bigint default txid_current()";
    sqlx::query(alter).execute(store.pool()).await.unwrap();
    let services = Services::new().with::<Scene>(Arc::clone(scene));
    let builder = DomainEvents::builder().store(store).without_linked().services(services).handler(handler);
    builder.event::<ParcelMovedEvent>().build().unwrap()
}

// More than go into one transaction.
const PARCELS: u64 = 40;
const STEPS: u64 = 6;

/// A backlog, step by step over all parcels; `notes` are for some of them.
async fn backlog(events: &DomainEvents<PostgresStore>, notes: &[(u64, u64, &str)]) {
    for step in 1..=STEPS {
        for parcel in 1..=PARCELS {
            let mut aggregate = Parcel::new(format!("p{parcel}"));
            let note = notes.iter().find(|note| (note.0, note.1) == (parcel, step));
            aggregate.note(step, note.map_or("", |note| note.2));
            save(events, &mut aggregate).await.unwrap();
        }
    }
}

/// What there is of each parcel, in the order it was written; and in how many transactions.
async fn effects(events: &DomainEvents<PostgresStore>) -> (BTreeMap<String, Vec<u64>>, usize) {
    let rows = sqlx::query_as("select effect, tx from effects order by place").fetch_all(events.store().pool());
    let rows: Vec<(String, i64)> = rows.await.unwrap();
    let mut effects = BTreeMap::<_, Vec<_>>::new();
    for (effect, _) in &rows {
        let (parcel, step) = effect.split_once(' ').unwrap();
        effects.entry(parcel.to_owned()).or_default().push(step.parse().unwrap());
    }
    (effects, rows.iter().map(|(_, tx)| tx).collect::<std::collections::BTreeSet<_>>().len())
}

/// All steps of all parcels, some of them more or fewer times than once.
fn steps(times: impl Fn(u64, u64) -> usize) -> BTreeMap<String, Vec<u64>> {
    let of = |parcel| (1..=STEPS).flat_map(|step| std::iter::repeat_n(step, times(parcel, step))).collect();
    (1..=PARCELS).map(|parcel| (format!("p{parcel}"), of(parcel))).collect()
}

#[tokio::test]
async fn deliveries_that_wait_share_transactions_and_one_that_fails_takes_back_its_own_writes() {
    let (harness, scene) = (PostgresHarness::connect().await, Arc::new(Scene::default()));
    let events = runtime(&harness, &scene, handler!(moody)).await;
    let notes = [
        (2, 2, "fails once"),
        (3, 2, "panics once"),
        (5, 4, "passes over once"),
        (6, 4, "passes over"),
        (7, 5, "tries"),
        (1, 6, "hangs once"),
    ];
    backlog(&events, &notes).await;
    let running = events.processor().start().await.unwrap();
    let dead = wait_until_settled(&events, LIMIT).await;
    running.shutdown().await.unwrap();

    let dead: Vec<_> = dead.iter().map(|letter| (letter.attempts, letter.error.as_str())).collect();
    let [(3, error)] = dead[..] else { panic!("only one delivery can't be made: {dead:?}") };
    assert!(error.starts_with("a statement of the handler failed and its error was not passed on: "), "{error}");
    let (effects, transactions) = effects(&events).await;
    assert_eq!(effects, steps(|parcel, step| usize::from((parcel, step) != (6, 4))));
    let events = usize::try_from(PARCELS * STEPS).unwrap();
    assert!(transactions < events, "{transactions} transactions for {events} events");
}

#[tokio::test]
async fn an_attempt_in_a_shared_transaction_is_one_call_of_the_handler() {
    let (harness, scene) = (PostgresHarness::connect().await, Arc::new(Scene::default()));
    let events = runtime(&harness, &scene, handler!(moody)).await;
    backlog(&events, &[(2, 2, "fails once"), (6, 4, "passes over")]).await;
    let running = events.processor().start().await.unwrap();
    wait_until_settled(&events, LIMIT).await;
    running.shutdown().await.unwrap();
    let attempts = |parcel, step| match (parcel, step) {
        (2, 2) => 2,
        (6, 4) => 3,
        _ => 1,
    };
    assert_eq!(scene.seen(), steps(attempts));
}

#[tokio::test]
async fn a_delivery_that_waits_holds_up_those_only_that_were_made_before_it() {
    let (harness, scene) = (PostgresHarness::connect().await, Arc::new(Scene::default()));
    let events = runtime(&harness, &scene, handler!(patient)).await;
    backlog(&events, &[(4, 3, "waits")]).await;
    let running = events.processor().start().await.unwrap();
    // Nobody opens: what was written before it is in its transaction, 32 at most, and the rest of those parcels waits.
    let free = usize::try_from(PARCELS).unwrap() - 32;
    let others = async {
        let all = usize::try_from(STEPS).unwrap();
        while effects(&events).await.0.values().filter(|steps| steps.len() == all).count() < free {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(!effects(&events).await.0.get("p4").is_some_and(|steps| steps.contains(&3)), "nobody opened");
    };
    let reached = tokio::time::timeout(LIMIT, others).await;
    scene.door.send_replace(true);
    reached.unwrap_or_else(|_| panic!("others waited for it: {:?}", scene.seen()));
    wait_until_settled(&events, LIMIT).await;
    running.shutdown().await.unwrap();
    assert_eq!(effects(&events).await.0, steps(|_, _| 1));
}

#[tokio::test]
async fn an_error_that_is_passed_over_is_told_wherever_it_would_cost_the_writes() {
    let (harness, scene) = (PostgresHarness::connect().await, Arc::new(Scene::default()));
    let events = runtime(&harness, &scene, handler!(moody)).await;
    let mut parcel = Parcel::new("p1");
    parcel.note(1, "passes over");
    let report = events.dispatch(&mut parcel).await.to_string();
    assert!(report.contains("its error was not passed on"), "{report}");

    let mut work = events.begin().await.unwrap();
    sqlx::query("insert into effects (effect) values ('p1 2')").execute(work.connection()).await.unwrap();
    sqlx::query("insert into nowhere values (1)").execute(work.connection()).await.unwrap_err();
    let error = work.commit().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Aborted, "{error}");
    assert!(error.to_string().contains("roll it back"), "{error}");

    let mut work = events.begin().await.unwrap();
    sqlx::query("insert into nowhere values (1)").execute(work.connection()).await.unwrap_err();
    parcel.step(3);
    work.record(&mut parcel);
    assert_eq!(work.commit().await.unwrap_err().kind(), ErrorKind::Aborted);
    assert_eq!(parcel.pending().len(), 1, "the aggregate keeps its event");
    assert_eq!(effects(&events).await.0, BTreeMap::new());
}
