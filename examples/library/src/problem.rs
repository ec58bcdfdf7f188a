//! Why a request is not carried out: one enum, so that each reason has one HTTP status and one code.

use std::{error::Error as StdError, fmt::Display};

use domain_events::ErrorKind;

use crate::{
    cards::{CardError, CollectionError, InvalidUrl},
    curators::InvalidCurator,
    database::DatabaseError,
    web::Rejected,
};

/// Why a request is not carried out.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    #[error(transparent)]
    Url(#[from] InvalidUrl),
    #[error(transparent)]
    Curator(#[from] InvalidCurator),
    #[error(transparent)]
    Card(#[from] CardError),
    #[error(transparent)]
    Collection(#[from] CollectionError),
    #[error("there is no {what} `{id}`")]
    Unknown { what: &'static str, id: String },
    #[error("{0}")]
    Duplicate(String),
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error(transparent)]
    Rejected(#[from] Rejected),
    #[error("the database holds something this program did not write: {0}")]
    Corrupt(Box<dyn StdError + Send + Sync>),
}

impl Problem {
    pub fn unknown(what: &'static str, id: impl Display) -> Self {
        Self::Unknown { what, id: id.to_string() }
    }

    pub fn corrupt(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Corrupt(cause.into())
    }

    /// Whether another request changed the same card or collection first.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Database(DatabaseError::Store(error)) if error.kind() == ErrorKind::Conflict)
    }
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

impl From<domain_events::Error> for Problem {
    fn from(error: domain_events::Error) -> Self {
        Self::Database(error.into())
    }
}

/// Loads, decides and saves again if another request was faster; a second conflict is the client's to see.
pub async fn once_more_on_conflict<F>(attempt: impl Fn() -> F) -> Result<(), Problem>
where
    F: Future<Output = Result<(), Problem>>,
{
    match attempt().await {
        Err(problem) if problem.is_conflict() => attempt().await,
        done => done,
    }
}
