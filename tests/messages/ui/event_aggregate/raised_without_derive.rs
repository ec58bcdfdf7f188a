use domain_events::prelude::*;

#[aggregate_root]
struct Card {
    #[aggregate(id)]
    id: String,
    events: PendingEvents,
}

struct CardAdded {
    card_id: String,
}

fn add(card: &mut Card) {
    card.raise(CardAdded { card_id: card.id.clone() });
}

fn main() {}
