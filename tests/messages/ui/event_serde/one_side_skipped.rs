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
    #[serde(skip_serializing)]
    price: Money,
}

struct Weight(u64);

#[derive(DomainEvent)]
#[event(aggregate = Card)]
struct CardWeighed {
    #[event(aggregate_id)]
    card_id: String,
    #[serde(deserialize_with = "weight")]
    weight: Weight,
}

fn weight<'de, D: serde::Deserializer<'de>>(_: D) -> Result<Weight, D::Error> {
    Ok(Weight(0))
}

fn main() {}
