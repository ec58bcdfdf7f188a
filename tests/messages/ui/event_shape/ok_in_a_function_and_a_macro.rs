use domain_events::prelude::*;

#[aggregate_root]
struct Card {
    #[aggregate(id)]
    id: String,
    events: PendingEvents,
}


macro_rules! event {
    ($name:ident, $version:expr, $ty:ty) => {
        #[derive(DomainEvent)]
        #[event(aggregate = Card, version = $version)]
        struct $name {
            #[event(aggregate_id)]
            card_id: String,
            detail: $ty,
            more: Option<$crate::Detail>,
        }

        #[event_handler($name, max_attempts = $version)]
        async fn notify(event: &$name) {
            let _ = (&event.card_id, &event.detail, &event.more);
        }
    };
}

#[derive(serde::Serialize, serde::Deserialize)]
pub struct Detail;

fn main() {
    event!(CardAdded, 2 + 1, Vec<u8>);
    assert_eq!(CardAdded::VERSION, 3);
    assert_eq!(domain_events::handler!(notify).options.max_attempts, 3);
}
