use domain_events::prelude::*;

#[aggregate_root]
struct Card {
    #[aggregate(id)]
    id: String,
    events: PendingEvents,
}

#[derive(DomainEvent)]
#[event(aggregate = Card)]
struct CardAdded {
    #[event(aggregate_id)]
    card_id: String,
}


#[event_handler(CardAdded)]
#[cfg(any())]
async fn notify(event: &Missing) {}

#[event_handler(CardAdded)]
#[cfg(all())]
async fn notify(event: &CardAdded) {
    let _ = &event.card_id;
}

fn main() {}
