use domain_events::prelude::*;


#[aggregate_root]
#[cfg(all())]
#[derive(Default)]
struct Card {
    #[aggregate(id)]
    id: String,
    #[cfg(any())]
    never: Missing,
    events: PendingEvents,
}

#[aggregate_root]
#[cfg(any())]
struct Card {
    #[aggregate(id)]
    id: Missing,
    events: PendingEvents,
}

fn main() {
    assert_eq!(Card::default().aggregate_id().as_str(), "");
}
