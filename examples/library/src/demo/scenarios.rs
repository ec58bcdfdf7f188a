//! The scenarios: who does what, which handlers act on it, and what everybody sees then.

use std::error::Error;

use serde_json::{Value, json};

use super::stage::Stage;
use crate::web::BODY_LIMIT;

const BOOK: &str = "https://doc.rust-lang.org/book/";
const NOMICON: &str = "https://doc.rust-lang.org/nomicon/";

/// Plays all scenarios.
pub(super) async fn play(stage: &mut Stage) -> Result<(), Box<dyn Error>> {
    for (id, name, public) in [("ada", "Ada", true), ("grace", "Grace", true), ("linus", "Linus", false)] {
        stage.send("POST", "/curators", Some(json!({ "id": id, "name": name, "public": public }))).await?;
    }
    stage.send("PUT", "/curators/ada/followers/grace", None).await?;
    stage.send("PUT", "/curators/linus/followers/grace", None).await?;
    let book = stage.send("POST", "/cards", Some(json!({ "url": BOOK }))).await?;
    let nomicon = stage.send("POST", "/cards", Some(json!({ "url": NOMICON }))).await?;

    private_library(stage, &book, &nomicon).await?;
    card_added_to_library(stage, &book, &nomicon).await?;
    let collection = collection_created(stage).await?;
    card_in_collection(stage, &collection, &book).await?;
    card_removed_from_library(stage, &nomicon).await?;
    refusals(stage, &book).await?;
    stage.sees("nothing was given up", "/health", |health| health["status"] == "ok").await
}

const ON_CARD_ADDED: [&str; 5] = [
    "analytics.count_added_card",
    "feeds.announce_card",
    "notifications.notify_followers",
    "recommendations.TasteLearner",
    "search.SearchIndexer",
];

async fn private_library(stage: &mut Stage, book: &str, nomicon: &str) -> Result<(), Box<dyn Error>> {
    stage.scenario("Linus, whose library is private, adds two cards: CardAddedToLibraryEvent, twice");
    stage.send("PUT", &format!("/curators/linus/library/{book}"), None).await?;
    stage.send("PUT", &format!("/curators/linus/library/{nomicon}"), None).await?;
    stage.handled_by(&ON_CARD_ADDED, 2).await;
    stage.sees("activity: 2 cards", "/curators/linus/activity", |activity| activity["cards_added"] == 2).await?;
    stage.sees("nobody is notified", "/curators/grace/notifications", |told| *told == json!([])).await?;
    stage.end();
    Ok(())
}

async fn card_added_to_library(stage: &mut Stage, book: &str, nomicon: &str) -> Result<(), Box<dyn Error>> {
    stage.scenario("Ada adds a card, and the push gateway is away: CardAddedToLibraryEvent");
    stage.send("PUT", &format!("/curators/ada/library/{book}"), None).await?;
    stage.handled_by(&ON_CARD_ADDED, 1).await;
    let told = json!([format!("Ada added {BOOK} to their library")]);
    stage.sees("activity: 1 card", "/curators/ada/activity", |activity| activity["cards_added"] == 1).await?;
    stage.sees("Grace is notified once", "/curators/grace/notifications", |all| *all == told).await?;
    stage.sees("reads it in her feed", "/curators/grace/feed", |feed| mentions(feed, "text", BOOK)).await?;
    stage.sees("search finds it in 2 libraries", "/search?q=BOOK", |hits| hits[0]["libraries"] == 2).await?;
    let suggested = |all: &Value| mentions(all, "card_id", nomicon);
    stage.sees("Ada may like the other card", "/curators/ada/recommendations", suggested).await?;
    stage.end();
    Ok(())
}

