//! The HTTP client: a small blocking one, on threads of its own.

use std::{error::Error, net::SocketAddr, time::Duration};

use serde_json::Value;
use ureq::{Agent, SendBody, http};

/// Asks the server as any client would.
#[derive(Clone)]
pub(super) struct Client {
    agent: Agent,
    base: String,
}

/// What the server said.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Value,
}

impl Client {
    pub(super) fn new(address: SocketAddr) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(30)))
            .allow_non_standard_methods(true)
            .build();
        Self { agent: config.into(), base: format!("http://{address}") }
    }

    pub(super) async fn get(&self, path: &str) -> Result<Answer, Box<dyn Error>> {
        self.send("GET", path, None).await
    }

    /// Sends a request; a body goes as it is, so that it can be wrong.
    pub(super) async fn send(&self, method: &str, path: &str, body: Option<String>) -> Result<Answer, Box<dyn Error>> {
        let request = http::Request::builder().method(method).uri(format!("{}{path}", self.base));
        let agent = self.agent.clone();
        let answer = tokio::task::spawn_blocking(move || -> Result<Answer, Box<dyn Error + Send + Sync>> {
            let mut response = match body {
                Some(body) => agent.run(request.header("content-type", "application/json").body(body)?)?,
                None => agent.run(request.body(SendBody::none())?)?,
            };
            let text = response.body_mut().read_to_string()?;
            let body = if text.is_empty() { Value::Null } else { serde_json::from_str(&text)? };
            Ok(Answer { status: response.status().as_u16(), body })
        });
        Ok(answer.await?.map_err(|error| format!("{method} {path}: {error}"))?)
    }
}
