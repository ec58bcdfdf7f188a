use domain_events::prelude::*;

#[aggregate_root]
struct Card {
    #[aggregate(id)]
    id: String,
    events: PendingEvents,
}

struct CardId(u64);

#[derive(DomainEvent)]
#[event(aggregate = Card)]
struct CardAdded {
    #[event(aggregate_id)]
    #[serde(skip)]
    card_id: CardId,
}

impl Default for CardId {
    fn default() -> Self {
        CardId(0)
    }
}

fn main() {}
