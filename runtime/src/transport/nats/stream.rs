//! What must stand on the server before anything is published or taken: two streams and a bucket, made by whoever is first.

use async_nats::{
    Client,
    jetstream::{
        self, Context,
        context::{CreateStreamError, CreateStreamErrorKind, GetStreamErrorKind, KeyValueErrorKind},
        kv,
        stream::{Config, DiscardPolicy, StorageType, Stream},
    },
};

use super::{
    connect::{PATIENCE, misconfigured, unavailable},
    names,
    options::{Options, SHARDS},
};
use crate::error::{Error, Result};

/// How many confirmations of a publisher may be outstanding.
pub(super) const PIPELINE: usize = 256;

/// JetStream on a connection.
pub(super) fn jetstream(client: &Client) -> Context {
    jetstream::context::ContextBuilder::new()
        .timeout(PATIENCE)
        .ack_timeout(PATIENCE)
        .max_ack_inflight(PIPELINE * 4)
        .build(client.clone())
}

/// The stream of events, and how many shards it has: its subjects are one for each, so all processes agree.
pub(super) async fn events(jetstream: &Context, options: &Options) -> Result<(Stream, u16)> {
    let prefix = options.prefix();
    let stream = match jetstream.get_stream(prefix).await {
        Ok(stream) => stream,
        Err(error) if is_missing(&error.kind()) => {
            let subjects = (0..options.shards.unwrap_or(SHARDS)).map(|shard| names::shard_subjects(prefix, shard));
            let config = Config {
                max_age: options.max_age,
                max_bytes: options.max_bytes,
                duplicate_window: options.duplicate_window,
                ..config(options, prefix.to_owned(), subjects.collect())
            };
            created(jetstream, options, config).await?
        }
        Err(error) => {
            return Err(unavailable(
                options,
                "the stream can't be looked at; is the server started with `-js`?",
                error,
            ));
        }
    };
    let subjects = &stream.cached_info().config.subjects;
    let shards = u16::try_from(subjects.len()).unwrap_or(0);
    let fits = (0..shards).all(|shard| subjects.contains(&names::shard_subjects(prefix, shard)));
    if !fits || shards == 0 {
        return Err(misconfigured(
            options,
            format!(
                "the stream `{prefix}` was not made by this crate: its subjects are {subjects:?}; choose another `prefix`"
            ),
        ));
    }
    match options.shards {
        Some(wanted) if wanted != shards => Err(misconfigured(
            options,
            format!(
                "the stream `{prefix}` has {shards} shards, the address asks for {wanted}; leave `shards` out, or choose \
                 another `prefix`: the order of what is in it depends on the number"
            ),
        )),
        _ => Ok((stream, shards)),
    }
}

/// The stream of dead letters.
pub(super) async fn dead(jetstream: &Context, options: &Options) -> Result<Stream> {
    let name = names::dead_stream(options.prefix());
    match jetstream.get_stream(&name).await {
        Ok(stream) => Ok(stream),
        Err(error) if is_missing(&error.kind()) => {
            let subjects = vec![format!("{name}.>")];
            created(jetstream, options, config(options, name, subjects)).await
        }
        Err(error) => Err(unavailable(options, "the stream of dead letters can't be looked at", error)),
    }
}

/// The bucket of the handlers' documents.
pub(super) async fn handlers(jetstream: &Context, options: &Options) -> Result<kv::Store> {
    let bucket = names::bucket(options.prefix());
    match jetstream.get_key_value(&bucket).await {
        Ok(store) => return Ok(store),
        Err(error) if error.kind() == KeyValueErrorKind::GetBucket => {}
        Err(error) => return Err(unavailable(options, "the handlers' bucket can't be looked at", error)),
    }
    // As the stream that a bucket is (ADR-8 of NATS). The client's own call asks for the account first, and can't read the
    // answer of a server as old as 2.9.
    let config = Config {
        description: Some("domain-events: who works on which shard of a handler, and how far it is".to_owned()),
        max_messages_per_subject: 1,
        allow_rollup: true,
        deny_delete: true,
        ..config(options, format!("KV_{bucket}"), vec![format!("$KV.{bucket}.>")])
    };
    created(jetstream, options, config).await?;
    let store = jetstream.get_key_value(&bucket).await;
    store.map_err(|error| unavailable(options, "the handlers' bucket can't be looked at", error))
}

fn config(options: &Options, name: String, subjects: Vec<String>) -> Config {
    Config {
        name,
        subjects,
        storage: StorageType::File,
        // Full means that publishing fails, and is tried again: never that something is lost.
        discard: DiscardPolicy::New,
        max_bytes: -1,
        max_messages: -1,
        max_messages_per_subject: -1,
        max_consumers: -1,
        num_replicas: options.replicas,
        allow_direct: true,
        ..Config::default()
    }
}

async fn created(jetstream: &Context, options: &Options, config: Config) -> Result<Stream> {
    let name = config.name.clone();
    match jetstream.create_stream(config).await {
        Ok(_) => {}
        // Two processes, two addresses: the first one's settings hold.
        Err(error) if jetstream.get_stream(&name).await.is_ok() => drop(error),
        Err(error) => return Err(not_made(options, &name, &error)),
    }
    let made = jetstream.get_stream(&name).await;
    made.map_err(|error| unavailable(options, "the stream can't be looked at", error))
}

fn not_made(options: &Options, name: &str, error: &CreateStreamError) -> Error {
    match error.kind() {
        CreateStreamErrorKind::TimedOut => unavailable(options, "the stream can't be made", error),
        // The server came up a moment ago, or its cluster has no leader yet.
        CreateStreamErrorKind::JetStreamUnavailable => unavailable(
            options,
            "JetStream does not answer; is the server started with `-js`? `nats+core://` does without",
            error,
        ),
        _ => misconfigured(options, format!("the stream `{name}` can't be made: {error}")),
    }
}

fn is_missing(kind: &GetStreamErrorKind) -> bool {
    matches!(kind, GetStreamErrorKind::JetStream(error)
        if error.error_code() == async_nats::jetstream::ErrorCode::STREAM_NOT_FOUND)
}