async fn collection_created(stage: &mut Stage) -> Result<String, Box<dyn Error>> {
    stage.scenario("Grace begins a collection: CollectionCreatedEvent");
    let body = json!({ "curator": "grace", "name": "To read" });
    let collection = stage.send("POST", "/collections", Some(body)).await?;
    stage
        .handled_by(
            &["analytics.update_profile_stats", "notifications.welcome_collection", "recommendations.FirstSuggestions"],
            1,
        )
        .await;
    stage.sees("Grace is welcomed", "/curators/grace/notifications", |all| text(all, 0).contains("Welcome")).await?;
    stage.sees("her profile shows it", "/curators/grace", |profile| profile["collections"] == 1).await?;
    let two = |all: &Value| all.as_array().is_some_and(|all| all.len() == 2);
    stage.sees("first recommendations: 2", "/curators/grace/recommendations", two).await?;
    stage.end();
    Ok(collection)
}

async fn card_in_collection(stage: &mut Stage, collection: &str, book: &str) -> Result<(), Box<dyn Error>> {
    let path = format!("/collections/{collection}/cards/{book}");
    stage.scenario("Grace puts a card into it: CardAddedToCollectionEvent");
    stage.send("PUT", &path, None).await?;
    stage.handled_by(&["feeds.CollectionStories"], 1).await;
    stage.sees("her feed tells of it", "/curators/grace/feed", |feed| mentions(feed, "text", "To read")).await?;
    stage.end();

    stage.scenario("and takes it out again: CardRemovedFromCollectionEvent");
    stage.send("DELETE", &path, None).await?;
    stage.handled_by(&["feeds.CollectionStories"], 1).await;
    stage.sees("the story is taken back", "/curators/grace/feed", |feed| !mentions(feed, "text", "To read")).await?;
    stage.end();
    Ok(())
}

async fn card_removed_from_library(stage: &mut Stage, nomicon: &str) -> Result<(), Box<dyn Error>> {
    stage.scenario("Linus gives a card up: CardRemovedFromLibraryEvent");
    stage.send("DELETE", &format!("/curators/linus/library/{nomicon}"), None).await?;
    stage
        .handled_by(&["analytics.count_removed_card", "recommendations.TasteLearner", "search.SearchIndexer"], 1)
        .await;
    stage.sees("activity: 1 removed", "/curators/linus/activity", |activity| activity["cards_removed"] == 1).await?;
    stage.sees("search forgets it", "/search?q=nomicon", |hits| *hits == json!([])).await?;
    let gone = |all: &Value| !mentions(all, "card_id", nomicon);
    stage.sees("nobody is recommended it", "/curators/ada/recommendations", gone).await?;
    stage.end();
    Ok(())
}

async fn refusals(stage: &mut Stage, book: &str) -> Result<(), Box<dyn Error>> {
    stage.scenario("What can't be done is refused, and leaves no event");
    let large = format!("{{\"url\": \"{}\"}}", "x".repeat(BODY_LIMIT));
    let add_book = format!("/curators/ada/library/{book}");
    stage.refused(("POST", "/cards"), Some(r#"{"url": "ftp://example.org"}"#), (422, "invalid_url")).await?;
    stage.refused(("POST", "/cards"), Some(r#"{"url": "#), (400, "malformed")).await?;
    stage.refused(("POST", "/cards"), Some(&large), (413, "too_large")).await?;
    stage.refused(("PUT", "/curators/ada/library/no-such-card"), None, (404, "not_found")).await?;
    stage.refused(("PUT", &add_book), None, (409, "duplicate")).await?;
    stage.refused(("GET", "/no/such/route"), None, (404, "no_such_route")).await?;
    stage.refused(("DELETE", "/cards"), None, (405, "method_not_allowed")).await?;
    let one = |activity: &Value| activity["cards_added"] == 1;
    stage.sees("Ada's activity is as it was", "/curators/ada/activity", one).await?;
    stage.end();
    Ok(())
}

/// Whether one of the objects in a list has this text in this field.
fn mentions(list: &Value, field: &str, part: &str) -> bool {
    let mut items = list.as_array().into_iter().flatten();
    items.any(|item| item[field].as_str().is_some_and(|text| text.contains(part)))
}

fn text(list: &Value, index: usize) -> &str {
    list[index].as_str().unwrap_or_default()
}
