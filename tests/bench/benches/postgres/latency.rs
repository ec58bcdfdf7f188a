//! From the end of a commit to the handler at 500 events a second, and the same while another transaction that has
//! written is held open.

use std::{
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use domain_events::{
    DomainEvents, PostgresStore, Service, Services, event_handler, handler, testkit::conformance::PostgresServer,
};
use domain_events_bench::{Card, CardAddedToLibraryEvent, ROUNDS, Spread, percentile};
use tokio::task::JoinSet;

use crate::{database, open, plain};

const RATE: u32 = 500;
/// How long a round lasts, and how long the other transaction is held open in it.
const ROUND: Duration = Duration::from_secs(5);
const EVENTS: usize = 2_500;

/// When each event arrived.
pub struct Arrivals(Vec<OnceLock<Instant>>);

#[event_handler(CardAddedToLibraryEvent)]
async fn arrive(event: &CardAddedToLibraryEvent, arrivals: &Service<Arrivals>) {
    let number: usize = event.card_id.trim_start_matches("card-").parse().expect("a card's number");
    if let Some(arrival) = arrivals.0.get(number) {
        arrival.set(Instant::now()).expect("each event arrives once");
    }
}

async fn commit(events: &DomainEvents<PostgresStore>, number: usize) -> Instant {
    let mut card = Card::new(format!("card-{number}"));
    card.add_to_library();
    let mut work = events.begin().await.expect("a unit of work");
    work.record(&mut card);
    work.commit().await.expect("a commit");
    Instant::now()
}

/// The latencies of one round, sorted.
async fn round(store: &PostgresStore, held_open: bool) -> Vec<Duration> {
    let arrivals = Arc::new(Arrivals((0..EVENTS).map(|_| OnceLock::new()).collect()));
    let events = DomainEvents::builder()
        .without_linked()
        .store(store.clone())
        .handler(handler!(arrive))
        .services(Services::new().with::<Arrivals>(Arc::clone(&arrivals)))
        .build()
        .expect("the wiring is right");
    let processor = events.processor().start().await.expect("a processor");
    // The first ones open connections and prepare statements.
    for number in EVENTS..EVENTS + 50 {
        commit(&events, number).await;
    }
    let mut other = store.pool().begin().await.expect("a transaction");
    if held_open {
        sqlx::query("INSERT INTO card (id, url) VALUES ('held', '')").execute(&mut *other).await.expect("a row");
    }
    let mut pace = tokio::time::interval(Duration::from_secs(1) / RATE);
    let mut writers = JoinSet::new();
    let started = Instant::now();
    for number in 0..EVENTS {
        pace.tick().await;
        let events = events.clone();
        writers.spawn(async move { (number, commit(&events, number).await) });
    }
    let mut commits: Vec<(usize, Instant)> = Vec::with_capacity(EVENTS);
    while let Some(written) = writers.join_next().await {
        commits.push(written.expect("a writer ends"));
    }
    tokio::time::sleep(ROUND.saturating_sub(started.elapsed())).await;
    let missing = || arrivals.0.iter().filter(|arrival| arrival.get().is_none()).count();
    let stuck = missing();
    other.rollback().await.expect("it ends");
    let limit = Instant::now() + 2 * ROUND;
    while missing() > 0 {
        assert!(Instant::now() < limit, "{} events have not arrived", missing());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    processor.shutdown().await.expect("a clean end");
    // On a busy machine, the last ones may still be on their way.
    assert!(stuck < EVENTS / 10, "{stuck} events waited for the other transaction");
    let mut latencies: Vec<Duration> = commits
        .into_iter()
        .map(|(number, committed)| {
            arrivals.0[number].get().expect("every event arrives").saturating_duration_since(committed)
        })
        .collect();
    latencies.sort_unstable();
    latencies
}

pub async fn measure(server: &PostgresServer) {
    let store = open(&database(server, "latency")).await;
    sqlx::query(plain::CARD_TABLE).execute(store.pool()).await.expect("DDL");
    round(&store, false).await;
    let mut figures: [[Vec<f64>; 3]; 2] = Default::default();
    for _ in 0..ROUNDS {
        for (held_open, figures) in [false, true].into_iter().zip(&mut figures) {
            let latencies = round(&store, held_open).await;
            for (figures, part) in figures.iter_mut().zip([0.5, 0.99, 1.0]) {
                figures.push(percentile(&latencies, part).as_secs_f64() * 1e3);
            }
        }
    }
    let p99 = |side: &[Vec<f64>; 3]| side[1].clone();
    let ratios = p99(&figures[1]).iter().zip(p99(&figures[0])).map(|(held, quiet)| held / quiet).collect();
    for (what, [p50, p99, max]) in ["", ", a transaction held open"].into_iter().zip(figures) {
        println!(
            "\n| commit -> handler at {RATE} events/s{what} (PostgreSQL), ms, {ROUNDS} rounds | p50 {} | p99 {} | max {} \
             | goal p99 <= 10 ms |",
            Spread::of(p50),
            Spread::of(p99),
            Spread::of(max),
        );
    }
    println!("\n| p99 with a transaction held open to p99 without | ratio {} |\n", Spread::of(ratios));
}
