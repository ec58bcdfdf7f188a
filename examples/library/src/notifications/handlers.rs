//! Who is told what.

use domain_events::prelude::*;

use super::{GROUP, Notification, NotificationError, NotificationService};
use crate::{
    cards::{CardAddedToLibraryEvent, CollectionCreatedEvent, WebUrl},
    curators::ProfileService,
};

/// Tells a curator's followers about a new card, if the library is public.
#[event_handler(CardAddedToLibraryEvent, group = GROUP, max_attempts = 5, backoff = "200ms..1m")]
pub(super) async fn notify_followers(
    event: &CardAddedToLibraryEvent,
    meta: &EventMeta,
    profiles: Service<dyn ProfileService>,
    notifications: Service<dyn NotificationService>,
) -> Result<(), HandlerError> {
    let Some(curator) = profiles.profile(&event.curator_id).await? else {
        return Err(HandlerError::discard(format!("curator `{}` is gone", event.curator_id)));
    };
    if !curator.is_public {
        return Ok(());
    }
    let card = event.url.as_ref().map_or("a note", WebUrl::as_str);
    for recipient in curator.followers {
        let text = format!("{} added {card} to their library", curator.name);
        notifications.send(Notification { event: meta.id, recipient, text }).await?;
    }
    Ok(())
}

/// Welcomes a curator to a collection of their own.
#[event_handler(CollectionCreatedEvent, group = GROUP, max_attempts = 5, backoff = "200ms..1m")]
pub(super) async fn welcome_collection(
    event: &CollectionCreatedEvent,
    meta: &EventMeta,
    notifications: Service<dyn NotificationService>,
) -> Result<(), NotificationError> {
    let text = format!("Welcome to your new collection, {}", event.name);
    notifications.send(Notification { event: meta.id, recipient: event.curator_id.clone(), text }).await
}
