//! Dead letters: a stream for each handler, with the message as it was and why it was given up on.

use redis::{Value, aio::MultiplexedConnection};

use super::{Setup, entry, feed::Unsettled, names::Names, reply, script};
use crate::{
    error::Result,
    event::DeadReason,
    transport::{
        record::{DeadMessage, Epitaph, Incoming},
        redis::connect::Server,
    },
};

const REASON: &str = "reason";
const ERROR: &str = "error";
const ATTEMPTS: &str = "attempts";
const ORIGIN: &str = "origin";
const SHARD: &str = "shard";

/// Keeps a delivery as a dead letter and settles it, in one step.
pub(super) async fn bury(
    setup: &Setup,
    control: &mut MultiplexedConnection,
    unsettled: &Unsettled,
    message: &Incoming,
    epitaph: &Epitaph,
) -> Result<()> {
    let handler = &*setup.subscription.handler;
    let mut call = script::BURY.key(setup.names.stream(unsettled.shard));
    call.key(setup.names.dead(handler)).arg(handler).arg(unsettled.id.to_string());
    call.arg(REASON).arg(epitaph.reason.as_str()).arg(ERROR).arg(&epitaph.error).arg(ATTEMPTS).arg(epitaph.attempts);
    call.arg(ORIGIN).arg(&message.origin).arg(SHARD).arg(unsettled.shard);
    for (name, value) in entry::fields(message) {
        call.arg(name).arg(value);
    }
    let buried = call.invoke_async::<i64>(control).await;
    buried.map(|_| ()).map_err(|error| setup.server.failed("keeping a dead letter", &error))
}

/// The dead letters of a handler, oldest first.
pub(super) async fn list(
    server: &Server,
    connection: &mut MultiplexedConnection,
    names: &Names,
    handler: &str,
    limit: usize,
) -> Result<Vec<DeadMessage>> {
    let mut command = redis::cmd("XRANGE");
    command.arg(names.dead(handler)).arg("-").arg("+").arg("COUNT").arg(limit.min(u32::MAX as usize));
    let answer = command.query_async::<Value>(connection).await;
    let answer = answer.map_err(|error| server.failed("reading dead letters", &error))?;
    Ok(reply::entries(answer).into_iter().map(|entry| read(entry).0).collect())
}

/// Makes a dead letter an entry again that is meant for its handler alone.
pub(super) async fn redrive(
    server: &Server,
    connection: &mut MultiplexedConnection,
    names: &Names,
    shards: u16,
    handler: &str,
    id: &str,
) -> Result<bool> {
    if reply::Id::parse(id.as_bytes()).is_none() {
        return Ok(false);
    }
    let failed = |error: redis::RedisError| server.failed("redriving a dead letter", &error);
    let mut command = redis::cmd("XRANGE");
    let answer = command.arg(names.dead(handler)).arg(id).arg(id).query_async::<Value>(connection).await;
    let Some(found) = reply::entries(answer.map_err(failed)?).into_iter().next() else { return Ok(false) };
    let (letter, shard) = read(found);
    let mut call = script::REDRIVE.key(names.dead(handler));
    call.key(names.stream(shard.min(shards.saturating_sub(1)))).arg(id).arg(entry::FOR).arg(handler);
    for (name, value) in entry::fields(&letter.message) {
        call.arg(name).arg(value);
    }
    call.invoke_async::<i64>(connection).await.map(|moved| moved > 0).map_err(failed)
}

/// Removes a dead letter.
pub(super) async fn discard(
    server: &Server,
    connection: &mut MultiplexedConnection,
    names: &Names,
    handler: &str,
    id: &str,
) -> Result<bool> {
    if reply::Id::parse(id.as_bytes()).is_none() {
        return Ok(false);
    }
    let mut command = redis::cmd("XDEL");
    let removed = command.arg(names.dead(handler)).arg(id).query_async::<i64>(connection).await;
    removed.map(|count| count > 0).map_err(|error| server.failed("discarding a dead letter", &error))
}

fn read(entry: reply::Entry) -> (DeadMessage, u16) {
    let mut fields = entry::read("", reply::pairs(entry.fields.unwrap_or_default()));
    let mut other = |name: &str| {
        let at = fields.others.iter().position(|(known, _)| known == name);
        at.map(|at| String::from_utf8_lossy(&fields.others.swap_remove(at).1).into_owned()).unwrap_or_default()
    };
    let epitaph = Epitaph {
        reason: DeadReason::parse(&other(REASON)),
        error: other(ERROR),
        attempts: other(ATTEMPTS).parse().unwrap_or(0),
    };
    let shard = other(SHARD).parse().unwrap_or(0);
    let origin = other(ORIGIN);
    fields.message.origin = origin;
    (DeadMessage::new(entry.id.to_string(), fields.message, epitaph), shard)
}
