use domain_events::prelude::*;

#[aggregate_root]
struct Card {
    #[aggregate(id)]
    #[cfg(all())]
    id: String,
    #[cfg(all())]
    events: PendingEvents,
}

fn main() {}
