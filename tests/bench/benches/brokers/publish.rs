//! Publishing a backlog: the relay, from nothing connected until its position is behind the last event, against the raw
//! client, from nothing connected until its last message is confirmed.
//!
//! The log is a `MemoryStore`, so no database is measured. The relay reads and encodes what it publishes; the raw client is
//! handed the bytes.

use std::time::{Duration, Instant};

use domain_events::DomainEvents;
use domain_events_bench::{Card, ROUNDS, Spread};

use crate::broker::{Broker, CARDS, MESSAGES, messages};

/// How long a round may take.
const LIMIT: Duration = Duration::from_secs(120);
/// How often the relay's position is looked at: so much too late it may seem to be done.
const LOOK: Duration = Duration::from_millis(2);

async fn backlog() -> DomainEvents {
    let events = DomainEvents::builder().without_linked().build().expect("no wiring to get wrong");
    for batch in 0..MESSAGES / 100 {
        let mut work = events.begin().await.expect("a unit of work");
        for number in 0..100 {
            let mut card = Card::new(format!("card-{}", (batch * 100 + number) % CARDS));
            card.add_to_library();
            work.record(&mut card);
        }
        work.commit().await.expect("a commit");
    }
    events
}

/// How many seconds the relay takes.
async fn relay<B: Broker>(broker: &B, prefix: &str) -> f64 {
    let events = backlog().await;
    let transport = broker.transport(prefix).await;
    let started = Instant::now();
    let relay = events.relay(transport).start().await.expect("a relay");
    while events.admin().subscriptions().await.expect("a memory").iter().any(|relay| relay.lag > 0) {
        assert!(started.elapsed() < LIMIT, "the relay does not get on: {:?}", relay.health());
        tokio::time::sleep(LOOK).await;
    }
    let seconds = started.elapsed().as_secs_f64();
    relay.shutdown().await.expect("a clean end");
    assert_eq!(broker.stored_by_transport(prefix).await, MESSAGES, "the broker has each event once");
    seconds
}

/// How many seconds the raw client takes.
async fn raw<B: Broker>(broker: &B, name: &str) -> f64 {
    let messages = messages();
    broker.prepare(name).await;
    let started = Instant::now();
    broker.publish(name, &messages).await;
    let seconds = started.elapsed().as_secs_f64();
    assert_eq!(broker.stored(name).await, MESSAGES, "the broker has each message once");
    seconds
}

pub async fn measure<B: Broker>(broker: &B) {
    let (mut theirs, mut ours, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let base = MESSAGES as f64 / raw(broker, &format!("rawp{round}")).await;
        let rate = MESSAGES as f64 / relay(broker, &format!("relayp{round}")).await;
        // The first round warms up.
        if round > 0 {
            theirs.push(base);
            ours.push(rate);
            ratios.push(rate / base);
        }
    }
    let bytes: usize = messages().iter().map(|message| message.content.body().len()).sum();
    println!(
        "\n| publish {MESSAGES} events of {} bytes with envelope ({}), {ROUNDS} rounds | {} {:.0}/s | relay {:.0}/s | \
         ratio {} | goal >= 0.80 |\n",
        bytes / MESSAGES,
        B::NAME,
        B::RAW,
        Spread::of(theirs),
        Spread::of(ours),
        Spread::of(ratios),
    );
}
