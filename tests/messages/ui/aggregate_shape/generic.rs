use domain_events::prelude::*;

#[aggregate_root]
struct Card<T: Send + Sync + 'static> {
    #[aggregate(id)]
    id: String,
    events: PendingEvents,
    detail: T,
}

fn main() {}
