use domain_events::prelude::*;

#[aggregate_root]
struct Card {
    #[aggregate(id)]
    id: String,
    events: PendingEvents,
}


/// A derive sees its fields after `#[cfg]`: nothing to refuse here.
#[derive(DomainEvent)]
#[event(aggregate = Card)]
struct CardAdded {
    #[event(aggregate_id)]
    card_id: String,
    #[cfg(any())]
    never: std::rc::Rc<u8>,
    #[cfg(all())]
    always: u8,
    #[event(occurred_at)]
    at: DateTime<Utc>,
}

fn main() {
    let _ = CardAdded::new("1".into(), 7).always;
}
