//! A broker's address: what every backend reads out of its URL in the same way.
//!
//! `scheme://user:password@host:port/path?prefix=library&ca=/etc/ssl/broker.pem`. Options stand in the query; one that the
//! backend does not know is an error, since a misspelt one would be ignored in silence.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use url::Url;

use crate::error::{Error, ErrorKind, Result};

/// What topics, subjects, queues and keys begin with, unless `prefix` says otherwise.
const PREFIX: &str = "events";

/// A parsed address. `Debug` and [`shown`](Self::shown) never have the password.
pub(crate) struct Address {
    /// Without the options; with user and password.
    pub(crate) url: Url,
    /// What everything on the broker that belongs to this application begins with.
    pub(crate) prefix: String,
    /// A file with the certificates of the authorities to trust, instead of the system's.
    pub(crate) ca: Option<PathBuf>,
    shown: String,
    options: BTreeMap<String, String>,
}

impl Address {
    /// Reads an address whose backend knows these options beside `prefix` and `ca`.
    pub(crate) fn parse(text: &str, known: &[&str]) -> Result<Self> {
        // The parser's own error says what is wrong, and never quotes the address.
        let mut url =
            Url::parse(text).map_err(|error| wrong(format!("the transport's address can't be read: {error}")))?;
        let mut options = BTreeMap::new();
        for (name, value) in url.query_pairs() {
            if !["prefix", "ca"].contains(&&*name) && !known.contains(&&*name) {
                let all: Vec<_> = ["prefix", "ca"].iter().chain(known).map(|known| format!("`{known}`")).collect();
                return Err(wrong(format!(
                    "`{}://` has no option `{name}`; there are {}",
                    url.scheme(),
                    all.join(", ")
                )));
            }
            options.insert(name.into_owned(), value.into_owned());
        }
        url.set_query(None);
        if url.host_str().is_none_or(str::is_empty) {
            return Err(wrong(format!("the address `{}://` names no host", url.scheme())));
        }
        let prefix = options.remove("prefix").unwrap_or_else(|| PREFIX.to_owned());
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if prefix.is_empty() || prefix.len() > 64 || !prefix.chars().all(fits) {
            return Err(wrong(format!("the prefix `{prefix}` can't be used: 1 to 64 letters, digits, `-` or `_`")));
        }
        let ca = options.remove("ca").map(PathBuf::from);
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let shown = format!("{}://{}{port}{} ({prefix})", url.scheme(), url.host_str().unwrap_or(""), url.path());
        Ok(Self { url, prefix, ca, shown, options })
    }

    /// For people: scheme, host, port, path and prefix.
    pub(crate) fn shown(&self) -> &str {
        &self.shown
    }

    /// An option's value, taken out.
    pub(crate) fn option<T>(&mut self, name: &str) -> Result<Option<T>>
    where
        T: std::str::FromStr<Err: fmt::Display>,
    {
        let Some(value) = self.options.remove(name) else { return Ok(None) };
        let read = value.parse().map_err(|error| wrong(format!("the option `{name}={value}` can't be read: {error}")));
        read.map(Some)
    }

    /// User and password, percent-decoded.
    pub(crate) fn credentials(&self) -> Option<(String, String)> {
        let decode = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
        let password = self.url.password().unwrap_or("");
        (!self.url.username().is_empty() || !password.is_empty())
            .then(|| (decode(self.url.username()), decode(password)))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

fn wrong(message: String) -> Error {
    Error::new(ErrorKind::Configuration, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_and_a_misspelt_one_is_named() {
        let mut address =
            Address::parse("redis://u:p%40ss@h:7/0?prefix=lib&shards=4", &["shards"]).expect("it can be read");
        assert_eq!(address.prefix, "lib");
        assert_eq!(address.option::<u16>("shards").expect("it can be read"), Some(4));
        assert_eq!(address.credentials(), Some(("u".to_owned(), "p@ss".to_owned())));
        let error = Address::parse("redis://h?shard=4", &["shards"]).expect_err("it is wrong").to_string();
        assert!(error.contains("`shard`") && error.contains("`shards`"), "{error}");
    }

    #[test]
    fn a_password_is_never_shown() {
        let address = Address::parse("amqps://user:secret@host:5671/vhost", &[]).expect("it can be read");
        let shown = format!("{address:?} {}", address.shown());
        assert!(shown.contains("amqps://host:5671/vhost") && !shown.contains("secret"), "{shown}");
        for wrong in ["amqp://user:secret@host:port", "amqp://user:secret@", "amqp://user:secret@h?prefix=a.b"] {
            let error = Address::parse(wrong, &[]).expect_err("it is wrong");
            assert!(!format!("{error:?}").contains("secret"), "{error:?}");
        }
    }
}
