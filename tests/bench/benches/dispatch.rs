//! In-process dispatch of one event to two handlers, against the loop one would write by hand.

use std::{
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use domain_events::{DomainEvents, Service, Services, event_handler, handler};
use domain_events_bench::{Card, CardAddedToLibraryEvent, compare, criterion, event};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The service both sides call.
#[derive(Default)]
pub struct Tally(AtomicU64);

impl Tally {
    async fn add(&self, event: &CardAddedToLibraryEvent) -> Result<(), Failure> {
        self.0.fetch_add(event.card_id.len() as u64, Ordering::Relaxed);
        Ok(())
    }
}

#[event_handler(CardAddedToLibraryEvent)]
async fn first(event: &CardAddedToLibraryEvent, tally: &Service<Tally>) -> Result<(), Failure> {
    tally.add(event).await
}

#[event_handler(CardAddedToLibraryEvent)]
async fn second(event: &CardAddedToLibraryEvent, tally: &Service<Tally>) -> Result<(), Failure> {
    tally.add(event).await
}

#[async_trait]
trait Handler: Send + Sync {
    async fn handle(&self, event: &CardAddedToLibraryEvent) -> Result<(), Failure>;
}

struct First(Arc<Tally>);
struct Second(Arc<Tally>);

#[async_trait]
impl Handler for First {
    async fn handle(&self, event: &CardAddedToLibraryEvent) -> Result<(), Failure> {
        self.0.add(event).await
    }
}

#[async_trait]
impl Handler for Second {
    async fn handle(&self, event: &CardAddedToLibraryEvent) -> Result<(), Failure> {
        self.0.add(event).await
    }
}

/// What one would write: the aggregate's events in a `Vec`, the handlers in another, and a loop that keeps the errors.
struct ByHand {
    handlers: Vec<Arc<dyn Handler>>,
}

#[derive(Default)]
struct PlainCard {
    events: Vec<Box<CardAddedToLibraryEvent>>,
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

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let tally = Arc::new(Tally::default());
    let by_hand = ByHand { handlers: vec![Arc::new(First(Arc::clone(&tally))), Arc::new(Second(Arc::clone(&tally)))] };
    let events = DomainEvents::builder()
        .without_linked()
        .handler(handler!(first))
        .handler(handler!(second))
        .services(Services::new().with::<Tally>(Arc::clone(&tally)))
        .build()
        .expect("the wiring is right");

    let mut criterion = criterion(Duration::from_millis(700));
    compare(
        &mut criterion,
        "raise one event and dispatch it to 2 handlers",
        "<= 1.15",
        ("by hand", |bencher| {
            bencher.to_async(&runtime).iter_custom(async |count| {
                let mut card = PlainCard::default();
                let started = std::time::Instant::now();
                for _ in 0..count {
                    card.events.push(Box::new(event("card-1")));
                    black_box(by_hand.dispatch(&mut card).await);
                }
                started.elapsed()
            });
        }),
        ("domain-events", |bencher| {
            bencher.to_async(&runtime).iter_custom(async |count| {
                let mut card = Card::new("card-1");
                let started = std::time::Instant::now();
                for _ in 0..count {
                    card.add_to_library();
                    let _ = black_box(events.dispatch(&mut card).await);
                }
                started.elapsed()
            });
        }),
    );
}
