//! What breaks between an application and its PostgreSQL server, under load: nothing is lost, nothing is out of order,
//! and what a transactional handler writes is there once.
#![expect(clippy::unwrap_used, reason = "a test that can't be set up has failed")]

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use domain_events::{
    DomainEvents, PostgresStore,
    prelude::*,
    testkit::{
        conformance::{Parcel, ParcelMovedEvent, PostgresHarness, PostgresServer, StoreHarness},
        recorded, wait_until_settled,
    },
};
use sqlx::{Connection, PgConnection};

const WRITERS: usize = 4;
const LIMIT: Duration = Duration::from_secs(60);

#[derive(Default)]
struct Journal(Mutex<Vec<(String, u64)>>);

#[event_handler(ParcelMovedEvent, group = "faults", max_attempts = 1000, backoff = "10ms..200ms")]
async fn watch(event: &ParcelMovedEvent, journal: Service<Journal>) {
    journal.0.lock().unwrap().push((event.parcel_id.clone(), event.step));
}

#[event_handler(ParcelMovedEvent, group = "faults", max_attempts = 1000, backoff = "10ms..200ms")]
async fn ledger(event: &ParcelMovedEvent, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let effect = format!("{} {}", event.parcel_id, event.step);
    sqlx::query("insert into effects (effect) values ($1)").bind(effect).execute(connection).await?;
    Ok(())
}

async fn runtime(harness: &PostgresHarness, journal: &Arc<Journal>) -> DomainEvents<PostgresStore> {
    DomainEvents::builder()
        .store(harness.open().await)
        .services(Services::new().with::<Journal>(Arc::clone(journal)))
        .event::<ParcelMovedEvent>()
        .lease(Duration::from_secs(2))
        .build()
        .unwrap()
}

/// Commits one step after the other until told to stop. Where a commit fails, whether it happened is not known: the
/// aggregate keeps its event, and saving it again is safe.
async fn write(events: DomainEvents<PostgresStore>, parcel: String, stop: Arc<AtomicBool>) -> u64 {
    let mut aggregate = Parcel::new(&parcel);
    let mut step = 0;
    while step < 100 || !stop.load(Ordering::SeqCst) {
        step += 1;
        aggregate.step(step);
        while let Err(error) = save(&events, &mut aggregate).await {
            assert!(error.is_temporary(), "an error that repeating can't mend: {error:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    step
}

async fn save(events: &DomainEvents<PostgresStore>, parcel: &mut Parcel) -> domain_events::Result<()> {
    let mut work = events.begin().await?;
    work.record(parcel);
    work.commit().await
}

/// Writers and a processor at work while `fault` does its worst; then the books.
async fn survives(fault: impl AsyncFnOnce(&PostgresServer, &PostgresHarness)) {
    let server = Arc::new(PostgresServer::private());
    let harness = PostgresHarness::private(Arc::clone(&server)).await;
    let journal = Arc::new(Journal::default());
    let events = runtime(&harness, &journal).await;
    let running = events.processor().start().await.unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| tokio::spawn(write(events.clone(), format!("w{writer}"), Arc::clone(&stop))))
        .collect();
    fault(&server, &harness).await;
    stop.store(true, Ordering::SeqCst);
    let mut expected = BTreeMap::new();
    for (number, writer) in writers.into_iter().enumerate() {
        expected.insert(format!("w{number}"), (1..=writer.await.unwrap()).collect::<Vec<_>>());
    }
    let dead = wait_until_settled(&events, LIMIT).await;
    assert_eq!(dead.len(), 0, "{dead:?}");
    running.shutdown().await.unwrap();

    let mut log = BTreeMap::<String, Vec<u64>>::new();
    for (event, _) in recorded::<ParcelMovedEvent, _>(&events).await {
        log.entry(event.parcel_id).or_default().push(event.step);
    }
    assert_eq!(log, expected, "the log holds what was committed, once and in order");
    let mut effects = BTreeMap::<String, Vec<u64>>::new();
    for effect in harness.effects().await {
        let (parcel, step) = effect.split_once(' ').unwrap();
        effects.entry(parcel.to_owned()).or_default().push(step.parse().unwrap());
    }
    assert_eq!(effects, expected, "a transactional handler's effects, once and in order");
    let mut seen = BTreeMap::<String, Vec<u64>>::new();
    for (parcel, step) in journal.0.lock().unwrap().drain(..) {
        let steps = seen.entry(parcel).or_default();
        // It may see an event again, but each for the first time in order.
        if !steps.contains(&step) {
            steps.push(step);
        }
    }
    assert_eq!(seen, expected, "a plain handler sees everything, in order");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_cut_cost_nothing_but_time() {
    survives(async |server, harness| {
        let mut axe = PgConnection::connect(&server.url("postgres")).await.unwrap();
        let database = harness.url().rsplit('/').next().unwrap().to_owned();
        for _ in 0..8 {
            tokio::time::sleep(Duration::from_millis(250)).await;
            sqlx::query("select pg_terminate_backend(pid) from pg_stat_activity where datname = $1")
                .bind(&database)
                .execute(&mut axe)
                .await
                .unwrap();
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_and_comes_back_has_lost_nothing() {
    survives(async |server, _| {
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_millis(700)).await;
            tokio::task::block_in_place(|| {
                server.kill();
                server.restart();
            });
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    })
    .await;
}
