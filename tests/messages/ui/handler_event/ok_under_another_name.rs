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


mod events {
    pub(crate) use super::CardAdded as Added;
}

#[event_handler(events::Added)]
async fn notify(event: &CardAdded) {
    let _ = &event.card_id;
}

#[event_handler(crate::CardAdded)]
async fn index(CardAdded { card_id }: &events::Added) {
    let _ = card_id;
}

fn main() {}
