use domain_events::prelude::*;

#[aggregate_root]
struct Card {
    #[aggregate(id)]
    id: String,
    events: PendingEvents,
}


#[derive(serde::Serialize, serde::Deserialize)]
struct CardId(u64);

impl std::fmt::Display for CardId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "card-{}", self.0)
    }
}

#[derive(DomainEvent)]
#[event(aggregate = Card)]
struct CardAdded {
    #[event(aggregate_id)]
    r#type: CardId,
}

fn main() {
    assert_eq!(CardAdded { r#type: CardId(7) }.aggregate_id().as_str(), "card-7");
}
