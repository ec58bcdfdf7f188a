//! Making sure that the server knows a handler: its document, with the place in the stream where it begins.

use std::time::Instant;

use async_nats::{
    Client,
    jetstream::{Context, stream::Stream},
};

use super::{
    super::{record::Subscription, taken_in},
    connect::unavailable,
    dead_letter::DeadLetters,
    ledger::{Book, Ledger, Position, Shard},
    names,
    options::Options,
    shard, stream,
};
use crate::error::Result;

/// How often is looked whether all processes of a handler know its new events.
const LOOK: std::time::Duration = std::time::Duration::from_millis(100);

/// The stream and the handler's document, made if they are not there.
pub(super) async fn book(
    jetstream: &Context,
    options: &Options,
    subscription: &Subscription,
) -> Result<(Stream, Book)> {
    let (stream, shards) = stream::events(jetstream, options).await?;
    let store = stream::handlers(jetstream, options).await?;
    if let Some(book) = Book::open(store.clone(), options, &subscription.handler).await? {
        return Ok((stream, book));
    }
    // The stream keeps what is published from now on; the document says from where it is this handler's.
    let last = if subscription.from_now { stream.cached_info().state.last_sequence } else { 0 };
    let shard = Shard { position: Position { last, held: Vec::new() }, ..Shard::default() };
    let ledger = Ledger {
        events: events_of(subscription),
        edition: 1,
        shards: vec![shard; usize::from(shards)],
        ..Ledger::default()
    };
    let book = Book::make(store, options, &subscription.handler, &ledger).await?;
    Ok((stream, book))
}

/// Makes the subscription, or brings its events up to date.
pub(super) async fn ensure(client: &Client, options: &Options, subscription: &Subscription) -> Result<()> {
    let (_, mut book) = book(&stream::jetstream(client), options, subscription).await?;
    let events = events_of(subscription);
    let edition = book
        .change(options, |ledger| {
            if ledger.events != events {
                ledger.events.clone_from(&events);
                ledger.edition += 1;
            }
            Ok(ledger.edition)
        })
        .await?;
    // A process that goes by the old events drops what is published for the new ones: until all know, or are dead.
    let began = Instant::now();
    while book.ledger.nodes.values().any(|node| node.edition < edition) && began.elapsed() < options.lease {
        let subject = names::wake_subject(options.prefix(), &subscription.handler);
        let called = client.publish(subject, "events".into()).await;
        called.map_err(|error| unavailable(options, "the handler's processes can't be told", error))?;
        tokio::time::sleep(LOOK).await;
        book.read(options).await?;
    }
    Ok(())
}

/// Removes what the server has of a handler; `false` if it has nothing. The document goes last, so that one who is cut off in
/// between can do it again.
pub(super) async fn forget(client: &Client, options: &Options, handler: &str) -> Result<bool> {
    let jetstream = stream::jetstream(client);
    let (stream, _) = stream::events(&jetstream, options).await?;
    let book = Book::open(stream::handlers(&jetstream, options).await?, options, handler).await?;
    if let Some(book) = &book {
        let mut later = book.clone();
        // A process that lives gives signs of life; one that died leaves its name.
        if !book.ledger.nodes.is_empty() {
            tokio::time::sleep(options.lease).await;
            later.read(options).await?;
        }
        let beat = |node: &String| book.ledger.nodes.get(node).map(|node| node.beat);
        if let Some((node, _)) = later.ledger.nodes.iter().find(|(node, state)| beat(node) != Some(state.beat)) {
            return Err(taken_in(handler, options.address.shown(), &format!("the process `{node}`")));
        }
        let generations = later.ledger.shards.iter().map(|shard| shard.generation);
        for (shard, generation) in (0..).zip(generations) {
            shard::remove_up_to(&stream, handler, shard, generation)
                .await
                .map_err(|error| unavailable(options, &format!("`{handler}`: a consumer can't be removed"), error))?;
        }
    }
    let letters = DeadLetters::open(client, options, handler).await?.discard_all().await?;
    let Some(book) = book else { return Ok(letters > 0) };
    book.remove(options).await?;
    Ok(true)
}

fn events_of(subscription: &Subscription) -> Vec<String> {
    subscription.events.iter().map(|event| names::tail_of(event)).collect()
}
