//! The profiles, kept in SQLite.

use async_trait::async_trait;

use super::{CuratorId, InvalidCurator, Profile, ProfileService};
use crate::{
    database::{Database, DatabaseError},
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
        let mut transaction = self.database.begin().await?;
        let added = sqlx::query("insert into curators (id, name, is_public) values (?, ?, ?) on conflict do nothing")
            .bind(id.as_str())
            .bind(name)
            .bind(is_public)
            .execute(&mut *transaction)
            .await?;
        if added.rows_affected() == 0 {
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
        sqlx::query("insert into followers (curator_id, follower_id) values (?, ?) on conflict do nothing")
            .bind(curator.as_str())
            .bind(follower.as_str())
            .execute(&mut *transaction)
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
        let row: Option<(String, bool)> = sqlx::query_as("select name, is_public from curators where id = ?")
            .bind(curator.as_str())
            .fetch_optional(self.database.reader())
            .await?;
        let Some((name, is_public)) = row else { return Ok(None) };
        let followers: Vec<(String,)> =
            sqlx::query_as("select follower_id from followers where curator_id = ? order by follower_id")
                .bind(curator.as_str())
                .fetch_all(self.database.reader())
                .await?;
        let followers = followers.into_iter().filter_map(|(id,)| id.parse().ok()).collect();
        Ok(Some(Profile { name, is_public, followers }))
    }
}
