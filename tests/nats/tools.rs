//! What the tests share: a stage of its own for each, messages, and taking in with a time limit.

use std::{collections::BTreeMap, future::Future, sync::Arc, time::Duration};

use domain_events::{
    EventId,
    event::key_of,
    testkit::server::NatsServer,
    transport::{
        Inbound, Publisher, Transport, connect,
        record::{Content, Delivery, Fate, Outgoing, Settlement, Subscription},
    },
};

/// The handler of most tests.
pub(crate) const HANDLER: &str = "notices.tell_members";

/// A time limit that only a fault reaches.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let limit = tokio::time::timeout(Duration::from_secs(60), future).await;
    limit.unwrap_or_else(|_| panic!("waited too long: {what}"))
}

/// A transport with a prefix of its own. Leases are short, so that the death of a process is found out soon.
pub(crate) fn stage(server: &NatsServer) -> Arc<dyn Transport> {
    connect(&url(server, "")).unwrap()
}

pub(crate) fn url(server: &NatsServer, more: &str) -> String {
    let prefix = EventId::generate().to_string();
    format!("{}?prefix={prefix}&lease=2{more}", server.url())
}

pub(crate) fn subscription(node: &str) -> Subscription {
    Subscription {
        handler: HANDLER.into(),
        events: vec!["CardMoved".to_owned()],
        partitions: 4,
        window: 256,
        from_now: false,
        node: node.into(),
    }
}

/// Event number `n` of a card.
pub(crate) fn moved(card: usize, n: usize) -> Outgoing {
    event("CardMoved", card, n)
}

pub(crate) fn event(name: &str, card: usize, n: usize) -> Outgoing {
    let body = format!(r#"{{"card":{card},"n":{n}}}"#);
    let id = format!("card-{card}");
    let content = Content::Structured(body.into_bytes());
    Outgoing::new(EventId::generate(), name, format!("Card:{id}"), key_of("Card", &id), content)
}

/// `per_card` events of each card, taking turns.
pub(crate) fn rounds(cards: usize, per_card: usize) -> Vec<Outgoing> {
    (0..per_card).flat_map(|n| (0..cards).map(move |card| moved(card, n))).collect()
}

/// Publishes until all is confirmed, as the relay does.
pub(crate) async fn publish_all(transport: &dyn Transport, messages: &[Outgoing]) {
    let mut publisher: Option<Box<dyn Publisher>> = None;
    let mut confirmed = 0;
    while confirmed < messages.len() {
        let connected = match publisher.take() {
            Some(connected) => connected,
            None => match transport.publisher().await {
                Ok(connected) => connected,
                Err(error) => {
                    assert!(error.is_temporary(), "{error}");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
        };
        let publisher = publisher.insert(connected);
        let end = messages.len().min(confirmed + 512);
        match publisher.publish(&messages[confirmed..end]).await {
            Ok(()) => confirmed = end,
            Err(stopped) => {
                assert!(stopped.error.is_temporary(), "{}", stopped.error);
                confirmed += stopped.confirmed;
                tokio::time::sleep(Duration::from_millis(50)).await;
                *publisher = match transport.publisher().await {
                    Ok(again) => again,
                    Err(_) => continue,
                };
            }
        }
    }
}

/// What a delivery says: card and number.
pub(crate) fn said(delivery: &Delivery) -> (usize, usize) {
    let value: serde_json::Value = serde_json::from_slice(&delivery.message.body).unwrap();
    let number = |name: &str| usize::try_from(value[name].as_u64().unwrap()).unwrap();
    (number("card"), number("n"))
}

pub(crate) fn done(deliveries: &[Delivery]) -> Vec<Settlement> {
    deliveries.iter().map(|delivery| Settlement { tag: delivery.tag, fate: Fate::Done }).collect()
}

/// The next deliveries, through lost connections.
pub(crate) async fn receive(inbound: &dyn Inbound, max: usize) -> Vec<Delivery> {
    loop {
        match inbound.receive(max).await {
            Ok(deliveries) => return deliveries,
            Err(error) => {
                assert!(error.is_temporary(), "{error}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// So many deliveries, left unsettled.
pub(crate) async fn take(inbound: &dyn Inbound, count: usize) -> Vec<Delivery> {
    within(&format!("{count} deliveries"), async {
        let mut taken = Vec::new();
        while taken.len() < count {
            taken.extend(receive(inbound, count - taken.len()).await);
        }
        taken
    })
    .await
}

/// What was handled, by card, in the order it came; again and again the same number is taken once.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) cards: BTreeMap<usize, Vec<usize>>,
    pub(crate) twice: usize,
}

impl Seen {
    /// Panics where a card's number comes before one that it should come after.
    pub(crate) fn add(&mut self, (card, n): (usize, usize)) {
        let numbers = self.cards.entry(card).or_default();
        if n < numbers.len() {
            self.twice += 1;
            return;
        }
        assert_eq!(n, numbers.len(), "card {card}: {n} came before {}", numbers.len());
        numbers.push(n);
    }

    pub(crate) fn total(&self) -> usize {
        self.cards.values().map(Vec::len).sum()
    }
}

/// Takes in and settles until so many different events were seen, each card's in order.
pub(crate) async fn handle(inbound: &dyn Inbound, seen: &mut Seen, until: usize) {
    within(&format!("{until} events"), async {
        while seen.total() < until {
            let deliveries = receive(inbound, 256).await;
            deliveries.iter().for_each(|delivery| seen.add(said(delivery)));
            // Where the connection was lost meanwhile, they come again.
            let _ = inbound.settle(done(&deliveries)).await;
        }
    })
    .await;
}

/// Nothing comes while this is awaited: twice as long as the server needs to bring something.
pub(crate) async fn nothing_comes(inbound: &dyn Inbound) {
    let came = tokio::time::timeout(Duration::from_millis(1_500), inbound.receive(10)).await;
    assert!(came.is_err(), "{:?}", came.map(|came| came.unwrap()));
}
