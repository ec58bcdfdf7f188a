//! The transactional handlers alone: they write in whatever transaction they are given.

use chrono::{TimeZone as _, Utc};

use super::{
    handlers::{count_added_card, count_removed_card, update_profile_stats},
    *,
};
use crate::{
    cards::{
        CardAddedToLibraryEvent, CardId, CardRemovedFromLibraryEvent, CardType, CollectionCreatedEvent, CollectionId,
    },
    curators::CuratorId,
    database::on_each_database,
};

#[tokio::test]
async fn every_event_counts_and_the_latest_time_stays() {
    on_each_database(async |database| {
        let ada: CuratorId = "ada".parse().expect("a curator's id");
        let early = Utc.with_ymd_and_hms(2026, 1, 1, 8, 0, 0).single().expect("a time");
        let late = Utc.with_ymd_and_hms(2026, 1, 2, 8, 0, 0).single().expect("a time");
        let added = |occurred_at| CardAddedToLibraryEvent {
            occurred_at,
            ..CardAddedToLibraryEvent::new(CardId::generate(), ada.clone(), CardType::Note, None)
        };
        let removed = CardRemovedFromLibraryEvent {
            occurred_at: early,
            ..CardRemovedFromLibraryEvent::new(CardId::generate(), ada.clone())
        };
        let created = CollectionCreatedEvent {
            occurred_at: early,
            ..CollectionCreatedEvent::new(CollectionId::generate(), ada.clone(), "To read".into())
        };

        let mut transaction = database.begin().await.expect("a transaction");
        count_added_card(&added(early), &mut transaction).await.expect("a count");
        count_added_card(&added(late), &mut transaction).await.expect("a count");
        count_removed_card(&removed, &mut transaction).await.expect("a count");
        update_profile_stats(&created, &mut transaction).await.expect("a count");
        transaction.commit().await.expect("a commit");

        let activity = Counters::new(database).of(&ada).await.expect("the activity");
        let expected =
            Activity { cards_added: 2, cards_removed: 1, collections_created: 1, last_active_at: Some(late) };
        assert_eq!(activity, expected);
    })
    .await;
}

#[tokio::test]
async fn a_transaction_that_is_rolled_back_counts_nothing() {
    on_each_database(async |database| {
        let ada: CuratorId = "ada".parse().expect("a curator's id");
        let event = CardAddedToLibraryEvent::new(CardId::generate(), ada.clone(), CardType::Note, None);
        let mut transaction = database.begin().await.expect("a transaction");
        count_added_card(&event, &mut transaction).await.expect("a count");
        drop(transaction);
        assert_eq!(Counters::new(database).of(&ada).await.expect("the activity"), Activity::default());
    })
    .await;
}
