//! A connection to the server that ends when it is lost, and what its errors mean.
//!
//! The client would connect again by itself and send what it still holds: behind messages that were lost, and so out of
//! order. Here whoever used the connection makes a new one and begins where confirmations ended.

use std::{
    fmt::Display,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_nats::{Auth, AuthError, Client, ConnectError, ConnectErrorKind, ConnectOptions};

use super::options::Options;
use crate::error::{Error, ErrorKind, Result};

/// How long a connection, and each answer on it, may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// Connects, once.
pub(super) async fn connect(options: &Options) -> Result<Client> {
    let url = &options.address.url;
    let connected = Arc::new(AtomicBool::new(false));
    let (user, password) = options.address.credentials().unzip();
    let once = connected.clone();
    // The second connection fails for want of credentials, the third is one too many: the client ends.
    let mut settings = ConnectOptions::with_auth_callback(move |_| {
        let (user, password, again) = (user.clone(), password.clone(), once.load(Ordering::Acquire));
        async move {
            if again {
                return Err(AuthError::new("a lost connection is not made again"));
            }
            let mut auth = Auth::new();
            (auth.username, auth.password) = (user, password);
            Ok(auth)
        }
    })
    .max_reconnects(1)
    .name("domain-events")
    .connection_timeout(PATIENCE)
    .request_timeout(Some(PATIENCE))
    .ping_interval(PATIENCE)
    .ignore_discovered_servers()
    .require_tls(options.tls);
    if let Some(ca) = &options.address.ca {
        std::fs::metadata(ca).map_err(|error| {
            let message = format!("the certificates `{}` can't be read: {error}", ca.display());
            Error::new(ErrorKind::Configuration, message)
        })?;
        settings = settings.add_root_certificates(ca.clone());
    }
    // Without user and password, which its errors could quote.
    let port = url.port().unwrap_or(4222);
    let server = format!("nats://{}:{port}", url.host_str().unwrap_or_default());
    let client = settings.connect(server).await.map_err(|error| refused(options, &error))?;
    connected.store(true, Ordering::Release);
    Ok(client)
}

fn refused(options: &Options, error: &ConnectError) -> Error {
    let shown = options.address.shown();
    // The source holds the server's word, never what was sent.
    let cause = std::error::Error::source(error).map(|source| format!(": {source}")).unwrap_or_default();
    // The client reports a certificate that it does not trust like any other failure to read.
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<std::io::Error>());
    let distrusted = source.is_some_and(|source| source.kind() == std::io::ErrorKind::InvalidData);
    match error.kind() {
        ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => Error::new(
            ErrorKind::Configuration,
            format!("{shown} does not accept the user or password: write them as `nats://user:password@host`"),
        ),
        ConnectErrorKind::Tls => {
            Error::new(ErrorKind::Configuration, format!("{shown} can't be trusted or does not speak TLS{cause}"))
        }
        ConnectErrorKind::Io if distrusted => {
            Error::new(ErrorKind::Configuration, format!("{shown} can't be trusted over TLS{cause}"))
        }
        kind => Error::new(ErrorKind::Unavailable, format!("{shown} can't be reached: {kind}{cause}")),
    }
}

/// Something the server did not do this time.
pub(super) fn unavailable(options: &Options, what: &str, error: impl Display) -> Error {
    Error::new(ErrorKind::Unavailable, format!("{}: {what}: {error}", options.address.shown()))
}

/// Something that somebody has to change first.
pub(super) fn misconfigured(options: &Options, what: impl Display) -> Error {
    Error::new(ErrorKind::Configuration, format!("{}: {what}", options.address.shown()))
}
