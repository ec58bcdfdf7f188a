#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]
use std::{sync::Arc, time::Duration};

use super::*;
use crate::{
    event::{DeadReason, EventId, key_of},
    transport::record::{Content, Delivery, Epitaph, Fate, Settlement, Subscription},
};

fn subscription(partitions: u16) -> Subscription {
    Subscription {
        handler: "group.handler".into(),
        events: vec!["Moved".to_owned()],
        partitions,
        window: 64,
        from_now: false,
        node: "node".into(),
    }
}

/// A message whose body is `<aggregate> <step>`.
fn message(aggregate: &str, step: usize) -> Outgoing {
    let (key, hash) = (format!("Parcel:{aggregate}"), key_of("Parcel", aggregate));
    let body = format!("{aggregate} {step}").into_bytes();
    Outgoing::new(EventId::generate(), "Moved", key, hash, Content::Structured(body))
}

async fn publish(transport: &MemoryTransport, messages: &[Outgoing]) {
    transport.publisher().await.unwrap().publish(messages).await.unwrap();
}

fn bodies(deliveries: &[Delivery]) -> Vec<String> {
    deliveries.iter().map(|delivery| String::from_utf8_lossy(&delivery.message.body).into_owned()).collect()
}

fn all(deliveries: &[Delivery], fate: &Fate) -> Vec<Settlement> {
    deliveries.iter().map(|delivery| Settlement { tag: delivery.tag, fate: fate.clone() }).collect()
}

/// What is there now.
async fn now(inbound: &Arc<dyn Inbound>) -> Vec<Delivery> {
    tokio::time::timeout(Duration::from_millis(20), inbound.receive(100))
        .await
        .map_or_else(|_| Vec::new(), Result::unwrap)
}

#[tokio::test]
async fn a_share_changes_hands_only_when_nothing_of_it_is_unsettled() {
    let (transport, subscription) = (MemoryTransport::new(), subscription(2));
    let first = transport.subscribe(&subscription).await.unwrap();
    for aggregate in ["a", "b", "c", "d"] {
        publish(&transport, &[message(aggregate, 1)]).await;
    }
    let held = first.receive(100).await.unwrap();
    assert_eq!(held.len(), 4);
    let second = transport.subscribe(&subscription).await.unwrap();
    for aggregate in ["a", "b", "c", "d"] {
        publish(&transport, &[message(aggregate, 2)]).await;
    }
    assert_eq!(bodies(&now(&second).await), Vec::<String>::new(), "the first one still has what came before");
    first.settle(all(&held, &Fate::Done)).await.unwrap();
    let (of_first, of_second) = (now(&first).await, now(&second).await);
    assert!(!of_first.is_empty() && !of_second.is_empty(), "each has a share");
    assert_eq!(of_first.len() + of_second.len(), 4);
}

#[tokio::test]
async fn what_a_dropped_inbound_had_comes_again_in_order() {
    let (transport, subscription) = (MemoryTransport::new(), subscription(1));
    let first = transport.subscribe(&subscription).await.unwrap();
    publish(&transport, &[message("a", 1), message("a", 2), message("a", 3)]).await;
    let held = first.receive(2).await.unwrap();
    first.settle(all(&held[..1], &Fate::Done)).await.unwrap();
    drop(first);
    let second = transport.subscribe(&subscription).await.unwrap();
    let again = now(&second).await;
    assert_eq!(bodies(&again), ["a 2", "a 3"]);
    assert_eq!(again.iter().map(|delivery| delivery.redelivered).collect::<Vec<_>>(), [1, 0]);
}

#[tokio::test]
async fn while_it_is_away_everything_fails_and_nothing_is_forgotten() {
    let (transport, subscription) = (MemoryTransport::new(), subscription(1));
    let inbound = transport.subscribe(&subscription).await.unwrap();
    let mut publisher = transport.publisher().await.unwrap();
    transport.go_away_after(1);
    let messages = [message("a", 1), message("a", 2), message("a", 3)];
    let unconfirmed = publisher.publish(&messages).await.unwrap_err();
    assert_eq!(unconfirmed.confirmed, 1);
    assert!(unconfirmed.error.is_temporary());
    assert!(inbound.receive(1).await.unwrap_err().is_temporary());
    assert!(transport.subscribe(&subscription).await.is_err_and(|error| error.is_temporary()));
    transport.come_back();
    // The second one arrived without being confirmed.
    let held = now(&inbound).await;
    assert_eq!(bodies(&held), ["a 1", "a 2"]);
    transport.go_away();
    transport.come_back();
    assert!(inbound.receive(1).await.is_err(), "a lost connection is told once");
    inbound.settle(all(&held, &Fate::Done)).await.unwrap();
    assert_eq!(bodies(&now(&inbound).await), ["a 1", "a 2"], "old tags mean nothing");
}

