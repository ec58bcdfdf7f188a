use domain_events::prelude::*;

struct CardId(u64);

#[aggregate_root]
struct Card {
    #[aggregate(id)]
    id: CardId,
    events: PendingEvents,
}

fn main() {}
