use domain_events::prelude::*;

#[aggregate_root]
struct Card {
    #[aggregate(id)]
    id: String,
    events: PendingEvents,
}

#[derive(DomainEvent)]
#[event(aggregate = Card)]
struct CardAdded {
    #[event(aggregate_id)]
    card_id: String,
}


mod cards {
    use super::{CardAdded, event_handler};

    #[event_handler(CardAdded)]
    pub async fn notify(_: &CardAdded) {}

    #[derive(super::FromServices)]
    pub struct Index;

    #[event_handler(CardAdded)]
    impl Index {
        async fn handle(&self, _: &CardAdded) {}
    }

    #[event_handler(CardAdded)]
    pub(crate) async fn r#match(_: &CardAdded) {}
}

fn main() {
    assert_eq!(domain_events::handler!(cards::notify).name, "notify");
    assert_eq!(domain_events::handler!(cards::Index).name, "Index");
    assert_eq!(domain_events::handler!(crate::cards::r#match).name, "match");
}
