//! A connection to the broker: for the publisher, each inbound, and each thing that is asked of it.

use std::{
    fs, io, mem,
    ops::Deref,
    sync::{Arc, Mutex},
    time::Duration,
};

use lapin::{
    Channel, Connection, ConnectionProperties,
    tcp::{AMQPUriTcpExt, RustlsConnectorConfig},
    types::ShortString,
    uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo},
};
use percent_encoding::percent_decode_str;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use tokio::runtime::Handle;

use super::{QueueKind, error::named, session::lock};
use crate::{
    error::{Error, ErrorKind, Result},
    transport::address::Address,
};

/// In seconds. A peer that is frozen, or whose cable is cut, is given up after two of them.
const HEARTBEAT: u16 = 5;

/// How long connecting and hanging up may take.
pub(super) const GREETING: Duration = Duration::from_secs(10);

/// How long an answer may take on a connection whose heartbeats are there: a broker under load is slow, not away.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// How long after its end a connection may still be at work on a last delivery.
const LAST_DELIVERY: Duration = Duration::from_secs(1);

/// Which broker, and what the address says about how to use it.
#[derive(Debug)]
pub(super) struct Broker {
    pub(super) address: Address,
    pub(super) queue: QueueKind,
}

impl Broker {
    /// Connects; the name is shown by RabbitMQ's tools.
    pub(super) async fn connect(&self, name: &str) -> Result<Connected> {
        let uri = self.uri();
        let host = uri.authority.host.clone();
        let tls = matches!(uri.scheme, AMQPScheme::AMQPS).then(|| self.trusted()).transpose()?;
        let runtime = lapin::runtime::default_runtime().map_err(|error| self.failed("connect", &error))?;
        let properties =
            ConnectionProperties::default().with_connection_name(format!("domain-events {name}").as_str().into());
        let connecting = Connection::connector(
            uri,
            runtime,
            async move |uri, runtime| {
                let plain = AMQPUri { scheme: AMQPScheme::AMQP, ..uri };
                let stream = plain.connect_async(&runtime).await?;
                let Some(trusted) = &tls else { return Ok(stream) };
                let connector = trusted.clone().connector_with_no_client_auth()?;
                Ok(stream.into_rustls(&connector, &host).await?)
            },
            properties,
        );
        let connection = self.within(GREETING, "connect", connecting).await?;
        Ok(Connected { connection: Arc::new(connection), consuming: Mutex::default(), runtime: Handle::current() })
    }

    /// A channel of a connection.
    pub(super) async fn channel(&self, connection: &Connection) -> Result<Channel> {
        self.in_time("open a channel", connection.create_channel()).await
    }

    /// A channel of a connection, for consumers.
    pub(super) async fn consuming(&self, connection: &Connected) -> Result<Channel> {
        let channel = self.channel(connection).await?;
        lock(&connection.consuming).push(channel.clone());
        Ok(channel)
    }

    /// Waits for an answer, but not for ever.
    pub(super) async fn in_time<T>(&self, doing: &str, answer: impl Future<Output = lapin::Result<T>>) -> Result<T> {
        self.within(PATIENCE, doing, answer).await
    }

    /// A broker that is frozen takes connections and says nothing.
    async fn within<T>(
        &self,
        limit: Duration,
        doing: &str,
        answer: impl Future<Output = lapin::Result<T>>,
    ) -> Result<T> {
        match tokio::time::timeout(limit, answer).await {
            Ok(answered) => answered.map_err(|error| self.failed(doing, &error)),
            Err(_) => Err(self.unanswered(doing, limit)),
        }
    }

    /// The error for the caller.
    pub(super) fn failed(&self, doing: &str, error: &lapin::Error) -> Error {
        named(&self.cannot(doing), error)
    }

    /// The error where no answer comes.
    pub(super) fn silent(&self, doing: &str) -> Error {
        self.unanswered(doing, PATIENCE)
    }

    fn unanswered(&self, doing: &str, limit: Duration) -> Error {
        Error::new(ErrorKind::Unavailable, format!("{}: no answer within {limit:?}", self.cannot(doing)))
    }

    /// How an error begins.
    pub(super) fn cannot(&self, doing: &str) -> String {
        format!("can't {doing} at {}", self.address.shown())
    }

    fn uri(&self) -> AMQPUri {
        let url = &self.address.url;
        let scheme = if url.scheme() == "amqps" { AMQPScheme::AMQPS } else { AMQPScheme::AMQP };
        // The path without its slash, decoded; none means the broker's default, which is called `/`.
        let path = url.path().strip_prefix('/').filter(|path| !path.is_empty());
        let vhost = path.map_or("/".into(), |path| percent_decode_str(path).decode_utf8_lossy());
        let (username, password) = self.address.credentials().unwrap_or(("guest".to_owned(), "guest".to_owned()));
        // The brackets around an IPv6 address belong to the URL.
        let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = url.port().unwrap_or(scheme.default_port());
        AMQPUri {
            vhost: vhost.into_owned(),
            authority: AMQPAuthority { userinfo: AMQPUserInfo { username, password }, host, port },
            query: AMQPQueryString { heartbeat: Some(HEARTBEAT), ..AMQPQueryString::default() },
            scheme,
        }
    }

    /// Whom to trust: the authorities in the file, or the system's.
    fn trusted(&self) -> Result<RustlsConnectorConfig> {
        let wrong = |what: String| Error::new(ErrorKind::Configuration, what);
        let Some(file) = &self.address.ca else {
            return RustlsConnectorConfig::new_with_native_certs().map_err(|error| {
                wrong(format!("the system's certificates can't be read: {error}; name a file with the option `ca`"))
            });
        };
        let read = |error: &dyn std::fmt::Display| wrong(format!("`ca={}` can't be read: {error}", file.display()));
        let pem = fs::read(file).map_err(|error| read(&error))?;
        let certificates: Vec<_> =
            CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>().map_err(|error| read(&error))?;
        if certificates.is_empty() {
            return Err(read(&io::Error::other("there is no certificate in it")));
        }
        let mut config = RustlsConnectorConfig::default();
        config.add_parsable_certificates(certificates);
        Ok(config)
    }
}

/// A connection that is closed when it is dropped, whatever was under way on it. The client library alone keeps one open,
/// with the deliveries of its queue, if a `basic_consume` on it was dropped before the answer came.
pub(super) struct Connected {
    connection: Arc<Connection>,
    /// Channels that have consumers, kept until the connection is gone. If they ended before, a connection that fails while
    /// a delivery comes in would block two of the client library's threads for ever: one has the channel's state and waits
    /// for the consumers, one has the consumers and, with the last of them, ends the channel, for which it waits.
    consuming: Mutex<Vec<Channel>>,
    /// Who drops it may be outside.
    runtime: Handle,
}

impl Connected {
    /// Ends it as the protocol wants it. That it is ended already is no error.
    pub(super) async fn hang_up(&self) {
        let closing = self.connection.close(200, ShortString::default());
        let _ = tokio::time::timeout(GREETING, closing).await;
    }
}

impl Deref for Connected {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        let consuming = mem::take(&mut *lock(&self.consuming));
        let connected = self.connection.status().connected();
        if connected || !consuming.is_empty() {
            let connection = Arc::clone(&self.connection);
            self.runtime.spawn(async move {
                if connected {
                    let _ = connection.close(200, ShortString::default()).await;
                }
                tokio::time::sleep(LAST_DELIVERY).await;
                drop(consuming);
            });
        }
    }
}
