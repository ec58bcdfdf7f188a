//! The handlers alone, on the real feeds and the real profiles.

use std::sync::Arc;

use domain_events::Service;

use super::{
    handlers::{CollectionStories, announce_card},
    *,
};
use crate::{
    cards::{
        CardAddedToCollectionEvent, CardAddedToLibraryEvent, CardId, CardRemovedFromCollectionEvent, CardType,
        CollectionId,
    },
    curators::{ProfileService, Profiles},
    database::{Database, on_each_database},
};

struct World {
    profiles: Arc<Profiles>,
    stories: Arc<Stories>,
    ada: CuratorId,
    grace: CuratorId,
}

/// Grace follows Ada.
async fn world(database: Database, ada_is_public: bool) -> World {
    let [ada, grace] = ["ada", "grace"].map(|id| id.parse::<CuratorId>().expect("a curator's id"));
    let profiles = Arc::new(Profiles::new(database.clone()));
    profiles.join(&ada, "Ada", ada_is_public).await.expect("a curator");
    profiles.join(&grace, "Grace", true).await.expect("a curator");
    profiles.follow(&ada, &grace).await.expect("a follower");
    World { profiles, stories: Arc::new(Stories::new(database)), ada, grace }
}

impl World {
    fn services(&self) -> (Service<dyn ProfileService>, Service<dyn FeedService>) {
        (Service::new(self.profiles.clone()), Service::new(self.stories.clone()))
    }

    async fn feed(&self, reader: &CuratorId) -> Vec<String> {
        self.stories.of(reader).await.expect("a feed").into_iter().map(|story| story.text).collect()
    }
}

#[tokio::test]
async fn followers_read_of_a_new_card_once_however_often_the_event_comes() {
    on_each_database(async |database| {
        let world = world(database, true).await;
        let url = "https://example.com/".parse().expect("a web address");
        let event = CardAddedToLibraryEvent::new(CardId::generate(), world.ada.clone(), CardType::Url, Some(url));
        for _ in 0..2 {
            let (profiles, feeds) = world.services();
            announce_card(&event, profiles, feeds).await.expect("a story");
        }
        assert_eq!(world.feed(&world.grace).await, ["ada keeps https://example.com/"]);
        assert_eq!(world.feed(&world.ada).await, ["ada keeps https://example.com/"]);
    })
    .await;
}

#[tokio::test]
async fn what_a_private_curator_does_stays_in_their_own_feed() {
    on_each_database(async |database| {
        let world = world(database, false).await;
        let event = CardAddedToLibraryEvent::new(CardId::generate(), world.ada.clone(), CardType::Note, None);
        let (profiles, feeds) = world.services();
        announce_card(&event, profiles, feeds).await.expect("a story");
        assert_eq!(world.feed(&world.ada).await.len(), 1);
        assert_eq!(world.feed(&world.grace).await.len(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_card_taken_out_of_a_collection_takes_its_story_along() {
    on_each_database(async |database| {
        let world = world(database, true).await;
        let (profiles, feeds) = world.services();
        let handler = CollectionStories { profiles, feeds };
        let (collection, card) = (CollectionId::generate(), CardId::generate());
        let added =
            CardAddedToCollectionEvent::new(collection.clone(), card.clone(), world.ada.clone(), "To read".to_owned());
        handler.tell(&added).await.expect("a story");
        assert_eq!(world.feed(&world.grace).await, [format!("ada put card {card} into To read")]);

        let removed = CardRemovedFromCollectionEvent::new(collection, card, world.ada.clone());
        for _ in 0..2 {
            handler.take_back(&removed).await.expect("no story");
        }
        assert_eq!(world.feed(&world.grace).await.len(), 0);
    })
    .await;
}
