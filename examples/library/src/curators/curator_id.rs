//! The identity of a curator: a handle they choose, `ada` or `did:plc:ewvi7nxzyoun6zhxrhs64oiz`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Which curator.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CuratorId(String);

/// Why something about a curator can't be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCurator {
    #[error("`{0}` is not a curator's id: 1 to {max} of a-z, 0-9, `.`, `:`, `_` and `-`", max = CuratorId::MAX_BYTES)]
    Id(String),
    #[error("a curator's name has 1 to 100 characters, not {0}")]
    Name(usize),
    #[error("a curator's name is one line of text; there is no place in it for {0:?}")]
    Control(char),
    #[error("`{0}` can't follow themselves")]
    FollowsThemselves(CuratorId),
}

impl CuratorId {
    pub const MAX_BYTES: usize = 64;

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CuratorId {
    type Err = InvalidCurator;

    fn from_str(text: &str) -> Result<Self, InvalidCurator> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".:_-".contains(&byte);
        if (1..=Self::MAX_BYTES).contains(&text.len()) && text.bytes().all(allowed) {
            return Ok(Self(text.to_owned()));
        }
        Err(InvalidCurator::Id(text.chars().take(Self::MAX_BYTES).collect()))
    }
}

impl TryFrom<String> for CuratorId {
    type Error = InvalidCurator;

    fn try_from(text: String) -> Result<Self, InvalidCurator> {
        text.parse()
    }
}

impl From<CuratorId> for String {
    fn from(id: CuratorId) -> Self {
        id.0
    }
}

impl fmt::Display for CuratorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
