//! Counts what happened, each event exactly once: the handler's writes and its position commit together.

use domain_events::{SqlTransaction, prelude::*};

use super::{
    GROUP,
    counters::{Count, count},
};
use crate::cards::{CardAddedToLibraryEvent, CardRemovedFromLibraryEvent, CollectionCreatedEvent};

#[event_handler(CardAddedToLibraryEvent, group = GROUP)]
pub(super) async fn count_added_card(
    event: &CardAddedToLibraryEvent,
    transaction: &mut SqlTransaction,
) -> Result<(), sqlx::Error> {
    count(transaction, Count::CardAdded, &event.curator_id, event.occurred_at).await
}

#[event_handler(CardRemovedFromLibraryEvent, group = GROUP)]
pub(super) async fn count_removed_card(
    event: &CardRemovedFromLibraryEvent,
    transaction: &mut SqlTransaction,
) -> Result<(), sqlx::Error> {
    count(transaction, Count::CardRemoved, &event.curator_id, event.occurred_at).await
}

#[event_handler(CollectionCreatedEvent, group = GROUP)]
pub(super) async fn update_profile_stats(
    event: &CollectionCreatedEvent,
    transaction: &mut SqlTransaction,
) -> Result<(), sqlx::Error> {
    count(transaction, Count::CollectionCreated, &event.curator_id, event.occurred_at).await
}
