//! The rules of cards and collections: what raises which event, and what raises none.

use domain_events::AggregateRoot as _;

use super::*;
use crate::{app::App, curators::CuratorId, database::on_each_database, layout::Layout, problem::Problem};

fn curator(id: &str) -> CuratorId {
    id.parse().expect("a curator's id")
}

fn card() -> Card {
    Card::for_url("https://example.com/".parse().expect("a web address"))
}

#[test]
fn a_card_added_to_a_library_raises_an_event_that_says_all_its_handlers_need() {
    let mut card = card();
    card.add_to_library(&curator("ada")).expect("a first time");

    let events = card.pending_events();
    assert_eq!(events.len(), 1);
    let event = events[0].downcast::<CardAddedToLibraryEvent>().expect("the event");
    assert_eq!(&event.card_id, card.id());
    assert_eq!(event.curator_id, curator("ada"));
    assert_eq!(event.card_type, CardType::Url);
    assert_eq!(event.url.as_ref().map(WebUrl::as_str), Some("https://example.com/"));
    assert_eq!(events[0].occurred_at(), event.occurred_at);
    assert_eq!(card.version(), 1);
}

#[test]
fn what_is_refused_raises_nothing() {
    let (ada, linus) = (curator("ada"), curator("linus"));
    let mut card = card();
    card.add_to_library(&ada).expect("a first time");
    card.clear_events();

    let (id, version) = (card.id().clone(), card.version());
    let already = CardError::AlreadyInLibrary { card: id.clone(), curator: ada.clone() };
    assert_eq!(card.add_to_library(&ada), Err(already));
    assert_eq!(card.remove_from_library(&linus), Err(CardError::NotInLibrary { card: id, curator: linus }));
    assert!(card.pending_events().is_empty());
    assert_eq!(card.version(), version);
}

#[test]
fn a_card_leaves_a_library_once() {
    let ada = curator("ada");
    let mut card = card();
    card.add_to_library(&ada).expect("a first time");
    card.remove_from_library(&ada).expect("it is there");
    assert!(card.remove_from_library(&ada).is_err());

    let names: Vec<_> = card.pending_events().iter().map(|event| event.name()).collect();
    assert_eq!(names, ["CardAddedToLibraryEvent", "CardRemovedFromLibraryEvent"]);
}

#[test]
fn a_collection_tells_of_its_beginning_and_of_every_card() {
    let mut collection = Collection::create(curator("ada"), "  To read ").expect("a good name");
    let card = CardId::generate();
    collection.add(&card).expect("a first time");
    assert!(collection.add(&card).is_err());
    collection.remove(&card).expect("it is there");
    assert!(collection.remove(&card).is_err());

    let events = collection.pending_events();
    let created = events[0].downcast::<CollectionCreatedEvent>().expect("the first event");
    assert_eq!(created.name, "To read");
    let added = events[1].downcast::<CardAddedToCollectionEvent>().expect("the second event");
    assert_eq!((&added.card_id, added.collection_name.as_str()), (&card, "To read"));
    assert!(events[2].downcast::<CardRemovedFromCollectionEvent>().is_some());
    assert_eq!(events.len(), 3);
}

#[test]
fn a_collection_needs_a_name() {
    assert_eq!(Collection::create(curator("ada"), "   ").err(), Some(CollectionError::Name(0)));
    assert_eq!(Collection::create(curator("ada"), &"x".repeat(101)).err(), Some(CollectionError::Name(101)));
    assert_eq!(Collection::create(curator("ada"), "To\nread").err(), Some(CollectionError::Control('\n')));
}

#[test]
fn a_card_takes_addresses_of_web_pages_only() {
    for good in ["http://example.com", "https://example.com/a?b=c#d", "https://[::1]:8080/", "https://bücher.example/"]
    {
        assert!(good.parse::<WebUrl>().is_ok(), "{good}");
    }
    for bad in ["", "example.com", "ftp://example.com", "javascript:alert(1)", "http://", "https://exa mple.com"] {
        assert!(bad.parse::<WebUrl>().is_err(), "{bad}");
    }
    let long = format!("https://example.com/{}", "x".repeat(WebUrl::MAX_BYTES));
    assert_eq!(long.parse::<WebUrl>(), Err(InvalidUrl::TooLong(long.len())));
}

#[tokio::test]
async fn state_and_events_are_committed_together_and_the_card_comes_back_as_it_was() {
    on_each_database(async |database| {
        let app = App::new(database, Layout::Together).expect("an application");
        let (ada, linus) = (curator("ada"), curator("linus"));
        let id = app.library.create("https://example.com/".parse().expect("a web address")).await.expect("a card");
        app.library.add(&id, &ada).await.expect("a first time");
        app.library.add(&id, &linus).await.expect("a first time");
        app.library.remove(&id, &ada).await.expect("it is there");

        let card = app.library.load(&id).await.expect("a card");
        assert_eq!(card.version(), 3);
        assert_eq!(card.libraries().iter().collect::<Vec<_>>(), [&linus]);
        assert!(card.pending_events().is_empty());
        let again = app.library.create("https://example.com".parse().expect("a web address")).await;
        assert!(matches!(again, Err(Problem::Duplicate(_))), "{again:?}");
    })
    .await;
}

#[tokio::test]
async fn requests_that_change_one_card_at_the_same_time_lose_nothing() {
    on_each_database(async |database| {
        let app = App::new(database, Layout::Together).expect("an application");
        let id = app.library.create("https://example.com/".parse().expect("a web address")).await.expect("a card");
        let requests: Vec<_> = (0..8)
            .map(|number| {
                let (library, id) = (app.library.clone(), id.clone());
                tokio::spawn(async move { library.add(&id, &curator(&format!("curator-{number}"))).await })
            })
            .collect();

        // One repetition each: a request that was overtaken twice is told so, and is the client's to repeat.
        let mut added = 0;
        for request in requests {
            match request.await.expect("a request") {
                Ok(()) => added += 1,
                Err(problem) => assert!(problem.is_conflict(), "{problem}"),
            }
        }
        let card = app.library.load(&id).await.expect("a card");
        assert!(added >= 1);
        assert_eq!(card.libraries().len(), added);
        assert_eq!(card.version(), added as u64);
    })
    .await;
}
