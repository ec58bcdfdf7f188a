//! The broker that `EVENTS_TRANSPORT` names.

use std::{fmt, sync::Arc};

use domain_events::transport::{self, Transport};

/// A broker's address. There may be a password in it.
#[derive(Clone, PartialEq, Eq)]
pub struct Broker {
    url: String,
}

impl Broker {
    pub fn at(url: String) -> Self {
        Self { url }
    }

    /// The same broker, where names begin with something that nobody else's begin with.
    pub fn under(&self, prefix: &str) -> Self {
        let parameter = if self.url.contains('?') { '&' } else { '?' };
        Self { url: format!("{}{parameter}prefix={prefix}", self.url) }
    }

    /// The way there. Nobody is talked to yet: a broker that is away is waited for when there is something to say.
    pub fn transport(&self) -> Result<Arc<dyn Transport>, String> {
        transport::connect(&self.url).map_err(|error| format!("`EVENTS_TRANSPORT`: {error}"))
    }
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Broker(..)")
    }
}
