//! What a running relay costs the commits of its process: one event a commit on SQLite, every commit on the disk, with
//! nothing else at work and with a relay that publishes each of them to Redis.

use std::time::{Duration, Instant};

use domain_events::{DomainEvents, SqliteStore, testkit::server::RedisServer, transport::connect};
use domain_events_bench::{Card, Folder, ROUNDS, Spread, percentile};

/// How many commits of a round are measured, and how many before them are not.
const COMMITS: usize = 500;
const WARM: usize = 50;
/// Between two commits, as between two requests: the relay has published the one before.
const BREATH: Duration = Duration::from_millis(2);
/// How long the relay may take for the rest.
const LIMIT: Duration = Duration::from_secs(60);

/// The median of a commit in microseconds.
async fn commit(server: &RedisServer, prefix: Option<&str>, breath: Duration) -> f64 {
    let folder = Folder::new();
    let store = SqliteStore::open(folder.file("commit.db")).await.expect("a store");
    let events = DomainEvents::builder().without_linked().store(store).build().expect("no wiring to get wrong");
    let relay = match prefix {
        Some(prefix) => {
            let transport = connect(&server.url(prefix)).expect("an address");
            Some(events.relay(transport).start().await.expect("a relay"))
        }
        None => None,
    };
    let mut times = Vec::with_capacity(COMMITS);
    for number in 0..WARM + COMMITS {
        let mut card = Card::new(format!("card-{number}"));
        card.add_to_library();
        let mut work = events.begin().await.expect("a unit of work");
        work.record(&mut card);
        let started = Instant::now();
        work.commit().await.expect("a commit");
        if number >= WARM {
            times.push(started.elapsed());
        }
        if !breath.is_zero() {
            tokio::time::sleep(breath).await;
        }
    }
    if let Some((relay, prefix)) = relay.zip(prefix) {
        let begun = Instant::now();
        while events.admin().subscriptions().await.expect("a store").iter().any(|relay| relay.lag > 0) {
            assert!(begun.elapsed() < LIMIT, "the relay does not get on: {:?}", relay.health());
            tokio::time::sleep(BREATH).await;
        }
        relay.shutdown().await.expect("a clean end");
        let stored = crate::redis::stored(server, prefix).await;
        assert_eq!(stored, WARM + COMMITS, "the broker has each event once");
    }
    times.sort_unstable();
    percentile(&times, 0.5).as_secs_f64() * 1e6
}

pub async fn measure() {
    let server = RedisServer::private();
    for (what, breath) in [("2 ms between commits", BREATH), ("one after the other", Duration::ZERO)] {
        let (mut alone, mut beside, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..=ROUNDS {
            let prefix = format!("commit{}r{round}", breath.as_millis());
            let without = commit(&server, None, breath).await;
            let with = commit(&server, Some(&prefix), breath).await;
            // The first round warms up.
            if round > 0 {
                alone.push(without);
                beside.push(with);
                ratios.push(with / without);
            }
        }
        println!(
            "\n| commit of one event, p50 (SQLite on a file, {what}), {ROUNDS} rounds | without a relay {:.0} us | with one \
             to Redis {:.0} us | ratio {} | goal <= 1.05 |\n",
            Spread::of(alone),
            Spread::of(beside),
            Spread::of(ratios),
        );
    }
}
