//! Notifications: tells people what they want to hear about.
//!
//! The handlers know two ports: [`ProfileService`](crate::curators::ProfileService) says who is to be told, and
//! [`NotificationService`] tells them. They can be called twice for one event (at least once is the promise), so each
//! notification is sent under a key made of the event and the recipient, and a key is taken once.

pub mod api;
mod handlers;
mod inbox;
#[cfg(test)]
mod tests;

use async_trait::async_trait;
use domain_events::EventId;
pub use inbox::Inbox;

use crate::{curators::CuratorId, database::DatabaseError};

/// The handlers a deployment runs together.
pub const GROUP: &str = "notifications";

/// The tables of this context.
pub const SCHEMA: &str = include_str!("schema.sql");

/// One message to one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// What it is about: with the recipient, the key under which it is sent once.
    pub event: EventId,
    pub recipient: CuratorId,
    pub text: String,
}

/// Why a notification was not sent.
#[derive(Debug, thiserror::Error)]
pub enum NotificationError {
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error(transparent)]
    Gateway(std::io::Error),
}

/// Brings notifications to people.
#[async_trait]
pub trait NotificationService: Send + Sync {
    /// Sends a notification; one that was sent before is left alone.
    async fn send(&self, notification: Notification) -> Result<(), NotificationError>;
}
