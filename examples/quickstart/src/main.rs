//! From a change of state to a handled event.
use domain_events::{DomainEvents, MemoryStore, prelude::*};

#[derive(DomainEvent)]
#[event(aggregate = Card)]
struct CardAddedToLibraryEvent {
    #[event(aggregate_id)]
    card_id: String,
    curator: String,
}

#[aggregate_root]
struct Card {
    #[aggregate(id)]
    id: String,
    events: PendingEvents,
}

#[event_handler(CardAddedToLibraryEvent)]
async fn notify_followers(event: &CardAddedToLibraryEvent) {
    println!("{} added card {}", event.curator, event.card_id);
}

#[tokio::main]
async fn main() -> domain_events::Result<()> {
    let events = DomainEvents::builder().store(MemoryStore::new()).build()?;
    let processor = events.processor().start().await?;

    let mut card = Card { id: "rust-book".into(), events: PendingEvents::default() };
    card.raise(CardAddedToLibraryEvent { card_id: card.id.clone(), curator: "ada".into() });

    let mut work = events.begin().await?;
    work.record(&mut card);
    work.commit().await?; // state and events together, or not at all

    processor.shutdown().await
}
