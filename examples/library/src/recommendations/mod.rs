//! Recommendations: which cards a curator may like, because others who keep the same cards keep them.
//!
//! A room of its own beside search and feeds: an engine like this is the first thing to be replaced by something
//! heavier, on machines of its own, and then only the adapter behind [`RecommendationEngine`] and the place where this
//! group runs change. All it keeps are sets, so hearing of an event twice changes nothing, and what follows from them is
//! worked out when somebody asks, so it does not matter in which order events of different cards are heard.

pub mod api;
mod engine;
mod handlers;
#[cfg(test)]
mod tests;

use async_trait::async_trait;
pub use engine::{Suggestion, TasteEngine};

use crate::{cards::CardId, curators::CuratorId, database::DatabaseError};

/// The handlers a deployment runs together.
pub const GROUP: &str = "recommendations";

/// The tables of this context.
pub const SCHEMA: &str = include_str!("schema.sql");

/// Learns who keeps what, and suggests cards.
#[async_trait]
pub trait RecommendationEngine: Send + Sync {
    /// A curator keeps a card.
    async fn keeps(&self, curator: &CuratorId, card: &CardId) -> Result<(), DatabaseError>;

    /// A curator keeps a card no longer.
    async fn gave_up(&self, curator: &CuratorId, card: &CardId) -> Result<(), DatabaseError>;

    /// Suggests what most curators keep to one of whom little is known yet.
    async fn suggest_popular(&self, curator: &CuratorId) -> Result<(), DatabaseError>;
}
