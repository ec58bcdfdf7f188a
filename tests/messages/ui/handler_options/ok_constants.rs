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


use domain_events::{Backoff, OnDead, Start};
use std::time::Duration;

const GROUP: &str = "letters";
const NAME: &str = "mailer";
const OLD: &str = "mail.old";
const ATTEMPTS: u32 = 7;
const PATIENT: Backoff = Backoff::exponential(Duration::from_secs(5), Duration::from_secs(50));
const LIMIT: Duration = Duration::from_secs(9);
const ONCE: bool = true;
const WIDTH: u16 = 4;

#[event_handler(
    CardAdded,
    group = GROUP,
    name = NAME,
    alias = OLD,
    aliases("a", OLD),
    max_attempts = ATTEMPTS + 1,
    backoff = PATIENT,
    timeout = LIMIT,
    on_dead = OnDead::Park,
    once = ONCE,
    partitions = WIDTH,
    concurrency = { WIDTH * 2 },
    start = Start::Now,
)]
async fn notify(_: &CardAdded) {}

fn main() {
    let def = domain_events::handler!(notify);
    assert_eq!((def.full_name().as_str(), def.aliases), ("letters.mailer", &["mail.old", "a", "mail.old"][..]));
    let options = def.options;
    assert_eq!((options.max_attempts, options.backoff, options.timeout), (8, PATIENT, LIMIT));
    assert_eq!((options.on_dead, options.once, options.start), (OnDead::Park, true, Start::Now));
    assert_eq!((options.partitions, options.concurrency), (4, 8));
}
