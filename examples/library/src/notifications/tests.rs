//! The handlers alone: called as the functions they are, with fakes for their ports.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chrono::Utc;
use domain_events::{AggregateId, DomainEvent as _, EventMeta, HandlerError, Service, handler::Verdict};

use super::{
    handlers::{notify_followers, welcome_collection},
    *,
};
use crate::{
    cards::{CardAddedToLibraryEvent, CardId, CardType, CollectionCreatedEvent, CollectionId},
    curators::{Profile, ProfileService},
    database::on_each_database,
};

/// Everybody has this profile, or there is nobody.
struct Profiles(Option<Profile>);

#[async_trait]
impl ProfileService for Profiles {
    async fn profile(&self, _: &CuratorId) -> Result<Option<Profile>, DatabaseError> {
        Ok(self.0.clone())
    }
}

#[derive(Default)]
struct Sent(Mutex<Vec<Notification>>);

#[async_trait]
impl NotificationService for Sent {
    async fn send(&self, notification: Notification) -> Result<(), NotificationError> {
        self.0.lock().expect("no panic").push(notification);
        Ok(())
    }
}

fn curator(id: &str) -> CuratorId {
    id.parse().expect("a curator's id")
}

fn ada(is_public: bool) -> Profile {
    Profile { name: "Ada".into(), is_public, followers: vec![curator("grace"), curator("linus")] }
}

async fn told(profile: Option<Profile>) -> (Result<(), HandlerError>, Vec<Notification>) {
    let sent = Arc::new(Sent::default());
    let url = "https://example.com/".parse().expect("a web address");
    let event = CardAddedToLibraryEvent::new(CardId::generate(), curator("ada"), CardType::Url, Some(url));
    let meta = EventMeta::new(
        EventId::generate(),
        CardAddedToLibraryEvent::NAME,
        1,
        "Card",
        event.aggregate_id(),
        event.occurred_at,
    );
    let profiles: Service<dyn ProfileService> = Service::new(Arc::new(Profiles(profile)));
    let result = notify_followers(&event, &meta, profiles, Service::new(sent.clone())).await;
    let sent = sent.0.lock().expect("no panic").clone();
    (result, sent)
}

#[tokio::test]
async fn followers_hear_of_a_card_in_a_public_library() {
    let (result, sent) = told(Some(ada(true))).await;
    assert!(result.is_ok());
    let recipients: Vec<_> = sent.iter().map(|notification| notification.recipient.as_str()).collect();
    assert_eq!(recipients, ["grace", "linus"]);
    assert_eq!(sent[0].text, "Ada added https://example.com/ to their library");
}

#[tokio::test]
async fn nobody_hears_of_a_card_in_a_private_library() {
    let (result, sent) = told(Some(ada(false))).await;
    assert!(result.is_ok());
    assert_eq!(sent, []);
}

#[tokio::test]
async fn a_curator_who_is_gone_is_no_reason_to_try_again() {
    let (result, sent) = told(None).await;
    let error = result.expect_err("a reason");
    assert_eq!(error.to_string(), "curator `ada` is gone");
    assert_eq!(error.verdict(), Verdict::Discard);
    assert_eq!(sent, []);
}

#[tokio::test]
async fn a_curator_is_welcomed_to_a_collection_once_however_often_the_event_comes() {
    on_each_database(async |database| {
        let inbox = Arc::new(Inbox::new(database));
        let event = CollectionCreatedEvent::new(CollectionId::generate(), curator("ada"), "To read".into());
        let id = AggregateId::from(event.collection_id.to_string());
        let meta = EventMeta::new(EventId::generate(), CollectionCreatedEvent::NAME, 1, "Collection", id, Utc::now());
        for _ in 0..3 {
            welcome_collection(&event, &meta, Service::new(inbox.clone())).await.expect("a notification");
        }
        let received = inbox.of(&curator("ada")).await.expect("an inbox");
        assert_eq!(received, ["Welcome to your new collection, To read"]);
    })
    .await;
}
