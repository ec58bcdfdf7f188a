//! Redis: Streams (`redis://`, `rediss://`), which keep and confirm, and Pub/Sub (`redis+pubsub://`, `rediss+pubsub://`),
//! which does neither. Redis 6.2 or newer, one server or a primary with replicas (not a cluster). Chosen by
//! [`connect`](super::connect()).
//!
//! `redis://user:password@host:6379/0?prefix=library&shards=8`; the path is the number of the database.
//!
//! | option | meaning | default |
//! |---|---|---|
//! | `prefix` | what all keys and channels begin with | `events` |
//! | `ca` | with `rediss`: a file of authorities to trust instead of the system's | |
//! | `shards` | Streams: over how many streams aggregates are spread, 1 to 256. Kept on the server by whoever comes first; left out, that one counts; another number is an error | 8 |
//! | `keep` | Streams: for how many seconds an entry is kept that all handlers are done with, so that new handlers can begin with it | 3600 |
//! | `maxlen` | Streams: the most entries of one shard, about. **It also cuts what a handler has not had yet**: for servers whose memory must be bounded at any price | none |
//!
//! # Streams: names on the server
//!
//! | key | what |
//! |---|---|
//! | `{prefix}:shards` | the number of shards |
//! | `{prefix}:stream:{n}` | the events of the aggregates whose `partition_of` is `n`; a consumer group for each handler, with the one consumer `owner` |
//! | `{prefix}:nodes:{handler}` | the processes that take part, and until when each counts as alive, by the server's clock |
//! | `{prefix}:owners:{handler}` | which process reads which shard: one at a time, so that order holds |
//! | `{prefix}:takes:{handler}` | which list of events counts, as a number: the last that was subscribed with. During an update the processes with another list stand by |
//! | `{prefix}:dead:{handler}` | a stream of dead letters: the message's fields, `reason`, `error`, `attempts`, `origin`, `shard` |
//!
//! An entry has the field `event` (its name, so that handlers skip what they don't take without reading it) and the event
//! itself: `cloudevent` (structured mode), or `data`, `content_type` and a field `ce_<name>` for each attribute (binary
//! mode). `traceparent` is the hop's. A redriven one has `for`: the one handler it is meant for. Entries of strangers need
//! no more than `cloudevent`, or `data` with the `ce_` fields.
//!
//! A shard is given up at once by a process that closes its way in, and 6 seconds after one has died; its successor first
//! takes what is unsettled, in order. More processes than shards: some stand by.
//!
//! Kept means: as Redis keeps it. With `appendfsync everysec` (what Redis itself recommends) a crash of the machine can lose
//! the last second or two that were confirmed, and so can a killed server whose disk was busy; with `always` nothing is
//! lost; without persistence a restart loses everything. A failover to a replica can lose what was not replicated yet.
//!
//! Not promised: that an event published twice is dropped (the consumer sees the id); that what was given back unsettled
//! is not also finished by the process that had it, if that one was frozen for longer than its lease. A handler that no
//! longer exists keeps its group and holds up trimming, until it is [forgotten](super::Transport::forget).
//!
//! # Pub/Sub: at most once
//!
//! `PUBLISH` to the channel `{prefix}:{event}`, always structured mode; every process gets every message, who is away gets
//! none, a connection that is lost loses what was on the way, and so does a subscriber that falls 32 MiB behind. Nothing is
//! confirmed, redelivered, shared or kept; there are no dead letters.

mod connect;
mod error;
mod pubsub;
mod streams;

use std::sync::Arc;

use super::{Transport, address::Address};
use crate::error::Result;

/// The transport at this address.
pub(super) fn open(url: &str) -> Result<Arc<dyn Transport>> {
    if url.split("://").next().is_some_and(|scheme| scheme.ends_with("+pubsub")) {
        return Ok(Arc::new(pubsub::PubSub::new(Address::parse(url, &[])?)?));
    }
    Ok(Arc::new(streams::Streams::new(Address::parse(url, &["shards", "keep", "maxlen"])?)?))
}
