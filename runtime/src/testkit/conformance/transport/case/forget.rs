//! 12: a handler that is gone from the code can be forgotten.

use crate::{
    error::ErrorKind,
    event::DeadReason,
    testkit::conformance::transport::{
        TransportHarness, TransportSuite,
        suite::{Need, all, collect, message, publish, steps, subscribe, subscription},
    },
    transport::record::{Epitaph, Fate, Settlement, Subscription},
};

/// Not while somebody takes in for it; then nothing of it is left, its neighbour has everything, and whoever comes under
/// its name is new.
pub async fn case_12_a_handler_can_be_forgotten<H: TransportHarness>(suite: TransportSuite<H>) {
    if suite.lacks(&[Need::Forgets]) {
        return;
    }
    let transport = suite.open().await;
    let [gone, stays] = ["gone", "stays"].map(|handler| subscription(handler, &["ParcelMovedEvent"]));
    let forget = async || transport.forget(&gone.handler).await;
    assert!(!forget().await.expect("a broker can be asked"), "there is nothing of it yet");
    transport.ensure(&stays).await.expect("a subscription can be made");
    let inbound = subscribe(&*transport, &gone).await;
    let sent: Vec<_> = (1..=4).map(|step| message("p", step)).collect();
    publish(&*transport, &sent).await;
    let deliveries = collect(&*inbound, 1).await;
    let refusal = forget().await.expect_err("somebody takes in for it");
    assert_eq!(refusal.kind(), ErrorKind::Refused, "{refusal}");
    assert!(refusal.to_string().contains(&*gone.handler), "{refusal}");
    let fate = match suite.capabilities.dead_letters {
        true => {
            let epitaph = Epitaph { reason: DeadReason::Permanent, error: "broken".to_owned(), attempts: 1 };
            Fate::Dead(deliveries[0].message.clone(), epitaph)
        }
        false => Fate::Done,
    };
    let settlement = Settlement { tag: deliveries[0].tag, fate };
    inbound.settle(vec![settlement]).await.expect("a delivery can be settled");
    inbound.close().await.expect("a subscription can be closed");
    drop(inbound);

    assert!(forget().await.expect("nobody takes in for it"), "there was something of it");
    assert!(!forget().await.expect("it can be asked again"), "nothing is left");
    assert_eq!(transport.dead_letters(&gone.handler, 10).await.expect("they can be asked for"), []);
    let other = subscribe(&*transport, &stays).await;
    let deliveries = collect(&*other, 4).await;
    assert_eq!(deliveries.len(), 4, "{:?}", steps(&deliveries));
    other.settle(all(&deliveries, &Fate::Done)).await.expect("deliveries can be settled");

    let anew = Subscription { from_now: true, ..gone.clone() };
    let inbound = subscribe(&*transport, &anew).await;
    publish(&*transport, &[message("p", 5)]).await;
    assert_eq!(steps(&collect(&*inbound, 1).await), [("p".to_owned(), 5)], "a new one begins where it says");
    assert_eq!(steps(&collect(&*other, 1).await), [("p".to_owned(), 5)]);
}
