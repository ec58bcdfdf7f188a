//! What the address of a NATS server says: read once, by `open`, used by everything here.

use std::time::Duration;

use super::super::address::Address;
use crate::error::{Error, ErrorKind, Result};

/// Into how many shards the events of a new stream are split.
pub(super) const SHARDS: u16 = 8;

/// The settings of one address.
#[derive(Debug)]
pub(super) struct Options {
    pub(super) address: Address,
    pub(super) tls: bool,
    /// As the address wants it; `None`: as the stream has it.
    pub(super) shards: Option<u16>,
    pub(super) replicas: usize,
    /// Zero: kept for ever.
    pub(super) max_age: Duration,
    /// -1: without limit.
    pub(super) max_bytes: i64,
    pub(super) duplicate_window: Duration,
    /// After this time without a sign of life a process has lost its shards.
    pub(super) lease: Duration,
}

impl Options {
    /// Those of JetStream.
    pub(super) fn jetstream(url: &str) -> Result<Self> {
        Self::read(url, &["shards", "replicas", "max_age", "max_bytes", "duplicate_window", "lease"])
    }

    /// Those of core NATS, which keeps nothing.
    pub(super) fn core(url: &str) -> Result<Self> {
        Self::read(url, &[])
    }

    fn read(url: &str, known: &[&str]) -> Result<Self> {
        let mut address = Address::parse(url, known)?;
        let shards = within(address.option("shards")?, "shards", 1, 256)?;
        let replicas = within(address.option("replicas")?, "replicas", 1, 5)?.unwrap_or(1);
        let seconds = |value: Option<u64>| value.map(Duration::from_secs);
        let max_age = seconds(address.option("max_age")?).unwrap_or_default();
        let max_bytes = within(address.option("max_bytes")?, "max_bytes", 1, i64::MAX)?.unwrap_or(-1);
        let window = seconds(within(address.option("duplicate_window")?, "duplicate_window", 1, 86_400)?);
        let mut duplicate_window = window.unwrap_or(Duration::from_secs(120));
        if !max_age.is_zero() {
            // The server refuses a longer one.
            duplicate_window = duplicate_window.min(max_age);
        }
        let lease = seconds(within(address.option("lease")?, "lease", 1, 3_600)?).unwrap_or(Duration::from_secs(6));
        let tls = address.url.scheme().ends_with("+tls");
        Ok(Self { address, tls, shards, replicas, max_age, max_bytes, duplicate_window, lease })
    }

    /// What all names on the server begin with.
    pub(super) fn prefix(&self) -> &str {
        &self.address.prefix
    }
}

fn within<T>(value: Option<T>, name: &str, least: T, most: T) -> Result<Option<T>>
where
    T: PartialOrd + std::fmt::Display + Copy,
{
    match value {
        Some(value) if value < least || value > most => Err(Error::new(
            ErrorKind::Configuration,
            format!("the option `{name}={value}` is out of range: from {least} to {most}"),
        )),
        value => Ok(value),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

    use super::*;

    #[test]
    fn options_out_of_range_are_refused_with_the_range() {
        let error = Options::jetstream("nats://h?shards=0").unwrap_err().to_string();
        assert!(error.contains("shards=0") && error.contains("256"), "{error}");
        assert_eq!(Options::jetstream("nats+tls://h?lease=2").unwrap().lease, Duration::from_secs(2));
        assert!(Options::core("nats+core://h?shards=4").is_err());
    }
}
