//! Which backend an address means.

use std::sync::Arc;

use super::Transport;
use crate::error::{Error, ErrorKind, Result};

/// A scheme of a transport's address, and the feature of this crate that brings its backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Scheme {
    /// As it stands before `://`.
    pub name: &'static str,
    /// The feature.
    pub feature: &'static str,
    /// Whether it is compiled in.
    pub enabled: bool,
}

impl Scheme {
    const fn new(name: &'static str, feature: &'static str, enabled: bool) -> Self {
        Self { name, feature, enabled }
    }

    /// All that this crate knows.
    pub const ALL: &'static [Self] = &[
        Self::new("redis", "redis", cfg!(feature = "redis")),
        Self::new("rediss", "redis", cfg!(feature = "redis")),
        Self::new("redis+pubsub", "redis", cfg!(feature = "redis")),
        Self::new("rediss+pubsub", "redis", cfg!(feature = "redis")),
        Self::new("nats", "nats", cfg!(feature = "nats")),
        Self::new("nats+tls", "nats", cfg!(feature = "nats")),
        Self::new("nats+core", "nats", cfg!(feature = "nats")),
        Self::new("nats+core+tls", "nats", cfg!(feature = "nats")),
        Self::new("amqp", "rabbitmq", cfg!(feature = "rabbitmq")),
        Self::new("amqps", "rabbitmq", cfg!(feature = "rabbitmq")),
        Self::new("kafka", "kafka", cfg!(feature = "kafka")),
        Self::new("kafka+ssl", "kafka-tls", cfg!(feature = "kafka-tls")),
    ];
}

/// The transport an address leads to: `redis://`, `redis+pubsub://`, `nats://`, `nats+core://`, `amqp://`, `kafka://` and
/// their forms with TLS. Talks to nobody: a broker that is away is waited for when it is needed.
///
/// ```
/// use domain_events::transport::connect;
///
/// let error = connect("carrier-pigeon://loft").unwrap_err();
/// assert!(error.to_string().contains("carrier-pigeon"));
/// ```
///
/// # Errors
///
/// [`Configuration`](ErrorKind::Configuration) for an address that can't be read, a scheme nobody knows, and one whose
/// feature is not enabled; never with a password in it.
pub fn connect(url: &str) -> Result<Arc<dyn Transport>> {
    let wrong = |message: String| Error::new(ErrorKind::Configuration, message);
    let Some((scheme, _)) = url.split_once("://") else {
        return Err(wrong(format!(
            "the transport's address has no scheme; write one of {}, as in `nats://localhost:4222`",
            listed(|_| true)
        )));
    };
    let Some(known) = Scheme::ALL.iter().find(|known| known.name == scheme) else {
        return Err(wrong(format!("no transport has the scheme `{scheme}`; there are {}", listed(|_| true))));
    };
    match known.feature {
        #[cfg(feature = "redis")]
        "redis" => super::redis::open(url),
        #[cfg(feature = "nats")]
        "nats" => super::nats::open(url),
        #[cfg(feature = "rabbitmq")]
        "rabbitmq" => super::rabbitmq::open(url),
        #[cfg(feature = "kafka")]
        "kafka" => super::kafka::open(url),
        #[cfg(feature = "kafka-tls")]
        "kafka-tls" => super::kafka::open(url),
        feature => Err(wrong(format!(
            "`{scheme}://` needs the feature `{feature}` of `domain-events`, which is not enabled; enabled are {}",
            listed(|scheme| scheme.enabled)
        ))),
    }
}

fn listed(which: impl Fn(&Scheme) -> bool) -> String {
    let names: Vec<_> = Scheme::ALL.iter().filter(|scheme| which(scheme)).map(|s| format!("`{}://`", s.name)).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_leads_nowhere_says_what_there_is() {
        let error = connect("redis").expect_err("it leads nowhere").to_string();
        assert!(error.contains("no scheme") && error.contains("`nats://`"), "{error}");
        let error = connect("pigeon://user:secret@loft").expect_err("it leads nowhere").to_string();
        assert!(error.contains("`pigeon`") && error.contains("`kafka://`") && !error.contains("secret"), "{error}");
    }

    #[test]
    fn a_backend_that_is_compiled_out_names_its_feature() {
        for scheme in Scheme::ALL.iter().filter(|scheme| !scheme.enabled) {
            let error =
                connect(&format!("{}://user:secret@localhost", scheme.name)).expect_err("it leads nowhere").to_string();
            assert!(error.contains(&format!("feature `{}`", scheme.feature)), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