#[tokio::test]
async fn a_waiting_receive_hears_that_the_connection_is_lost() {
    let (transport, subscription) = (MemoryTransport::new(), subscription(1));
    let inbound = transport.subscribe(&subscription).await.unwrap();
    let waiting = tokio::spawn(async move { inbound.receive(1).await.map(|deliveries| deliveries.len()) });
    tokio::task::yield_now().await;
    transport.go_away();
    assert!(waiting.await.unwrap().unwrap_err().is_temporary());
}

#[tokio::test]
async fn a_window_is_never_exceeded() {
    let transport = MemoryTransport::new();
    let subscription = Subscription { window: 2, ..subscription(1) };
    let inbound = transport.subscribe(&subscription).await.unwrap();
    publish(&transport, &(1..=4).map(|step| message("a", step)).collect::<Vec<_>>()).await;
    let held = inbound.receive(100).await.unwrap();
    assert_eq!(held.len(), 2);
    assert!(now(&inbound).await.is_empty());
    inbound.settle(all(&held, &Fate::Done)).await.unwrap();
    assert_eq!(bodies(&now(&inbound).await), ["a 3", "a 4"]);
}

#[tokio::test]
async fn what_is_returned_is_there_for_others_in_its_old_place() {
    let (transport, subscription) = (MemoryTransport::new(), subscription(1));
    let inbound = transport.subscribe(&subscription).await.unwrap();
    publish(&transport, &[message("a", 1), message("a", 2)]).await;
    let held = now(&inbound).await;
    inbound.settle(all(&held, &Fate::Returned)).await.unwrap();
    inbound.close().await.unwrap();
    assert!(inbound.receive(1).await.unwrap().is_empty(), "closed");
    let second = transport.subscribe(&subscription).await.unwrap();
    assert_eq!(bodies(&now(&second).await), ["a 1", "a 2"]);
}

#[tokio::test]
async fn dead_letters_are_kept_until_redriven_or_discarded() {
    let (transport, subscription) = (MemoryTransport::new(), subscription(4));
    let inbound = transport.subscribe(&subscription).await.unwrap();
    publish(&transport, &[message("a", 1), message("b", 1)]).await;
    let held = now(&inbound).await;
    let epitaph = Epitaph { reason: DeadReason::Permanent, error: "broken".to_owned(), attempts: 3 };
    for delivery in &held {
        let fate = Fate::Dead(Arc::clone(&delivery.message), epitaph.clone());
        inbound.settle(all(std::slice::from_ref(delivery), &fate)).await.unwrap();
    }
    let dead = transport.dead_letters("group.handler", 10).await.unwrap();
    assert_eq!(dead.iter().map(|letter| &letter.epitaph).collect::<Vec<_>>(), [&epitaph, &epitaph]);
    assert_eq!(dead[0].message, *held[0].message);
    assert!(transport.redrive("group.handler", &dead[0].id).await.unwrap());
    assert!(!transport.redrive("group.handler", &dead[0].id).await.unwrap());
    assert_eq!(bodies(&now(&inbound).await), bodies(&held[..1]));
    assert!(transport.discard("group.handler", &dead[1].id).await.unwrap());
    assert!(transport.dead_letters("group.handler", 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_changed_subscription_is_followed() {
    let (transport, mut changed) = (MemoryTransport::new(), subscription(1));
    transport.ensure(&changed).await.unwrap();
    publish(&transport, &[message("a", 1)]).await;
    (changed.events, changed.partitions) = (vec!["Lost".to_owned(), "Moved".to_owned()], 3);
    transport.ensure(&changed).await.unwrap();
    publish(&transport, &[Outgoing { event: "Lost".to_owned(), ..message("b", 1) }]).await;
    let inbound = transport.subscribe(&changed).await.unwrap();
    let mut all = bodies(&now(&inbound).await);
    all.sort();
    assert_eq!(all, ["a 1", "b 1"]);
    let late = Subscription { handler: "group.late".into(), from_now: true, ..changed };
    assert!(now(&transport.subscribe(&late).await.unwrap()).await.is_empty());
}
