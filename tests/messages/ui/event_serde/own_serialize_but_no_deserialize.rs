use domain_events::prelude::*;

#[aggregate_root]
struct Card {
    #[aggregate(id)]
    id: String,
    events: PendingEvents,
}

struct Money(u64);

#[derive(DomainEvent)]
#[event(aggregate = Card)]
struct CardSold {
    #[event(aggregate_id)]
    card_id: String,
    price: Money,
}

impl serde::Serialize for CardSold {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(self.price.0)
    }
}

fn main() {}
