//! What every broker is measured with: the messages, how its raw client publishes and takes them, and what was seen.

use std::{collections::HashMap, sync::Arc, time::Instant};

use chrono::{DateTime, Utc};
use domain_events::{
    DomainEvent,
    event::{Envelope, EventId, EventMeta, key_of},
    transport::{
        Transport, connect,
        message::{Mode, encode},
        record::{Outgoing, Subscription},
    },
};
use domain_events_bench::{CardAddedToLibraryEvent, event};
use serde::Deserialize;

/// How many messages a round moves.
pub const MESSAGES: usize = 20_000;
/// How many aggregates they are about.
pub const CARDS: usize = 1_000;
/// How many messages the raw clients have on the way at a time, or take at a time.
pub const BATCH: usize = 256;
/// The full name of the handler that takes them.
pub const HANDLER: &str = "bench.count";

/// A broker, and how one would use it by hand. `name` is a stream or queue that this round alone uses.
pub trait Broker {
    const NAME: &'static str;
    /// What the raw client does.
    const RAW: &'static str;

    /// The transport's address for everything under a prefix.
    fn url(&self, prefix: &str) -> String;

    /// Makes what the raw client publishes to, as durable as the transport's.
    async fn prepare(&self, name: &str);

    /// Publishes all messages, and returns when the last one is confirmed.
    async fn publish(&self, name: &str, messages: &[Outgoing]);

    /// Takes so many messages, and acknowledges them in batches.
    async fn take(&self, name: &str, seen: &mut Seen, count: usize);

    /// How many messages the raw client's stream or queue holds.
    async fn stored(&self, name: &str) -> usize;

    /// How many the transport's hold, for [`HANDLER`].
    async fn stored_by_transport(&self, prefix: &str) -> usize;

    /// The transport, with everything made that a subscription of [`HANDLER`] needs.
    async fn transport(&self, prefix: &str) -> Arc<dyn Transport> {
        let transport = connect(&self.url(prefix)).expect("an address");
        transport.publisher().await.expect("a way in");
        transport.ensure(&subscription()).await.expect("a subscription");
        transport
    }
}

fn subscription() -> Subscription {
    Subscription {
        handler: HANDLER.into(),
        events: vec![CardAddedToLibraryEvent::NAME.to_owned()],
        partitions: 1,
        window: 512,
        from_now: false,
        node: "bench".into(),
    }
}

/// The number of an event stands in its curator's name, which keeps its length.
const CURATOR: &str = "did:plc:3danwc67lo7obz2f";

/// The messages of a round, encoded as the relay does it: the raw clients send the same bytes.
pub fn messages() -> Vec<Outgoing> {
    (0..MESSAGES)
        .map(|number| {
            let mut card = event(&format!("card-{}", number % CARDS));
            card.curator_id = format!("{CURATOR}{number:08}");
            let payload = card.encode().expect("an event is JSON");
            let name = CardAddedToLibraryEvent::NAME;
            let id = card.card_id.as_str().into();
            let meta = EventMeta::new(EventId::generate(), name, 1, "Card", id, card.occurred_at);
            encode(&Envelope::new(meta, payload), env!("CARGO_PKG_NAME"), Mode::Structured).expect("a message")
        })
        .collect()
}

/// What was taken in: how much, how long it took from the first to the last, and each card's last number.
#[derive(Default)]
pub struct Seen {
    pub count: usize,
    /// When there were all of them.
    pub seconds: f64,
    began: Option<Instant>,
    last: HashMap<u64, usize>,
}

impl Seen {
    /// Counts an event, and insists that it comes behind the card's last one.
    pub fn see(&mut self, card: &str, curator: &str) {
        let began = *self.began.get_or_insert_with(Instant::now);
        let number: usize = curator[CURATOR.len()..].parse().expect("a number");
        if let Some(before) = self.last.insert(key_of("Card", card), number) {
            assert!(before < number, "{card}: {number} came after {before}");
        }
        self.count += 1;
        if self.count == MESSAGES {
            self.seconds = began.elapsed().as_secs_f64();
        }
    }

    /// Reads a body as somebody would who writes this by hand, and counts it.
    pub fn read(&mut self, body: &[u8]) {
        let Body { data } = serde_json::from_slice(body).expect("a structured event");
        let data = std::hint::black_box(data);
        self.see(&data.card_id, &data.curator_id);
    }
}

#[derive(Deserialize)]
struct Body {
    data: CardAdded,
}

/// The event as one would write it by hand.
#[derive(Deserialize)]
#[expect(dead_code, reason = "whoever handles an event reads all of it")]
struct CardAdded {
    card_id: String,
    curator_id: String,
    card_type: String,
    url: String,
    note: String,
    occurred_at: DateTime<Utc>,
}
