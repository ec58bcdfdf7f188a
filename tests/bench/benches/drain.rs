//! A backlog on SQLite drained by 4 handlers: speed, and memory while the backlog is 10 and 100 times a window.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use domain_events::{DomainEvents, Service, Services, SqliteStore, event_handler, handler};
use domain_events_bench::{Card, CardAddedToLibraryEvent, Folder};

#[derive(Default)]
pub struct Tally(AtomicU64);

#[event_handler(CardAddedToLibraryEvent)]
async fn first(_: &CardAddedToLibraryEvent, tally: &Service<Tally>) {
    tally.0.fetch_add(1, Ordering::Relaxed);
}

#[event_handler(CardAddedToLibraryEvent)]
async fn second(_: &CardAddedToLibraryEvent, tally: &Service<Tally>) {
    tally.0.fetch_add(1, Ordering::Relaxed);
}

#[event_handler(CardAddedToLibraryEvent)]
async fn third(_: &CardAddedToLibraryEvent, tally: &Service<Tally>) {
    tally.0.fetch_add(1, Ordering::Relaxed);
}

#[event_handler(CardAddedToLibraryEvent)]
async fn fourth(_: &CardAddedToLibraryEvent, tally: &Service<Tally>) {
    tally.0.fetch_add(1, Ordering::Relaxed);
}

/// Resident memory in KiB, from the kernel; 0 where it does not say.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).unwrap_or(0)
}

async fn drain(backlog: u64) -> (f64, u64) {
    let folder = Folder::new();
    let tally = Arc::new(Tally::default());
    let store = SqliteStore::open(folder.file("drain.db")).await.expect("a store");
    let events = DomainEvents::builder()
        .without_linked()
        .store(store)
        .handler(handler!(first))
        .handler(handler!(second))
        .handler(handler!(third))
        .handler(handler!(fourth))
        .services(Services::new().with::<Tally>(Arc::clone(&tally)))
        .build()
        .expect("the wiring is right");
    for batch in 0..backlog / 1_000 {
        let mut work = events.begin().await.expect("a unit of work");
        for number in 0..100 {
            let mut card = Card::new(format!("card-{}", (batch * 100 + number) % 1_000));
            (0..10).for_each(|_| card.add_to_library());
            work.record(&mut card);
        }
        work.commit().await.expect("a commit");
    }

    let before = resident();
    let peak = Arc::new(AtomicU64::new(before));
    let watch = {
        let (peak, tally) = (Arc::clone(&peak), Arc::clone(&tally));
        tokio::spawn(async move {
            while tally.0.load(Ordering::Relaxed) < 4 * backlog {
                peak.fetch_max(resident(), Ordering::Relaxed);
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        })
    };
    let started = Instant::now();
    events.processor().drain().await.expect("a processor");
    let seconds = started.elapsed().as_secs_f64();
    watch.await.expect("the watch ends");
    assert_eq!(tally.0.load(Ordering::Relaxed), 4 * backlog, "each handler saw each event once");
    (seconds, peak.load(Ordering::Relaxed) - before)
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    // The first run pays for what every run needs: threads, caches, the allocator's arenas.
    runtime.block_on(drain(5_000));
    for backlog in [10_000, 100_000] {
        let (seconds, grown) = runtime.block_on(drain(backlog));
        println!(
            "| drain {backlog} events by 4 handlers (SQLite) | {:.0} events/s, {:.0} deliveries/s | memory grew by {grown} KiB |",
            backlog as f64 / seconds,
            4.0 * backlog as f64 / seconds,
        );
    }
}
