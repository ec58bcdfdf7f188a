//! Feeds: what happened lately around the curators one follows, and around oneself.
//!
//! A story has a key made of what it is about, so publishing it again changes nothing, and taking a card out of a
//! collection retracts the story that told of putting it in.

pub mod api;
mod handlers;
mod stories;
#[cfg(test)]
mod tests;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::Serialize;
pub use stories::Stories;

use crate::{curators::CuratorId, database::DatabaseError};

/// The handlers a deployment runs together.
pub const GROUP: &str = "feeds";

/// The tables of this context.
pub const SCHEMA: &str = include_str!("schema.sql");

/// Something to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Story {
    /// What it is about; a reader has one story of a key.
    #[serde(skip)]
    pub key: String,
    pub text: String,
    pub at: DateTime<Utc>,
}

/// Writes stories into readers' feeds.
#[async_trait]
pub trait FeedService: Send + Sync {
    /// Puts a story into the feeds of these readers; those that have it keep it as it is.
    async fn publish(&self, story: &Story, readers: &[CuratorId]) -> Result<(), DatabaseError>;

    /// Takes a story out of all feeds.
    async fn retract(&self, key: &str) -> Result<(), DatabaseError>;
}
