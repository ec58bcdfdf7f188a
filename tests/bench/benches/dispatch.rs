//! In-process dispatch of one event to 1, 2, 4 and 16 handlers, against the loop one would write by hand.
//!
//! By hand: the aggregate keeps its events in a `Vec<Box<_>>`, the handlers stand in a `Vec<Arc<dyn Handler>>`, their
//! futures are boxed by `async_trait`, and the errors are kept. Both sides make the same event, own it on the heap, call
//! the same service from handlers of as many types, tell failures, and drop the event.
//!
//! What the hand-written loop does without: a net for panics, time limits, spans, event ids, knowing which handler failed
//! on which event; and it is for this one type of event, known when it was compiled.
//!
//! These handlers answer at once, and the compiler can see it: ours then need no box for their futures, which
//! `async_trait` always makes. Handlers whose waiting it can't see through are boxed on both sides.

use std::{
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use domain_events::{DomainEvents, Service, Services, event_handler, handler};
use domain_events_bench::{Card, CardAddedToLibraryEvent, compare, criterion, event};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The service both sides call.
#[derive(Default)]
pub struct Tally(AtomicU64);

impl Tally {
    async fn add(&self, event: &CardAddedToLibraryEvent, weight: u64) -> Result<(), Failure> {
        self.0.fetch_add(event.card_id.len() as u64 * weight, Ordering::Relaxed);
        Ok(())
    }
}

#[async_trait]
trait Handler: Send + Sync {
    async fn handle(&self, event: &CardAddedToLibraryEvent) -> Result<(), Failure>;
}

/// The same handlers twice: for the loop by hand, and for domain-events. Each has a number of its own, or the compiler
/// would make one function of them all.
macro_rules! handlers {
    ($($weight:literal $by_hand:ident $ours:ident),*) => {
        $(
            struct $by_hand(Arc<Tally>);

            #[async_trait]
            impl Handler for $by_hand {
                async fn handle(&self, event: &CardAddedToLibraryEvent) -> Result<(), Failure> {
                    self.0.add(event, $weight).await
                }
            }

            #[event_handler(CardAddedToLibraryEvent)]
            async fn $ours(event: &CardAddedToLibraryEvent, tally: &Service<Tally>) -> Result<(), Failure> {
                tally.add(event, $weight).await
            }
        )*

        fn by_hand(tally: &Arc<Tally>, count: usize) -> ByHand {
            let handlers: [Arc<dyn Handler>; _] = [$(Arc::new($by_hand(Arc::clone(tally)))),*];
            ByHand { handlers: handlers.into_iter().take(count).collect() }
        }

        fn ours(tally: &Arc<Tally>, count: usize) -> DomainEvents {
            [$(handler!($ours)),*]
                .into_iter()
                .take(count)
                .fold(DomainEvents::builder().without_linked(), |builder, handler| builder.handler(handler))
                .services(Services::new().with::<Tally>(Arc::clone(tally)))
                .build()
                .expect("the wiring is right")
        }
    };
}

handlers!(
    1 H01 h01, 2 H02 h02, 3 H03 h03, 4 H04 h04, 5 H05 h05, 6 H06 h06, 7 H07 h07, 8 H08 h08, 9 H09 h09, 10 H10 h10, 11 H11 h11, 12 H12 h12, 13 H13 h13, 14 H14 h14, 15 H15 h15, 16 H16 h16
);

/// What one would write: the aggregate's events in a `Vec`, the handlers in another, and a loop that keeps the errors.
struct ByHand {
    handlers: Vec<Arc<dyn Handler>>,
}

struct PlainCard {
    id: String,
    events: Vec<Box<CardAddedToLibraryEvent>>,
}

impl PlainCard {
    fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), events: Vec::new() }
    }

    fn add_to_library(&mut self) {
        self.events.push(Box::new(event(&self.id)));
    }
}

impl ByHand {
    async fn dispatch(&self, card: &mut PlainCard) -> Vec<Failure> {
        let mut failures = Vec::new();
        for event in std::mem::take(&mut card.events) {
            for handler in &self.handlers {
                if let Err(error) = handler.handle(&event).await {
                    failures.push(error);
                }
            }
        }
        failures
    }
}

/// How many aggregates have raised their event before the clock starts, where the dispatch alone is measured: the clock
/// is read once for all, and the allocator still has room at hand for so many.
const BATCH: u64 = 6;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut criterion = criterion(Duration::from_millis(300));
    for count in [1, 2, 4, 16] {
        let tally = Arc::new(Tally::default());
        let (by_hand, events) = (by_hand(&tally, count), ours(&tally, count));
        let handlers = if count == 1 { "1 handler".to_owned() } else { format!("{count} handlers") };

        compare(
            &mut criterion,
            &format!("raise one event and dispatch it to {handlers}"),
            "<= 1.15",
            ("by hand", |bencher| {
                bencher.to_async(&runtime).iter_custom(async |count| {
                    let mut card = PlainCard::new("card-1");
                    let started = Instant::now();
                    for _ in 0..count {
                        card.add_to_library();
                        black_box(by_hand.dispatch(&mut card).await.is_empty());
                    }
                    started.elapsed()
                });
            }),
            ("domain-events", |bencher| {
                bencher.to_async(&runtime).iter_custom(async |count| {
                    let mut card = Card::new("card-1");
                    let started = Instant::now();
                    for _ in 0..count {
                        card.add_to_library();
                        black_box(events.dispatch(&mut card).await.is_ok());
                    }
                    started.elapsed()
                });
            }),
        );
        compare(
            &mut criterion,
            &format!("dispatch one raised event to {handlers}"),
            "<= 1.15",
            ("by hand", |bencher| {
                bencher.to_async(&runtime).iter_custom(async |count| {
                    let mut cards: Vec<_> = (0..BATCH).map(|_| PlainCard::new("card-1")).collect();
                    let mut dispatching = Duration::ZERO;
                    for _ in 0..count {
                        cards.iter_mut().for_each(PlainCard::add_to_library);
                        let started = Instant::now();
                        for card in &mut cards {
                            black_box(by_hand.dispatch(card).await.is_empty());
                        }
                        dispatching += started.elapsed();
                    }
                    dispatching / BATCH as u32
                });
            }),
            ("domain-events", |bencher| {
                bencher.to_async(&runtime).iter_custom(async |count| {
                    let mut cards: Vec<_> = (0..BATCH).map(|_| Card::new("card-1")).collect();
                    let mut dispatching = Duration::ZERO;
                    for _ in 0..count {
                        cards.iter_mut().for_each(Card::add_to_library);
                        let started = Instant::now();
                        for card in &mut cards {
                            black_box(events.dispatch(card).await.is_ok());
                        }
                        dispatching += started.elapsed();
                    }
                    dispatching / BATCH as u32
                });
            }),
        );
    }
}
