//! What the macros' expansions do once they compile: names, ids and times, payloads, versions, and what is registered.
#![expect(clippy::unwrap_used, reason = "a test that can't go on")]

use std::time::Duration;

use domain_events::{
    __private::{AGGREGATES, EVENTS, EventDef, HANDLERS, HandlerDef},
    AggregateId, Backoff, Clock, HandlerOptions, OnDead, Start,
    event::AggregateType,
    prelude::*,
};

#[aggregate_root]
#[derive(Default)]
struct Card {
    #[aggregate(id)]
    id: String,
    #[aggregate(version)]
    version: i64,
    events: PendingEvents,
}

#[aggregate_root(name = "library.collection")]
#[derive(Default)]
struct Collection {
    #[aggregate(id)]
    number: u32,
    events: PendingEvents,
}

#[derive(Debug, Clone, PartialEq, DomainEvent)]
#[event(aggregate = Card)]
struct CardAdded {
    #[event(aggregate_id)]
    card_id: String,
    url: Option<String>,
    #[event(occurred_at)]
    at: DateTime<Utc>,
    tags: Vec<String>,
}

#[derive(Debug, PartialEq, DomainEvent)]
#[event(aggregate = Card, name = "card.rated", version = 3, alias = "CardRated", aliases("CardScored", "CardLiked"))]
struct CardRated(#[event(aggregate_id)] String, u8);

#[derive(Debug, PartialEq, DomainEvent)]
#[event(aggregate = Collection)]
enum CollectionChanged {
    Renamed {
        #[event(aggregate_id)]
        number: u32,
        name: String,
    },
    Emptied(#[event(aggregate_id)] u32),
}

#[event_handler(CardAdded, group = "mail", max_attempts = 5, backoff = "1s..2m", timeout = "9s", on_dead = "park")]
async fn notify(event: &CardAdded, mailer: Service<String>, meta: &EventMeta) -> Result<(), HandlerError> {
    let _ = (event, mailer, meta);
    Ok(())
}
const NOTIFY_LINE: u32 = line!() - 5;

#[event_handler(CardRated, name = "raters", alias = "old.raters", once, start = "now", partitions = 4, concurrency = 2)]
async fn count(event: &CardRated) {
    let _ = event;
}

#[derive(FromServices)]
struct Index {
    store: Service<String>,
}

#[event_handler(CollectionChanged, CardAdded)]
impl Index {
    async fn on_changed(&self, event: &CollectionChanged) {
        let _ = (&self.store, event);
    }

    async fn on_added(&self, event: &CardAdded, attempt: Attempt) -> Result<(), String> {
        let _ = (event, attempt);
        Ok(())
    }
}

fn json<E: DomainEvent>(event: &E) -> String {
    String::from_utf8(event.encode().unwrap()).unwrap()
}

fn event(name: &str) -> &'static EventDef {
    EVENTS.iter().find(|def| def.name == name).unwrap()
}

fn handler(name: &str) -> &'static HandlerDef {
    HANDLERS.iter().find(|def| def.name == name).unwrap()
}

#[test]
fn names_and_versions_are_the_types_own_unless_the_attribute_says_otherwise() {
    assert_eq!((CardAdded::NAME, CardAdded::VERSION), ("CardAdded", 1));
    assert!(CardAdded::ALIASES.is_empty());
    assert_eq!((CardRated::NAME, CardRated::VERSION), ("card.rated", 3));
    assert_eq!(CardRated::ALIASES, ["CardRated", "CardScored", "CardLiked"]);
    assert_eq!((Card::NAME, Collection::NAME), ("Card", "library.collection"));
}

#[test]
fn an_event_knows_its_aggregate_in_every_shape() {
    assert_eq!(CardRated("7".into(), 5).aggregate_id(), AggregateId::from("7"));
    assert_eq!(CollectionChanged::Emptied(7).aggregate_id().as_str(), "7");
    assert_eq!(CollectionChanged::Renamed { number: 8, name: "x".into() }.aggregate_id().as_str(), "8");
}

#[test]
fn new_takes_all_other_fields_and_stamps_the_time_of_the_clock() {
    let clock = Clock::manual("2026-01-31T12:00:00Z".parse().unwrap());
    let _entered = clock.enter();
    let event = CardAdded::new("7".into(), None, vec!["a".into()]);
    assert_eq!(event.at, clock.now());
    assert_eq!(event.occurred_at(), Some(clock.now()));
    assert_eq!(CardRated("7".into(), 5).occurred_at(), None);
}

