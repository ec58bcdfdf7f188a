//! Errors of the client as this crate's: which of them pass, which need somebody, and what to do.

use redis::RedisError;

use crate::error::{Error, ErrorKind};

/// An error of `doing` something at this address. Takes over texts of the server and of the system, which know no password.
pub(super) fn failed(shown: &str, doing: &str, error: &RedisError) -> Error {
    let whole = error.to_string();
    // What follows repeats what was sent: with an old server and a new login that is the password.
    let text = whole.split(", with args").next().unwrap_or_default();
    let has = |code: &str| error.code() == Some(code) || text.contains(code);
    let (kind, hint) = if has("WRONGPASS") || has("invalid password") || has("Password authentication failed") {
        (ErrorKind::Configuration, "user or password are wrong: correct them in the transport's address")
    } else if has("NOAUTH") {
        (ErrorKind::Configuration, "the server wants a password: put it into the transport's address")
    } else if error.kind() == redis::ErrorKind::AuthenticationFailed && !has("LOADING") {
        (ErrorKind::Configuration, "the server refuses user and password of the transport's address")
    } else if has("NOPERM") {
        (ErrorKind::Configuration, "the user lacks a right: extend it with `ACL SETUSER`")
    } else if has("OOM") {
        (ErrorKind::Unavailable, "the server has reached its `maxmemory`: raise it, or lower `keep`")
    } else if has("LOADING") {
        (ErrorKind::Unavailable, "the server is reading its data after a start; it is tried again")
    } else if has("READONLY") {
        (ErrorKind::Unavailable, "the server is a replica: if this stays, use the address of the primary")
    } else if has("MISCONF") {
        (ErrorKind::Unavailable, "the server can't write its data to disk: look into its log")
    } else if has("WRONGTYPE") {
        (
            ErrorKind::Configuration,
            "a key that begins with the prefix is used by something else: choose another `prefix`",
        )
    } else if has("DB index is out of range") {
        (
            ErrorKind::Configuration,
            "the server has no database of this number: correct the path of the transport's address",
        )
    } else if has("MOVED") || has("CROSSSLOT") {
        (ErrorKind::Configuration, "a Redis cluster is not supported: use one server, or a primary with replicas")
    } else if has("unknown command") {
        (ErrorKind::Configuration, "the server is too old: Redis 6.2 or newer is needed")
    } else if has("certificate") {
        (ErrorKind::Configuration, "the server's certificate is not trusted: name its authority with `ca=/path/ca.pem`")
    } else if has("NOGROUP") {
        (ErrorKind::Unavailable, "the server has lost the handler's group; it is made again")
    } else if error.is_io_error() || error.is_unrecoverable_error() {
        (ErrorKind::Unavailable, "it is tried again")
    } else if error.kind() == redis::ErrorKind::InvalidClientConfig {
        (ErrorKind::Unavailable, "the host's name leads nowhere now")
    } else {
        (ErrorKind::Unavailable, "the server refused it; it is tried again")
    };
    Error::new(kind, format!("{doing} at {shown} failed: {text}; {hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_server(code: &str) -> Error {
        failed("redis://h (events)", "publishing", &redis::make_extension_error(code.to_owned(), None))
    }

    #[test]
    fn what_passes_is_told_from_what_needs_somebody() {
        for code in ["NOAUTH", "WRONGPASS", "NOPERM"] {
            assert_eq!(of_server(code).kind(), ErrorKind::Configuration, "{code}");
        }
        for code in ["OOM", "LOADING", "READONLY", "MISCONF", "NOGROUP"] {
            assert_eq!(of_server(code).kind(), ErrorKind::Unavailable, "{code}");
        }
        let detail = "unknown command `HELLO`, with args beginning with: `3`, `AUTH`, `me`, `sesame`".to_owned();
        let old = failed("redis://h", "connecting", &redis::make_extension_error("ERR".to_owned(), Some(detail)));
        assert!(old.to_string().contains("6.2") && !old.to_string().contains("sesame"), "{old}");
        let text = of_server("OOM").to_string();
        assert!(text.contains("publishing at redis://h (events)") && text.contains("maxmemory"), "{text}");
    }
}
