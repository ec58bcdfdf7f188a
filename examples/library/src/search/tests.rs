//! The indexer, built by hand as start-up builds it from services, on the real index.

use std::sync::Arc;

use domain_events::Service;

use super::{indexer::SearchIndexer, *};
use crate::{
    cards::{CardAddedToLibraryEvent, CardRemovedFromLibraryEvent, CardType},
    database::on_each_database,
};

#[tokio::test]
async fn an_indexed_card_is_found_until_the_last_curator_gave_it_up() {
    on_each_database(async |database| {
        let index = Arc::new(TableIndex::new(database));
        let indexer = SearchIndexer { index: Service::new(index.clone()) };
        let card = CardId::generate();
        let url: WebUrl = "https://doc.rust-lang.org/book/".parse().expect("a web address");
        let curators: [CuratorId; 2] = ["ada", "linus"].map(|id| id.parse().expect("a curator's id"));

        // Twice each: at least once is the promise.
        for curator in curators.iter().chain(&curators) {
            let event = CardAddedToLibraryEvent::new(card.clone(), curator.clone(), CardType::Url, Some(url.clone()));
            indexer.index(&event).await.expect("an entry");
        }
        let hit = Hit { card_id: card.clone(), url: url.to_string(), libraries: 2 };
        assert_eq!(index.find("RUST-lang").await.expect("an answer"), [hit]);
        assert_eq!(index.find("100%").await.expect("an answer"), []);

        for curator in curators.iter().chain(&curators) {
            let event = CardRemovedFromLibraryEvent::new(card.clone(), curator.clone());
            indexer.remove(&event).await.expect("a removal");
        }
        assert_eq!(index.find("rust").await.expect("an answer"), []);
    })
    .await;
}

#[tokio::test]
async fn a_card_without_an_address_is_not_indexed() {
    on_each_database(async |database| {
        let index = Arc::new(TableIndex::new(database));
        let indexer = SearchIndexer { index: Service::new(index.clone()) };
        let ada: CuratorId = "ada".parse().expect("a curator's id");
        let event = CardAddedToLibraryEvent::new(CardId::generate(), ada, CardType::Note, None);
        indexer.index(&event).await.expect("nothing");
        assert_eq!(index.find("").await.expect("an answer"), []);
    })
    .await;
}

#[tokio::test]
async fn every_character_of_what_is_looked_for_means_itself() {
    on_each_database(async |database| {
        let index = Arc::new(TableIndex::new(database));
        let ada: CuratorId = "ada".parse().expect("a curator's id");
        for url in ["https://example.com/a_b", "https://example.com/a%25b", "https://example.com/a%5Cb"] {
            index.put(&CardId::generate(), &ada, &url.parse().expect("a web address")).await.expect("an entry");
        }
        for (text, hits) in
            [("EXAMPLE.com", 3), ("", 3), ("a_b", 1), ("a%25b", 1), ("a%b", 0), ("_", 1), (r"a\", 0), ("'", 0)]
        {
            assert_eq!(index.find(text).await.expect("an answer").len(), hits, "{text}");
        }
    })
    .await;
}