#[test]
fn a_payload_comes_back_as_it_went() {
    let at = "2026-01-31T12:00:00Z".parse().unwrap();
    let added = CardAdded { card_id: "7".into(), url: None, at, tags: vec![] };
    assert_eq!(json(&added), r#"{"card_id":"7","url":null,"at":"2026-01-31T12:00:00Z","tags":[]}"#);
    assert_eq!(CardAdded::decode(json(&added).as_bytes()).unwrap(), added);

    let rated = CardRated("7".into(), 5);
    assert_eq!(json(&rated), r#"["7",5]"#);
    assert_eq!(CardRated::decode(json(&rated).as_bytes()).unwrap(), rated);

    let renamed = CollectionChanged::Renamed { number: 8, name: "x".into() };
    assert_eq!(json(&renamed), r#"{"Renamed":{"number":8,"name":"x"}}"#);
    assert_eq!(CollectionChanged::decode(json(&renamed).as_bytes()).unwrap(), renamed);
    assert_eq!(CollectionChanged::decode(br#"{"Emptied":3}"#).unwrap(), CollectionChanged::Emptied(3));
}

#[test]
fn an_optional_field_may_be_missing_and_others_may_not() {
    let added = CardAdded::decode(br#"{"card_id":"7","at":"2026-01-31T12:00:00Z","tags":[]}"#).unwrap();
    assert_eq!(added.url, None);
    let error = CardAdded::decode(br#"{"card_id":"7","tags":[]}"#).unwrap_err();
    assert!(error.to_string().contains("missing field `at`"), "{error}");
}

#[test]
fn an_error_of_serde_calls_the_event_by_its_own_name() {
    let error = CardAdded::decode(b"7").unwrap_err();
    assert!(error.to_string().contains("expected struct CardAdded"), "{error}");
}

#[test]
fn each_side_of_serialization_is_the_events_own_where_it_has_one() {
    #[derive(Debug, PartialEq, DomainEvent, serde::Serialize)]
    #[event(aggregate = Card)]
    #[serde(rename_all(serialize = "SCREAMING-KEBAB-CASE"))]
    struct Written {
        #[event(aggregate_id)]
        card_id: String,
    }

    #[derive(Debug, PartialEq, DomainEvent)]
    #[event(aggregate = Card)]
    struct Read {
        #[event(aggregate_id)]
        card_id: String,
    }

    impl<'de> serde::Deserialize<'de> for Read {
        fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            String::deserialize(from).map(|card_id| Self { card_id })
        }
    }

    assert_eq!(json(&Written { card_id: "7".into() }), r#"{"CARD-ID":"7"}"#);
    assert_eq!(Written::decode(br#"{"card_id":"7"}"#).unwrap(), Written { card_id: "7".into() });
    assert_eq!(json(&Read { card_id: "7".into() }), r#"{"card_id":"7"}"#);
    assert_eq!(Read::decode(br#""7""#).unwrap(), Read { card_id: "7".into() });
}

#[test]
fn raising_advances_the_version_of_an_aggregate_that_has_one() {
    let mut card = Card { id: "7".into(), ..Card::default() };
    assert_eq!(card.aggregate_version(), Some(0));
    card.raise(CardRated("7".into(), 5));
    card.raise(CardRated("7".into(), 4));
    assert_eq!((card.version, card.aggregate_version()), (2, Some(2)));
    let versions: Vec<_> = card.pending_events().iter().map(|pending| pending.aggregate_version()).collect();
    assert_eq!(versions, [Some(1), Some(2)]);
    assert_eq!(card.aggregate_id().as_str(), card.id);

    let mut collection = Collection { number: 7, ..Collection::default() };
    collection.raise(CollectionChanged::Emptied(collection.number));
    assert_eq!(collection.aggregate_version(), None);
    assert_eq!(collection.events.len(), 1);
}

#[test]
fn every_event_and_aggregate_of_the_program_is_registered() {
    let rated = event("card.rated");
    assert_eq!((rated.version, rated.aggregate, rated.aliases), (3, "Card", CardRated::ALIASES));
    assert!(std::ptr::eq(rated, CardRated::DEF));
    assert_eq!(event("CollectionChanged").aggregate, "library.collection");
    let names: Vec<_> = AGGREGATES.iter().map(|def| def.name).collect();
    assert!(names.contains(&"Card") && names.contains(&"library.collection"), "{names:?}");
}

#[test]
fn a_handler_is_registered_with_its_source_and_its_options() {
    let def = handler("notify");
    assert_eq!(def.full_name(), "mail.notify");
    assert!(def.source.file.ends_with("macros.rs"), "{}", def.source);
    assert_eq!(def.source.line, NOTIFY_LINE);
    assert_eq!((def.source.module, def.source.crate_name()), ("macros", "macros"));
    let expected = HandlerOptions::DEFAULT
        .max_attempts(5)
        .backoff(Backoff::exponential(Duration::from_secs(1), Duration::from_secs(120)))
        .timeout(Duration::from_secs(9))
        .on_dead(OnDead::Park);
    assert_eq!(def.options, expected);
    assert_eq!(def.events.len(), 1);
    assert!(std::ptr::eq(def.events[0].event, CardAdded::DEF));
    assert_eq!(def.events[0].dependencies.len(), 2);
    assert!(def.instance.is_none());
}

#[test]
fn a_handler_without_a_group_is_in_that_of_its_crate() {
    let def = handler("raters");
    assert_eq!((def.full_name().as_str(), def.aliases), ("macros.raters", &["old.raters"][..]));
    assert_eq!(def.options, HandlerOptions::DEFAULT.once(true).start(Start::Now).partitions(4).concurrency(2));
}

#[test]
fn a_handler_struct_takes_its_events_in_the_order_of_the_attribute() {
    let def = handler("Index");
    let names: Vec<_> = def.events.iter().map(|handled| handled.event.name).collect();
    assert_eq!(names, ["CollectionChanged", "CardAdded"]);
    assert_eq!(def.events[1].dependencies.len(), 1);
    assert!(def.instance.is_some());
    assert_eq!(def.options, HandlerOptions::DEFAULT);
}

#[test]
fn handler_names_the_registered_definition() {
    assert_eq!(domain_events::handler!(count).name, "raters");
    assert!(std::ptr::eq(domain_events::handler!(Index), handler("Index")));
}
