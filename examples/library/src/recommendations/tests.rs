//! The handlers on the real engine.

use std::sync::Arc;

use domain_events::Service;

use super::{
    handlers::{FirstSuggestions, TasteLearner},
    *,
};
use crate::{
    cards::{CardAddedToLibraryEvent, CardRemovedFromLibraryEvent, CardType, CollectionCreatedEvent, CollectionId},
    database::{Database, on_each_database},
};

struct World {
    engine: Arc<TasteEngine>,
    learner: TasteLearner,
}

impl World {
    fn new(database: Database) -> Self {
        let engine = Arc::new(TasteEngine::new(database));
        let learner = TasteLearner { engine: Service::new(engine.clone()) };
        Self { engine, learner }
    }

    /// The event comes twice: at least once is the promise.
    async fn keeps(&self, curator: &CuratorId, card: &CardId) {
        let event = CardAddedToLibraryEvent::new(card.clone(), curator.clone(), CardType::Note, None);
        for _ in 0..2 {
            self.learner.learn(&event).await.expect("learned");
        }
    }

    async fn suggested(&self, curator: &CuratorId) -> Vec<CardId> {
        let suggestions = self.engine.suggestions(curator).await.expect("suggestions");
        suggestions.into_iter().map(|suggestion| suggestion.card_id).collect()
    }
}

fn curators() -> [CuratorId; 3] {
    ["ada", "grace", "linus"].map(|id| id.parse().expect("a curator's id"))
}

#[tokio::test]
async fn those_who_keep_the_same_card_are_suggested_each_others_cards() {
    on_each_database(async |database| {
        let world = World::new(database);
        let [ada, grace, linus] = curators();
        let [book, nomicon, other] = std::array::from_fn(|_| CardId::generate());
        world.keeps(&linus, &book).await;
        world.keeps(&linus, &nomicon).await;
        world.keeps(&grace, &other).await;
        world.keeps(&ada, &book).await;
        assert_eq!(world.suggested(&ada).await, std::slice::from_ref(&nomicon));
        assert_eq!(world.suggested(&grace).await, []);

        let removed = CardRemovedFromLibraryEvent::new(nomicon, linus);
        for _ in 0..2 {
            world.learner.forget(&removed).await.expect("forgotten");
        }
        assert_eq!(world.suggested(&ada).await, []);
    })
    .await;
}

#[tokio::test]
async fn a_new_collection_begins_with_what_most_curators_keep() {
    on_each_database(async |database| {
        let world = World::new(database);
        let [ada, grace, linus] = curators();
        let book = CardId::generate();
        world.keeps(&ada, &book).await;
        world.keeps(&linus, &book).await;
        let handler = FirstSuggestions { engine: Service::new(world.engine.clone()) };
        let created = CollectionCreatedEvent::new(CollectionId::generate(), grace.clone(), "To read".to_owned());
        for _ in 0..2 {
            handler.handle(&created).await.expect("suggestions");
        }
        assert_eq!(world.suggested(&grace).await, [book]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_heard_at_the_same_time_is_all_taken_in() {
    on_each_database(async |database| {
        let world = World::new(database);
        let [ada, grace, _] = curators();
        let shared = CardId::generate();
        let others: Vec<_> = (0..8).map(|_| CardId::generate()).collect();
        // Events of different cards run in parallel, and one of them is what makes all the others a suggestion.
        let adas = others.iter().chain([&shared]).map(|card| (ada.clone(), card.clone()));
        let hearing: Vec<_> = adas
            .chain([(grace.clone(), shared.clone())])
            .map(|(curator, card)| {
                let engine = world.engine.clone();
                tokio::spawn(async move { engine.keeps(&curator, &card).await })
            })
            .collect();
        for heard in hearing {
            heard.await.expect("no panic").expect("learned");
        }
        assert_eq!(world.suggested(&grace).await, others);
        assert_eq!(world.suggested(&ada).await, []);
    })
    .await;
}
