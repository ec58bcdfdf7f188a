//! Curators: who they are, who follows whom, and whether their library is public.
//!
//! Other contexts ask through [`ProfileService`]; only this one knows the tables behind it.

pub mod api;
mod ask_web;
mod curator_id;
mod profiles;

pub use ask_web::AskWeb;
use async_trait::async_trait;
pub use curator_id::{CuratorId, InvalidCurator};
pub use profiles::Profiles;
use serde::{Deserialize, Serialize};

use crate::database::DatabaseError;

/// The tables of this context.
pub const SCHEMA: &str = include_str!("schema.sql");

/// What other contexts may know of a curator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    pub name: String,
    /// Whether followers hear what enters the library.
    pub is_public: bool,
    pub followers: Vec<CuratorId>,
}

/// Answers other contexts' questions about curators.
#[async_trait]
pub trait ProfileService: Send + Sync {
    /// A curator's profile; `None` for one that does not exist.
    async fn profile(&self, curator: &CuratorId) -> Result<Option<Profile>, DatabaseError>;
}
