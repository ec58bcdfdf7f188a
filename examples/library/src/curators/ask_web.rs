//! The profiles, asked of the web process: for workers that share no database with it.

use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::{CuratorId, Profile, ProfileService};
use crate::{
    database::DatabaseError,
    peer::{Peer, PeerError},
};

/// How long a web process may be away, as it is while it is started anew, before that is the handler's trouble. Well below
/// a handler's `timeout`.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(200);

/// The profiles of another process.
#[derive(Debug)]
pub struct AskWeb {
    web: Peer,
}

impl AskWeb {
    pub fn at(web: Peer) -> Self {
        Self { web }
    }

    async fn ask(&self, curator: &CuratorId) -> Result<Option<Profile>, PeerError> {
        let answer = self.web.get(&format!("/profiles/{curator}")).await?;
        match answer.status {
            200 => serde_json::from_value(answer.body).map(Some).map_err(|error| self.web.error(error)),
            404 if answer.body["error"] == "not_found" => Ok(None),
            status => Err(self.web.error(format!("the profile of `{curator}` was answered with {status}"))),
        }
    }
}

#[async_trait]
impl ProfileService for AskWeb {
    async fn profile(&self, curator: &CuratorId) -> Result<Option<Profile>, DatabaseError> {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.ask(curator).await {
                Err(error) if Instant::now() > until => return Err(error.into()),
                Err(_) => tokio::time::sleep(PAUSE).await,
                Ok(profile) => return Ok(profile),
            }
        }
    }
}
