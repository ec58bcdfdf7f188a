//! From the end of the commit to the handler, while idle otherwise: one event at a time.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use domain_events::{DomainEvents, Service, Services, SqliteStore, event_handler, handler};
use domain_events_bench::{Card, CardAddedToLibraryEvent, Folder, percentile};
use tokio::sync::mpsc;

pub struct Arrivals(mpsc::UnboundedSender<Instant>);

#[event_handler(CardAddedToLibraryEvent)]
async fn arrive(_: &CardAddedToLibraryEvent, arrivals: &Service<Arrivals>) {
    let _ = arrivals.0.send(Instant::now());
}

async fn measure(events: usize) -> Vec<Duration> {
    let folder = Folder::new();
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let store = SqliteStore::open(folder.file("latency.db")).await.expect("a store");
    let runtime = DomainEvents::builder()
        .without_linked()
        .store(store)
        .handler(handler!(arrive))
        .services(Services::new().with::<Arrivals>(Arc::new(Arrivals(sender))))
        .build()
        .expect("the wiring is right");
    let processor = runtime.processor().start().await.expect("a processor");
    let mut latencies = Vec::with_capacity(events);
    for number in 0..events + 50 {
        let mut card = Card::new(format!("card-{number}"));
        card.add_to_library();
        let mut work = runtime.begin().await.expect("a unit of work");
        work.record(&mut card);
        work.commit().await.expect("a commit");
        let committed = Instant::now();
        let arrived = receiver.recv().await.expect("the event arrives");
        // The first ones open connections and prepare statements.
        if number >= 50 {
            latencies.push(arrived.saturating_duration_since(committed));
        }
        // A pause in between, as between two requests: the processor goes to sleep again.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    processor.shutdown().await.expect("a clean end");
    latencies.sort_unstable();
    latencies
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let latencies = runtime.block_on(measure(1_000));
    println!(
        "| commit -> handler when idle (SQLite, 1,000 events) | p50 {:?} | p99 {:?} | max {:?} | goal p99 < 5 ms |",
        percentile(&latencies, 0.5),
        percentile(&latencies, 0.99),
        percentile(&latencies, 1.0),
    );
}
