//! What a processor warns of when it starts: handlers and events that are stored and not in the program.

use domain_events::{DomainEvents, MemoryStore, UnknownEvents, handler, handler::HandlerDef, prelude::*};

use crate::{
    library::{Card, Diary, add, on, save, settle},
    logbook::Logbook,
};

/// An event of a release that is gone, and of one that is to come.
mod other_release {
    use super::*;

    #[derive(Debug, Clone, PartialEq, DomainEvent)]
    #[event(aggregate = Card)]
    pub(crate) struct CardLentEvent {
        #[event(aggregate_id)]
        pub(crate) card_id: String,
    }

    #[derive(Debug, Clone, PartialEq, DomainEvent)]
    #[event(aggregate = Card, name = "CardAddedToLibraryEvent", version = 3)]
    pub(crate) struct CardAddedV3Event {
        #[event(aggregate_id)]
        pub(crate) card_id: String,
    }
}

/// Starts a processor of a program that has these handlers and their events only, and stops it; what it warned of.
async fn start(store: &MemoryStore, handlers: &[&'static HandlerDef], unknown: UnknownEvents) -> Logbook {
    let services = Services::new().with::<Diary>(Diary::new());
    let builder = DomainEvents::builder().store(store.clone()).without_linked().services(services);
    let builder = handlers.iter().fold(builder, |builder, handler| builder.handler(handler));
    let events = builder.unknown_events(unknown).build().unwrap();
    let (logbook, _open) = Logbook::open();
    let running = events.processor().start().await.unwrap();
    running.shutdown().await.unwrap();
    logbook
}

async fn raise(store: &MemoryStore, raise: impl FnOnce(&mut Card)) {
    let events = on(store.clone(), &Diary::new(), &[]).build().unwrap();
    let mut card = Card::new("c1");
    raise(&mut card);
    save(&events, &mut card).await.unwrap();
}

#[tokio::test]
async fn a_handler_that_is_gone_is_told_with_the_ways_on() {
    let (diary, store) = (Diary::with_rule(|_, _| Err(HandlerError::permanent("broken"))), MemoryStore::new());
    let before = on(store.clone(), &diary, &[handler!(crate::library::index)]).build().unwrap();
    add(&before, "c1", &["alice"]).await;
    settle(&before).await;

    let renamed = start(&store, &[handler!(crate::library::notify)], UnknownEvents::Skip).await;
    let lines = renamed.with(&["`search.index`"]);
    assert_eq!(lines.len(), 1, "{lines:?}");
    for part in [
        "not in this program (parked: 0, dead letters: 1)",
        "alias = \"search.index\"",
        "these are new, and have begun at their `start`: `notifications.notify`",
        "admin().forget(\"search.index\")",
    ] {
        assert!(lines[0].contains(part), "`{part}` is not in: {}", lines[0]);
    }
    let again = start(&store, &[handler!(crate::library::notify)], UnknownEvents::Skip).await;
    assert_eq!(again.with(&["`search.index`"]).len(), 1);
    assert!(again.with(&["these are new"]).is_empty(), "nothing is new any more");

    before.admin().forget_with_dead_letters("search.index").await.expect_err("this program has it");
    let after = on(store.clone(), &diary, &[handler!(crate::library::notify)]).build().unwrap();
    after.admin().forget_with_dead_letters("search.index").await.unwrap();
    let quiet = start(&store, &[handler!(crate::library::notify)], UnknownEvents::Skip).await;
    assert!(quiet.with(&["search.index"]).is_empty(), "it is forgotten");
}

#[tokio::test]
async fn an_alias_that_came_too_late_is_told() {
    let store = MemoryStore::new();
    let inherited = start(&store, &[handler!(crate::library::notify)], UnknownEvents::Skip).await;
    assert!(inherited.with(&["position"]).is_empty());
    let heir = [handler!(crate::library::write_letter)];
    assert!(start(&store, &heir, UnknownEvents::Skip).await.with(&["notifications.notify"]).is_empty());

    start(&store, &[handler!(crate::library::notify)], UnknownEvents::Skip).await;
    let late = start(&store, &heir, UnknownEvents::Skip).await;
    let lines = late.with(&["notifications.notify"]);
    assert_eq!(lines.len(), 1, "{lines:?}");
    for part in ["`letters.write_letter` has not taken", "its alias", "admin().forget(\"notifications.notify\")"] {
        assert!(lines[0].contains(part), "`{part}` is not in: {}", lines[0]);
    }
}

#[tokio::test]
async fn a_handler_that_runs_in_another_program_is_no_stranger() {
    let store = MemoryStore::new();
    let diary = Diary::new();
    let other = on(store.clone(), &diary, &[handler!(crate::library::index)]).build().unwrap();
    let running = other.processor().start().await.unwrap();
    add(&other, "c1", &["alice"]).await;
    crate::library::until("it runs", || diary.of("index").len() == 1).await;
    let logbook = start(&store, &[handler!(crate::library::notify)], UnknownEvents::Skip).await;
    assert!(logbook.with(&["search.index"]).is_empty());
    running.shutdown().await.unwrap();
}

#[tokio::test]
async fn stored_events_that_are_not_in_the_program_are_told() {
    let store = MemoryStore::new();
    let index: [&'static HandlerDef; 1] = [handler!(crate::library::index)];
    let events = on(store.clone(), &Diary::new(), &[]).build().unwrap();
    add(&events, "c1", &["alice"]).await;
    let quiet = start(&store, &index, UnknownEvents::DeadLetter).await;
    assert!(quiet.with(&["the log has"]).is_empty(), "all of it is known");

    raise(&store, |card| card.raise(other_release::CardLentEvent { card_id: "c1".into() })).await;
    raise(&store, |card| card.raise(other_release::CardLentEvent { card_id: "c1".into() })).await;
    raise(&store, |card| card.raise(other_release::CardAddedV3Event { card_id: "c1".into() })).await;
    let told = start(&store, &index, UnknownEvents::DeadLetter).await;
    let names = told.with(&["no event of this program has: `CardLentEvent`;", "alias", "UnknownEvents::Skip"]);
    assert_eq!(names.len(), 1, "{:?}", told.with(&[]));
    let versions = told.with(&["`CardAddedToLibraryEvent` in version 3 (known: [1])", "keep the type"]);
    assert_eq!(versions.len(), 1, "{:?}", told.with(&[]));
    assert_eq!(told.with(&["the log has"]).len(), 2);

    let skipping = start(&store, &index, UnknownEvents::Skip).await;
    assert_eq!(skipping.with(&["the log has"]), versions, "others' events are to be passed over, versions are not");
}
