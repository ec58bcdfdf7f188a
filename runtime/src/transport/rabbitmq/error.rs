//! What RabbitMQ's errors mean to the caller: try again, or change something first. Everybody in here asks this file.

use lapin::{ErrorKind as Lapin, protocol::AMQPErrorKind};

use crate::error::{Error, ErrorKind};

const NOT_ALLOWED: u16 = 530;
const ACCESS_REFUSED: u16 = 403;
const NOT_FOUND: u16 = 404;
const LOCKED: u16 = 405;
const PRECONDITION_FAILED: u16 = 406;
const NO_ROUTE: u16 = 312;
const UNIMPLEMENTED: u16 = 540;

/// The error of `what was tried`, as in `can't publish to amqp://host (events)`. No error of the client library holds a
/// password: it never quotes the address.
pub(super) fn named(tried: &str, error: &lapin::Error) -> Error {
    let (kind, next) = match error.kind() {
        Lapin::ProtocolError(amqp) => match amqp.get_id() {
            ACCESS_REFUSED => (ErrorKind::Configuration, "; check user, password and permissions"),
            NOT_ALLOWED => (ErrorKind::Configuration, "; check the virtual host in the address's path"),
            UNIMPLEMENTED => (ErrorKind::Configuration, "; RabbitMQ 3.10 or newer is needed"),
            // A message's size is named in this text, the rest of the failed preconditions are declarations.
            PRECONDITION_FAILED if amqp.get_message().as_str().contains("message size") => {
                (ErrorKind::InvalidEvent, "; make the event smaller, or raise the broker's `max_message_size`")
            }
            PRECONDITION_FAILED if amqp.get_message().as_str().contains("timed out") => (ErrorKind::Unavailable, ""),
            PRECONDITION_FAILED if amqp.get_message().as_str().contains("inequivalent") => (
                ErrorKind::Configuration,
                "; it exists with other settings: set the option `queue` as it was, or delete it once it is empty",
            ),
            _ => (ErrorKind::Unavailable, ""),
        },
        Lapin::InvalidProtocolVersion(_) => (ErrorKind::Configuration, "; is this RabbitMQ's AMQP port?"),
        Lapin::IOError(io) if is_tls(io) => (
            ErrorKind::Configuration,
            "; check the address, and name the authority's certificate with the option `ca` if it is a private one",
        ),
        _ => (ErrorKind::Unavailable, ""),
    };
    Error::new(kind, format!("{tried}: {}{next}", said(error)))
}

/// Somebody else has the exclusive queue.
pub(super) fn is_locked(error: &lapin::Error) -> bool {
    id_of(error) == Some(LOCKED)
}

/// The queue or exchange does not exist.
pub(super) fn is_not_found(error: &lapin::Error) -> bool {
    id_of(error) == Some(NOT_FOUND)
}

/// Nothing was there to take a mandatory message.
pub(super) fn is_no_route(reply: u16) -> bool {
    reply == NO_ROUTE
}

fn id_of(error: &lapin::Error) -> Option<u16> {
    match error.kind() {
        Lapin::ProtocolError(amqp) => Some(amqp.get_id()),
        _ => None,
    }
}

fn said(error: &lapin::Error) -> String {
    match error.kind() {
        Lapin::ProtocolError(amqp) if matches!(amqp.kind(), AMQPErrorKind::Hard(_) | AMQPErrorKind::Soft(_)) => {
            amqp.get_message().to_string()
        }
        _ => error.to_string(),
    }
}

/// rustls reports what it refuses as invalid data or input.
fn is_tls(error: &std::io::Error) -> bool {
    let text = error.to_string();
    text.contains("certificate") || text.contains("TLS") || text.contains("tls") || text.contains("corrupt message")
}
