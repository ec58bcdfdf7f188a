//! A backlog of 100,000 events, drained by one handler and by 16: they share what is read.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Instant,
};

use domain_events::{
    DomainEvents, EventMeta, PostgresStore, Service, Services, event_handler, handler,
    testkit::conformance::PostgresServer,
};
use domain_events_bench::{Card, CardAddedToLibraryEvent, ROUNDS, Spread};

use crate::{database, open};

const EVENTS: u64 = 100_000;
const CARDS: usize = 1_000;

/// What a handler has seen: how many events, and each card's last one. Apart from what others have seen, for which
/// threads would wait for each other.
#[repr(align(128))]
struct Seen {
    events: AtomicU64,
    last: Vec<AtomicI64>,
}

pub struct Tally(Vec<Seen>);

impl Tally {
    fn of(handlers: usize) -> Self {
        let seen = || Seen { events: AtomicU64::new(0), last: (0..CARDS).map(|_| AtomicI64::new(0)).collect() };
        Self((0..handlers).map(|_| seen()).collect())
    }

    fn see(&self, handler: usize, event: &CardAddedToLibraryEvent, meta: &EventMeta) {
        let card: usize = event.card_id["card-".len()..].parse().expect("a card's number");
        let position = meta.position.expect("a position");
        let before = self.0[handler].last[card].swap(position, Ordering::Relaxed);
        assert!(before < position, "card {card}: {position} came after {before}");
        self.0[handler].events.fetch_add(1, Ordering::Relaxed);
    }
}

/// Handlers that differ in nothing but their number.
macro_rules! handlers {
    ($($name:ident $number:literal),*) => {
        $(
            #[event_handler(CardAddedToLibraryEvent)]
            async fn $name(event: &CardAddedToLibraryEvent, meta: &EventMeta, tally: &Service<Tally>) {
                tally.see($number, event, meta);
            }
        )*

        const HANDLERS: [&domain_events::handler::HandlerDef; 16] = [$(handler!($name)),*];
    };
}

handlers!(
    h0 0, h1 1, h2 2, h3 3, h4 4, h5 5, h6 6, h7 7, h8 8, h9 9, h10 10, h11 11, h12 12, h13 13, h14 14, h15 15
);

async fn fill(store: &PostgresStore) {
    let events = DomainEvents::builder().without_linked().store(store.clone()).build().expect("no wiring to get wrong");
    for batch in 0..EVENTS / 1_000 {
        let mut work = events.begin().await.expect("a unit of work");
        for number in 0..100 {
            let mut card = Card::new(format!("card-{}", (batch * 100 + number) as usize % CARDS));
            (0..10).for_each(|_| card.add_to_library());
            work.record(&mut card);
        }
        work.commit().await.expect("a commit");
    }
}

/// How many seconds so many handlers take, from the beginning of the log.
async fn drain(store: &PostgresStore, handlers: usize) -> f64 {
    sqlx::query("TRUNCATE event_subscription").execute(store.pool()).await.expect("nobody is at work");
    let tally = Arc::new(Tally::of(handlers));
    let mut builder = DomainEvents::builder()
        .without_linked()
        .store(store.clone())
        .services(Services::new().with::<Tally>(Arc::clone(&tally)));
    for handler in &HANDLERS[..handlers] {
        builder = builder.handler(handler);
    }
    let events = builder.build().expect("the wiring is right");
    let started = Instant::now();
    events.processor().drain().await.expect("a processor");
    let seconds = started.elapsed().as_secs_f64();
    for seen in &tally.0 {
        assert_eq!(seen.events.load(Ordering::Relaxed), EVENTS, "each handler saw each event once");
    }
    seconds
}

pub async fn measure(server: &PostgresServer) {
    let store = open(&database(server, "drain")).await;
    fill(&store).await;
    drain(&store, 1).await;
    for (handlers, goal) in [(4, "< 2"), (16, "< 2")] {
        let (mut ones, mut several, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let (one, all) = (drain(&store, 1).await, drain(&store, handlers).await);
            ones.push(one);
            several.push(all);
            ratios.push(all / one);
        }
        let (one, all) = (Spread::of(ones), Spread::of(several));
        println!(
            "\n| drain {EVENTS} events (PostgreSQL), {ROUNDS} rounds | 1 handler {one} s | {handlers} handlers {all} s, \
             {:.0} deliveries/s | ratio {} | goal {goal} |\n",
            handlers as f64 * EVENTS as f64 / all.middle,
            Spread::of(ratios),
        );
    }
}
