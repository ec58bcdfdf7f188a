//! The address on a card: whatever a curator types, if a browser can open it.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use url::Url;

/// An `http` or `https` address with a host, in the one form that makes equal addresses equal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WebUrl(Url);

/// Why a text is not the address of a web page.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUrl {
    #[error("`{0}` is not a URL: {1}")]
    Malformed(String, url::ParseError),
    #[error("`{0}` is a `{1}:` address; a card takes `http:` and `https:`")]
    Scheme(String, String),
    #[error("the URL has {0} bytes; a card takes at most {max}", max = WebUrl::MAX_BYTES)]
    TooLong(usize),
}

impl WebUrl {
    /// What browsers and servers commonly take.
    pub const MAX_BYTES: usize = 2048;

    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl FromStr for WebUrl {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        if text.len() > Self::MAX_BYTES {
            return Err(InvalidUrl::TooLong(text.len()));
        }
        let url = Url::parse(text).map_err(|error| InvalidUrl::Malformed(text.to_owned(), error))?;
        match url.scheme() {
            "http" | "https" => Ok(Self(url)),
            other => Err(InvalidUrl::Scheme(text.to_owned(), other.to_owned())),
        }
    }
}

impl TryFrom<String> for WebUrl {
    type Error = InvalidUrl;

    fn try_from(text: String) -> Result<Self, InvalidUrl> {
        text.parse()
    }
}

impl From<WebUrl> for String {
    fn from(url: WebUrl) -> Self {
        url.0.into()
    }
}

impl fmt::Display for WebUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
