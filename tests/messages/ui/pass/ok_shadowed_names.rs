//! Names that generated code might trip over.
#![allow(dead_code, non_camel_case_types)]

use domain_events::{AggregateRoot as _, PendingEvents, aggregate_root, event_handler};

mod std {}
mod core {}
mod serde {}
mod domain {}
struct Result;
struct Option;
struct Box;
struct Vec;
struct String;
struct Some;
struct None;
struct Ok;
struct Err;
struct i128;
struct Send;
struct DEF;
struct Mirror;
trait Serialize {}
trait Deserialize {}
const call: i32 = 1;

#[aggregate_root]
struct Card {
    #[aggregate(id)]
    id: u64,
    #[aggregate(version)]
    version: u64,
    events: PendingEvents,
}

#[derive(domain_events::DomainEvent)]
#[event(aggregate = Card)]
struct Added {
    #[event(aggregate_id)]
    card_id: u64,
}

#[derive(domain_events::DomainEvent)]
#[event(aggregate = Card)]
enum Moved {
    In { #[event(aggregate_id)] card_id: u64 },
    None(#[event(aggregate_id)] u64),
}

#[derive(domain_events::FromServices)]
struct Index;

#[event_handler(Added, timeout = "1s")]
async fn notify(_: &Added) {}

#[event_handler(Added, Moved, backoff = "2s")]
impl Index {
    async fn on_added(&self, _: &Added) -> ::std::result::Result<(), ::std::string::String> {
        ::std::result::Result::Ok(())
    }

    async fn on_moved(&self, _: &Moved) {}
}

fn main() {
    let mut card = Card { id: 1, version: 0, events: PendingEvents::default() };
    card.raise(Added { card_id: 1 });
    card.raise(Moved::None(1));
    assert_eq!(card.aggregate_version(), ::std::option::Option::Some(2));
}
