//! A processor and writers at work while something breaks, and the books afterwards.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use domain_events::{
    DomainEvents, PostgresStore, handler,
    prelude::*,
    testkit::{
        conformance::{Parcel, ParcelMovedEvent, PostgresHarness, StoreHarness},
        recorded, wait_until_settled,
    },
};
use sqlx::PgConnection;

const WRITERS: usize = 4;
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(crate) struct Journal(Mutex<Vec<(String, u64)>>);

#[event_handler(ParcelMovedEvent, group = "faults", max_attempts = 1000, backoff = "10ms..200ms")]
async fn watch(event: &ParcelMovedEvent, journal: Service<Journal>) {
    journal.0.lock().unwrap().push((event.parcel_id.clone(), event.step));
}

#[event_handler(ParcelMovedEvent, group = "faults", max_attempts = 1000, backoff = "10ms..200ms")]
async fn ledger(event: &ParcelMovedEvent, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let effect = format!("{} {}", event.parcel_id, event.step);
    // Behind a proxy, a prepared statement would stay where the next transaction does not find it.
    sqlx::query("insert into effects (effect) values ($1)").persistent(false).bind(effect).execute(connection).await?;
    Ok(())
}

pub(crate) async fn runtime(harness: &PostgresHarness, journal: &Arc<Journal>) -> DomainEvents<PostgresStore> {
    DomainEvents::builder()
        .store(harness.open().await)
        .without_linked()
        .handler(handler!(watch))
        .handler(handler!(ledger))
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

pub(crate) async fn save(events: &DomainEvents<PostgresStore>, parcel: &mut Parcel) -> domain_events::Result<()> {
    let mut work = events.begin().await?;
    work.record(parcel);
    work.commit().await
}

/// How many effects there are by now.
pub(crate) async fn written(harness: &PostgresHarness) -> usize {
    harness.effects().await.len()
}

/// Writers and a processor at work while `fault` does its worst; then the books.
pub(crate) async fn survives(harness: &PostgresHarness, fault: impl AsyncFnOnce()) {
    let journal = Arc::new(Journal::default());
    let events = runtime(harness, &journal).await;
    let running = events.processor().start().await.unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| tokio::spawn(write(events.clone(), format!("w{writer}"), Arc::clone(&stop))))
        .collect();
    fault().await;
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
