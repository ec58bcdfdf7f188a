//! Cards and collections: the core of the application. Its aggregates raise events; every other context only listens.
//!
//! `card`, `collection` and `events` are the domain, `library` and `collections` the repositories that commit state and
//! events together, `api` what HTTP clients reach.

pub mod api;
mod card;
mod collection;
mod collections;
mod events;
mod ids;
mod library;
#[cfg(test)]
mod tests;
mod web_url;

pub use card::{Card, CardError, CardType};
pub use collection::{Collection, CollectionError};
pub use collections::Collections;
pub use events::{
    CardAddedToCollectionEvent, CardAddedToLibraryEvent, CardRemovedFromCollectionEvent, CardRemovedFromLibraryEvent,
    CollectionCreatedEvent,
};
pub use ids::{CardId, CollectionId};
pub use library::Library;
pub use web_url::{InvalidUrl, WebUrl};

/// The tables of this context.
pub const SCHEMA: &str = include_str!("schema.sql");
