//! What the address says about the brokers, as settings of librdkafka's clients.

use std::{fmt, path::PathBuf};

use rdkafka::ClientConfig;

use super::publish::BATCH_BYTES;
use crate::{
    error::{Error, ErrorKind, Result},
    transport::{address::Address, record::Subscription},
};

/// The options that a Kafka address has beside `prefix` and `ca`.
const OPTIONS: &[&str] = &["brokers", "partitions", "replication", "publish_timeout_ms", "session_timeout_ms"];

const DEFAULT_PORT: u16 = 9092;

/// How to reach the brokers, and how topics are made. `Debug` has no password.
#[derive(Clone)]
pub(super) struct Settings {
    /// For people.
    pub(super) shown: String,
    /// Whom to trust, if not the system's authorities.
    ca: Option<PathBuf>,
    /// The topic of all events, and what all other names begin with.
    pub(super) prefix: String,
    /// The partitions of a topic that is made here.
    pub(super) partitions: i32,
    /// Its copies; -1 leaves it to the broker.
    pub(super) replication: i32,
    client: ClientConfig,
    publish_timeout_ms: u32,
    session_timeout_ms: u32,
}

impl Settings {
    /// Reads an address.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let mut address = Address::parse(text, OPTIONS)?;
        let mut client = ClientConfig::new();
        let host = address.url.host_str().unwrap_or_default();
        let mut brokers = format!("{host}:{}", address.url.port().unwrap_or(DEFAULT_PORT));
        if let Some(more) = address.option::<String>("brokers")? {
            brokers = format!("{brokers},{more}");
        }
        client
            .set("bootstrap.servers", brokers)
            .set("client.id", "domain-events")
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "500")
            .set("socket.keepalive.enable", "true");
        let encrypted = address.url.scheme() == "kafka+ssl";
        match &address.ca {
            Some(_) if !encrypted => {
                return Err(wrong("the option `ca` means nothing to `kafka://`; use `kafka+ssl://`"));
            }
            Some(ca) => drop(client.set("ssl.ca.location", ca.to_string_lossy())),
            None => {}
        }
        let credentials = address.credentials();
        let protocol = match (encrypted, credentials.is_some()) {
            (false, false) => "PLAINTEXT",
            (true, false) => "SSL",
            (false, true) => "SASL_PLAINTEXT",
            (true, true) => "SASL_SSL",
        };
        client.set("security.protocol", protocol);
        if let Some((user, password)) = credentials {
            client.set("sasl.mechanism", "PLAIN").set("sasl.username", user).set("sasl.password", password);
        }
        let partitions = address.option("partitions")?.unwrap_or(8);
        if !(1..=1024).contains(&partitions) {
            return Err(wrong(format!("`partitions={partitions}` can't be used: 1 to 1024")));
        }
        let publish_timeout_ms = address.option("publish_timeout_ms")?.unwrap_or(30_000);
        let session_timeout_ms = address.option("session_timeout_ms")?.unwrap_or(8_000);
        if publish_timeout_ms < 1_000 || session_timeout_ms < 1_000 {
            return Err(wrong("`publish_timeout_ms` and `session_timeout_ms` are at least 1000"));
        }
        Ok(Self {
            shown: address.shown().to_owned(),
            ca: address.ca.clone(),
            prefix: address.prefix.clone(),
            partitions,
            replication: address.option("replication")?.unwrap_or(-1),
            client,
            publish_timeout_ms,
            session_timeout_ms,
        })
    }

    /// Whether the authorities can be read: of a file that can't, librdkafka tells no name.
    pub(super) fn check_ca(&self) -> Result<()> {
        let Some(ca) = &self.ca else { return Ok(()) };
        let opened = std::fs::File::open(ca).map(drop);
        opened.map_err(|error| wrong(format!("`ca={}` can't be read: {error}", ca.display())))
    }

    /// A client that publishes. One that failed is of no use any more: see [`publish`](super::publish).
    pub(super) fn producer(&self) -> ClientConfig {
        let mut config = self.client.clone();
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            // A message that is given up on ends the producer, so that none behind it can overtake the second try.
            .set("enable.gapless.guarantee", "true")
            .set("linger.ms", "0")
            .set("message.max.bytes", "20000000")
            .set("batch.size", BATCH_BYTES.to_string())
            .set("message.timeout.ms", self.publish_timeout_ms.to_string())
            // That of Java's clients: producers in other languages put an aggregate into the same partition.
            .set("partitioner", "murmur2_random");
        config
    }

    /// A client that asks, for a group or for itself.
    pub(super) fn inquirer(&self, group: Option<&str>) -> ClientConfig {
        let mut config = self.client.clone();
        config.set("enable.auto.commit", "false").set("enable.partition.eof", "false");
        if let Some(group) = group {
            config.set("group.id", group);
        }
        config
    }

    /// A client that takes in what a subscription gets.
    pub(super) fn consumer(&self, subscription: &Subscription, group: &str) -> ClientConfig {
        let mut config = self.inquirer(Some(group));
        config
            .set("client.id", format!("domain-events-{}", subscription.node))
            .set("enable.auto.offset.store", "false")
            // Where a group begins is fixed when it is made; this is for partitions that are added later.
            .set("auto.offset.reset", "earliest")
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("session.timeout.ms", self.session_timeout_ms.to_string())
            .set("heartbeat.interval.ms", (self.session_timeout_ms / 8).clamp(100, 3_000).to_string())
            .set("fetch.wait.max.ms", "250")
            .set("queued.min.messages", (subscription.window * 8).clamp(1_000, 20_000).to_string())
            .set("queued.max.messages.kbytes", "16384")
            .set("fetch.queue.backoff.ms", "10");
        config
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

fn wrong(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Configuration, message)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

    use super::*;

    #[test]
    fn more_brokers_and_credentials_come_from_the_address_and_stay_out_of_debug() {
        let settings = Settings::parse("kafka://app:s%40cret@h1:9093?brokers=h2:9092,h3:9092&partitions=3").unwrap();
        let config = settings.producer();
        assert_eq!(config.get("bootstrap.servers"), Some("h1:9093,h2:9092,h3:9092"));
        assert_eq!(config.get("security.protocol"), Some("SASL_PLAINTEXT"));
        assert_eq!(config.get("sasl.password"), Some("s@cret"));
        assert_eq!(settings.partitions, 3);
        assert!(!format!("{settings:?} {config:?}").contains("s@cret"));
    }

    #[test]
    fn what_can_t_be_used_is_named() {
        for (address, named) in [
            ("kafka://h?partitions=0", "`partitions=0`"),
            ("kafka://h?partition=1", "`partition`"),
            ("kafka://h?publish_timeout_ms=5", "at least 1000"),
            ("kafka://h?ca=/ca.pem", "`kafka+ssl://`"),
        ] {
            let error = Settings::parse(address).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
        let encrypted = Settings::parse("kafka+ssl://u:secret@h").unwrap();
        assert_eq!(encrypted.producer().get("security.protocol"), Some("SASL_SSL"));
    }
}
