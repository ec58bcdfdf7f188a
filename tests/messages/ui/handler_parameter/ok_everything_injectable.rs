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


trait Mailer: Send + Sync {}
struct Gateway;

#[event_handler(CardAdded)]
async fn notify(
    _: &CardAdded,
    _: Service<dyn Mailer>,
    _: &Service<dyn Mailer>,
    _: Service<Gateway>,
    _: Service<dyn Mailer + Send + Sync>,
    _: &EventMeta,
    attempt: Attempt,
) {
    let _ = attempt.0;
}

fn main() {}
