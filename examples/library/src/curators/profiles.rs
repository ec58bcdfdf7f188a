//! The profiles, kept in the database.

use async_trait::async_trait;

use super::{CuratorId, InvalidCurator, Profile, ProfileService};
use crate::{
    database::{Database, DatabaseError, Queries as _},
    problem::Problem,
};

/// The profiles of all curators.
#[derive(Debug)]
pub struct Profiles {
    database: Database,
}

impl Profiles {
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    /// Adds a curator.
    pub async fn join(&self, id: &CuratorId, name: &str, is_public: bool) -> Result<(), Problem> {
        let name = name.trim();
        let length = name.chars().count();
        if !(1..=100).contains(&length) {
            return Err(InvalidCurator::Name(length).into());
        }
        if let Some(control) = name.chars().find(|character| character.is_control()) {
            return Err(InvalidCurator::Control(control).into());
        }
        let mut transaction = self.database.begin().await?;
        let added = transaction
            .query("insert into curators (id, name, is_public) values ($1, $2, $3) on conflict do nothing")
            .bind(id.as_str())
            .bind(name)
            .bind(is_public)
            .execute()
            .await?;
        if added == 0 {
            return Err(Problem::Duplicate(format!("there is a curator `{id}` already")));
        }
        Ok(transaction.commit().await?)
    }

    /// Lets a curator follow another; following twice is following.
    pub async fn follow(&self, curator: &CuratorId, follower: &CuratorId) -> Result<(), Problem> {
        if curator == follower {
            return Err(InvalidCurator::FollowsThemselves(curator.clone()).into());
        }
        self.known(curator).await?;
        self.known(follower).await?;
        let mut transaction = self.database.begin().await?;
        transaction
            .query("insert into followers (curator_id, follower_id) values ($1, $2) on conflict do nothing")
            .bind(curator.as_str())
            .bind(follower.as_str())
            .execute()
            .await?;
        Ok(transaction.commit().await?)
    }

    /// The profile of a curator who must exist.
    pub async fn known(&self, curator: &CuratorId) -> Result<Profile, Problem> {
        self.profile(curator).await?.ok_or_else(|| Problem::unknown("curator", curator))
    }
}

#[async_trait]
impl ProfileService for Profiles {
    async fn profile(&self, curator: &CuratorId) -> Result<Option<Profile>, DatabaseError> {
        let row: Option<(String, bool)> = self
            .database
            .query("select name, is_public from curators where id = $1")
            .bind(curator.as_str())
            .fetch_optional()
            .await?;
        let Some((name, is_public)) = row else { return Ok(None) };
        let followers: Vec<(String,)> = self
            .database
            .query("select follower_id from followers where curator_id = $1 order by follower_id")
            .bind(curator.as_str())
            .fetch_all()
            .await?;
        let followers = followers.into_iter().filter_map(|(id,)| id.parse().ok()).collect();
        Ok(Some(Profile { name, is_public, followers }))
    }
}
