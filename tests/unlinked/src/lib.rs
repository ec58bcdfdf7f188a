//! A bounded context of its own: one aggregate, one event, one handler. Whether a program has them depends on whether it
//! names this crate.

use domain_events::prelude::*;

/// What the module is about.
#[aggregate_root]
pub struct Shelf {
    #[aggregate(id)]
    id: String,
    events: PendingEvents,
}

/// A shelf was put up.
#[derive(Debug, DomainEvent)]
#[event(aggregate = Shelf)]
pub struct ShelfBuiltEvent {
    /// Which.
    #[event(aggregate_id)]
    pub shelf_id: String,
}

impl Shelf {
    /// Puts one up.
    #[must_use]
    pub fn build(id: &str) -> Self {
        let mut shelf = Self { id: id.to_owned(), events: PendingEvents::default() };
        shelf.raise(ShelfBuiltEvent { shelf_id: id.to_owned() });
        shelf
    }
}

/// Fills it.
#[event_handler(ShelfBuiltEvent)]
pub async fn fill_the_shelf(_: &ShelfBuiltEvent) {}
