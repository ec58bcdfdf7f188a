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


use domain_events::Backoff;
use std::time::Duration;

#[event_handler(CardAdded, timeout = "250ms", backoff = "500ms..10m")]
async fn a(_: &CardAdded) {}

#[event_handler(CardAdded, timeout = "2h", backoff = "2s", once)]
async fn b(_: &CardAdded) {}

#[event_handler(CardAdded, timeout = "1d", backoff = "10m", once = false)]
async fn c(_: &CardAdded) {}

fn main() {
    let secs = Duration::from_secs;
    let (a, b, c) = (domain_events::handler!(a).options, domain_events::handler!(b).options, domain_events::handler!(c).options);
    assert_eq!((a.timeout, a.backoff), (Duration::from_millis(250), Backoff::exponential(Duration::from_millis(500), secs(600))));
    assert_eq!((b.timeout, b.backoff, b.once), (secs(7200), Backoff::exponential(secs(2), secs(300)), true));
    assert_eq!((c.timeout, c.backoff, c.once), (secs(86400), Backoff::exponential(secs(600), secs(600)), false));
}
