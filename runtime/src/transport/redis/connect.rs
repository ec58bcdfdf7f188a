//! Where the server is, and a connection to it: plain or with TLS, with user, password and database of the address.

use std::{fmt, fs, time::Duration};

use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, IntoConnectionInfo, ProtocolVersion, RedisConnectionInfo,
    TlsCertificates, aio::MultiplexedConnection, io::tcp::TcpSettings,
};

use super::error::failed;
use crate::{
    error::{Error, ErrorKind, Result},
    transport::address::Address,
};

const PORT: u16 = 6379;

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);

/// How long a command may take that does not wait for anything.
pub(super) const ANSWER: Duration = Duration::from_secs(5);

/// A server, without a connection. `Debug` shows no password.
#[derive(Clone)]
pub(super) struct Server {
    client: Client,
    shown: String,
}

impl Server {
    /// Reads the address; talks to nobody.
    pub(super) fn new(address: &Address, protocol: ProtocolVersion) -> Result<Self> {
        let wrong = |message: String| Error::new(ErrorKind::Configuration, message);
        let shown = address.shown().to_owned();
        let unreadable = |error: redis::RedisError| wrong(format!("the address {shown} can't be used: {error}"));
        let host = address.url.host_str().unwrap_or_default();
        // An address of version 6 stands in brackets in a URL, and without them everywhere else.
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = address.url.port().unwrap_or(PORT);
        let path = address.url.path().trim_matches('/');
        let database: i64 = match path {
            "" => 0,
            path => path.parse().map_err(|_| wrong(format!("the database `{path}` of {shown} is not a number")))?,
        };
        let mut settings = RedisConnectionInfo::default().set_db(database).set_protocol(protocol);
        if let Some((user, password)) = address.credentials() {
            settings = settings.set_password(password);
            if !user.is_empty() {
                settings = settings.set_username(user);
            }
        }
        let tls = address.url.scheme().starts_with("rediss");
        let at = if tls {
            ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
        } else {
            ConnectionAddr::Tcp(host, port)
        };
        let info = at.into_connection_info().map_err(unreadable)?;
        let info = info.set_redis_settings(settings).set_tcp_settings(TcpSettings::default().set_nodelay(true));
        let client = match (&address.ca, tls) {
            (Some(file), true) => {
                let pem = fs::read(file).map_err(|error| {
                    wrong(format!("the authorities in `{}` (option `ca`) can't be read: {error}", file.display()))
                })?;
                let certificates = TlsCertificates { client_tls: None, root_cert: Some(pem) };
                Client::build_with_tls(info, certificates).map_err(unreadable)?
            }
            (Some(_), false) => {
                return Err(wrong(format!("{shown} has the option `ca` but no TLS; write `rediss` for `redis`")));
            }
            (None, _) => Client::open(info).map_err(unreadable)?,
        };
        if tls {
            // The client takes the process's default; a program that has chosen one keeps it.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        Ok(Self { client, shown })
    }

    /// For people.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    /// A connection of its own, whose commands may take so long.
    pub(super) async fn connect(&self, answer: Duration) -> Result<MultiplexedConnection> {
        self.connect_with(AsyncConnectionConfig::new(), answer).await
    }

    /// The same, with more settings.
    pub(super) async fn connect_with(
        &self,
        config: AsyncConnectionConfig,
        answer: Duration,
    ) -> Result<MultiplexedConnection> {
        let config = config.set_connection_timeout(Some(CONNECT)).set_response_timeout(Some(answer));
        let connected = self.client.get_multiplexed_async_connection_with_config(&config).await;
        connected.map_err(|error| self.failed("connecting", &error))
    }

    /// An error of this server.
    pub(super) fn failed(&self, doing: &str, error: &redis::RedisError) -> Error {
        failed(&self.shown, doing, error)
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}
