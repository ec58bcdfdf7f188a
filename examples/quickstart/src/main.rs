use domain_events::{DomainEvents, prelude::*, shutdown_signal};
#[derive(DomainEvent)]
#[event(aggregate = Card)]
struct CardAddedToLibraryEvent {
    #[event(aggregate_id)]
    card_id: String,
}

#[aggregate_root]
struct Card {
    #[aggregate(id)]
    id: String,
    events: PendingEvents,
}

#[event_handler(CardAddedToLibraryEvent)]
async fn notify_followers(event: &CardAddedToLibraryEvent) {
    println!("{} was added to a library", event.card_id);
}

#[tokio::main]
async fn main() -> domain_events::Result<()> {
    let events = DomainEvents::builder().build()?; // in memory; `.store(SqliteStore::open("cards.db").await?)` keeps them
    let mut card = Card { id: "rust-book".into(), events: PendingEvents::default() };
    card.raise(CardAddedToLibraryEvent { card_id: card.id.clone() });
    let mut work = events.begin().await?;
    work.record(&mut card);
    work.commit().await?;
    events.processor().run(shutdown_signal()).await
}
