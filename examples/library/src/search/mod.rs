//! Search: finds cards by their address.
//!
//! A card that was added and removed must end up removed, so one handler takes both events: a handler sees the events
//! of a card in order, two handlers would be independent of each other. Writing and deleting an entry are idempotent.

pub mod api;
mod index;
mod indexer;
#[cfg(test)]
mod tests;

use async_trait::async_trait;
pub use index::{Hit, TableIndex};

use crate::{
    cards::{CardId, WebUrl},
    curators::CuratorId,
    database::DatabaseError,
};

/// The handlers a deployment runs together.
pub const GROUP: &str = "search";

/// The tables of this context.
pub const SCHEMA: &str = include_str!("schema.sql");

/// Where cards are found.
#[async_trait]
pub trait SearchIndex: Send + Sync {
    /// Makes a curator's card findable.
    async fn put(&self, card: &CardId, curator: &CuratorId, url: &WebUrl) -> Result<(), DatabaseError>;

    /// Takes a curator's card out; one that is not there is left alone.
    async fn remove(&self, card: &CardId, curator: &CuratorId) -> Result<(), DatabaseError>;
}
