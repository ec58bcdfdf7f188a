//! Taking a backlog in: a consumer with one handler that counts, against the raw client, which decodes the same JSON and
//! acknowledges in batches. Both from the first event to the last one: what connecting, taking ownership and leaving
//! cost is left out.
//!
//! The store is a `MemoryStore`: there is no inbox. Both sides insist that they saw each event once, in each card's order.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use domain_events::{DomainEvents, Service, Services, event_handler, handler};
use domain_events_bench::{CardAddedToLibraryEvent, ROUNDS, Spread};
use tokio::sync::Notify;

use crate::broker::{Broker, HANDLER, MESSAGES, Seen, messages};

/// How long a round may take.
const LIMIT: Duration = Duration::from_secs(120);

#[derive(Default)]
pub struct Tally {
    seen: Mutex<Seen>,
    done: Notify,
}

#[event_handler(CardAddedToLibraryEvent, group = "bench")]
async fn count(event: &CardAddedToLibraryEvent, tally: &Service<Tally>) {
    let mut seen = tally.seen.lock().expect("no panic before");
    seen.see(&event.card_id, &event.curator_id);
    if seen.count == MESSAGES {
        tally.done.notify_one();
    }
}

/// How many seconds the consumer takes.
async fn consumer<B: Broker>(broker: &B, prefix: &str) -> f64 {
    let transport = broker.transport(prefix).await;
    transport.publisher().await.expect("a way in").publish(&messages()).await.expect("a backlog");
    let tally = Arc::new(Tally::default());
    let events = DomainEvents::builder()
        .without_linked()
        .handler(handler!(count))
        .services(Services::new().with::<Tally>(Arc::clone(&tally)))
        .build()
        .expect("the wiring is right");
    let consumer = events.consumer(transport).start().expect("a consumer");
    assert_eq!(&*consumer.health()[0].name, HANDLER, "the backlog is this handler's");
    let done = tokio::time::timeout(LIMIT, tally.done.notified()).await;
    assert!(done.is_ok(), "the consumer does not get on: {:?}", consumer.health());
    consumer.shutdown().await.expect("a clean end");
    let seen = tally.seen.lock().expect("no panic before");
    assert_eq!(seen.count, MESSAGES, "each event was handled once");
    seen.seconds
}

/// How many seconds the raw client takes.
async fn raw<B: Broker>(broker: &B, name: &str) -> f64 {
    broker.prepare(name).await;
    broker.publish(name, &messages()).await;
    let mut seen = Seen::default();
    let taken = tokio::time::timeout(LIMIT, broker.take(name, &mut seen, MESSAGES)).await;
    assert!(taken.is_ok() && seen.count == MESSAGES, "{} of {MESSAGES} messages came", seen.count);
    seen.seconds
}

pub async fn measure<B: Broker>(broker: &B) {
    let (mut theirs, mut ours, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let base = MESSAGES as f64 / raw(broker, &format!("rawc{round}")).await;
        let rate = MESSAGES as f64 / consumer(broker, &format!("taken{round}")).await;
        // The first round warms up.
        if round > 0 {
            theirs.push(base);
            ours.push(rate);
            ratios.push(rate / base);
        }
    }
    println!(
        "\n| consume {MESSAGES} events ({}), {ROUNDS} rounds | {} {:.0}/s | consumer {:.0}/s | ratio {} | goal >= 0.80 |\n",
        B::NAME,
        B::RAW,
        Spread::of(theirs),
        Spread::of(ours),
        Spread::of(ratios),
    );
}
