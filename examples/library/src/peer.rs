//! Another process of this application, asked over HTTP: a small blocking client, on threads made for that.

use std::{fmt, str::FromStr, time::Duration};

use serde_json::Value;
use ureq::Agent;
use url::{Position, Url};

/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(5);

/// Where another process serves.
#[derive(Debug, Clone)]
pub struct Peer {
    agent: Agent,
    /// `http://host:port`
    base: String,
}

/// What it said.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Value,
}

/// It said nothing that can be used.
#[derive(Debug, thiserror::Error)]
#[error("{peer} can't be asked: {why}")]
pub struct PeerError {
    peer: String,
    why: String,
}

impl Peer {
    /// Asks once.
    pub async fn get(&self, path: &str) -> Result<Answer, PeerError> {
        let (agent, url) = (self.agent.clone(), format!("{}{path}", self.base));
        let asked = tokio::task::spawn_blocking(move || -> Result<Answer, ureq::Error> {
            let mut response = agent.get(url).call()?;
            let status = response.status().as_u16();
            Ok(Answer { status, body: response.body_mut().read_json()? })
        });
        match asked.await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(self.error(error)),
            Err(error) => Err(self.error(error)),
        }
    }

    /// An answer of it that makes no sense here.
    pub fn error(&self, why: impl fmt::Display) -> PeerError {
        PeerError { peer: self.base.clone(), why: why.to_string() }
    }
}

impl FromStr for Peer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // Not the text itself: somebody may have put a password there.
        let wrong = || "is not an address like `http://127.0.0.1:8080`".to_owned();
        let url = Url::parse(text).map_err(|_| wrong())?;
        let bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
        if url.scheme() != "http" || !bare || !url.username().is_empty() || url.password().is_some() {
            return Err(wrong());
        }
        let config = Agent::config_builder().http_status_as_error(false).timeout_global(Some(LIMIT)).build();
        Ok(Self { agent: config.into(), base: url[..Position::BeforePath].to_owned() })
    }
}

impl PartialEq for Peer {
    fn eq(&self, other: &Self) -> bool {
        self.base == other.base
    }
}

impl Eq for Peer {}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.base)
    }
}
