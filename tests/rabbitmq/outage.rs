//! The broker is killed, restarted, frozen, or away at first: what it confirmed arrives, and everybody finds back.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use domain_events::{
    testkit::server::RabbitServer,
    transport::{
        Inbound, Transport, connect,
        record::{Fate, Outgoing, Settlement},
    },
};

use super::stage::{body, message, receive, settle, subscription, until, within};

const AGGREGATES: usize = 16;

/// Publishes as the relay does: from the first that is not confirmed, again and again.
async fn relay(transport: &dyn Transport, messages: &[Outgoing], confirmed: &AtomicUsize) {
    while confirmed.load(Ordering::Relaxed) < messages.len() {
        match transport.publisher().await {
            Ok(mut publisher) => {
                while confirmed.load(Ordering::Relaxed) < messages.len() {
                    let from = confirmed.load(Ordering::Relaxed);
                    let part = &messages[from..messages.len().min(from + 50)];
                    if let Err(unconfirmed) = publisher.publish(part).await {
                        assert!(unconfirmed.error.is_temporary(), "{:?}", unconfirmed.error);
                        confirmed.fetch_add(unconfirmed.confirmed, Ordering::Relaxed);
                        break;
                    }
                    confirmed.fetch_add(part.len(), Ordering::Relaxed);
                }
            }
            Err(error) => assert!(error.is_temporary(), "{error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Takes in until all of it has come; an aggregate may go back, but never leaves one out.
async fn take_in(inbound: &dyn Inbound, all: &BTreeSet<String>) {
    let (mut got, mut furthest) = (BTreeSet::new(), BTreeMap::new());
    while got.len() < all.len() {
        match inbound.receive(100).await {
            Ok(deliveries) => {
                for text in deliveries.iter().map(body) {
                    let (aggregate, number) = text.split_once(' ').unwrap();
                    let turn = number.parse::<usize>().unwrap() / AGGREGATES + 1;
                    let furthest = furthest.entry(aggregate.to_owned()).or_insert(0);
                    assert!(turn <= *furthest + 1, "{aggregate}: {turn} after {furthest}");
                    *furthest = turn.max(*furthest);
                    got.insert(text);
                }
                let done = deliveries.iter().map(|delivery| Settlement { tag: delivery.tag, fate: Fate::Done });
                // Lost with its connection, it comes again.
                let _ = inbound.settle(done.collect()).await;
            }
            Err(error) => {
                assert!(error.is_temporary(), "{error:?}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    assert_eq!(&got, all);
}

#[tokio::test]
async fn a_broker_that_is_killed_loses_nothing_that_it_confirmed() {
    for options in ["", "&queue=classic"] {
        let server = Arc::new(RabbitServer::private());
        let transport = connect(&format!("{}{options}", server.url("outage"))).unwrap();
        let mut wanted = subscription("feeds.show", &["CardAdded"]);
        wanted.partitions = 4;
        within(transport.ensure(&wanted)).await.unwrap();
        let inbound = within(transport.subscribe(&wanted)).await.unwrap();
        let aggregate = |number| format!("c{}", number % AGGREGATES);
        let messages: Vec<_> = (0..3_000).map(|n| message("CardAdded", &aggregate(n), n)).collect();
        let all = messages.iter().map(|m| String::from_utf8(m.content.body().to_vec()).unwrap()).collect();
        let confirmed = AtomicUsize::new(0);
        let breaking = async {
            until("a third is published", || async { confirmed.load(Ordering::Relaxed) >= 1_000 }).await;
            let server = server.clone();
            let broken = tokio::task::spawn_blocking(move || {
                server.kill();
                server.restart();
            });
            broken.await.unwrap();
        };
        let all_of_it =
            async { tokio::join!(relay(&*transport, &messages, &confirmed), take_in(&*inbound, &all), breaking) };
        within(all_of_it).await;
        within(inbound.close()).await.unwrap();
    }
}

#[tokio::test]
async fn a_broker_that_is_frozen_is_noticed_and_found_again() {
    let server = RabbitServer::private();
    let transport = connect(&server.url("frozen")).unwrap();
    let wanted = subscription("feeds.show", &["CardAdded"]);
    within(transport.ensure(&wanted)).await.unwrap();
    let inbound = within(transport.subscribe(&wanted)).await.unwrap();
    let mut publisher = within(transport.publisher()).await.unwrap();
    server.pause();
    let messages = [message("CardAdded", "c1", 0)];
    let (published, received) = within(async { tokio::join!(publisher.publish(&messages), inbound.receive(1)) }).await;
    assert!(published.unwrap_err().error.is_temporary());
    assert!(received.unwrap_err().is_temporary());
    server.resume();
    drop(publisher);
    let confirmed = AtomicUsize::new(0);
    within(relay(&*transport, &messages, &confirmed)).await;
    until("the delivery comes", || async {
        let Ok(got) = inbound.receive(1).await else { return false };
        settle(&*inbound, &got, &Fate::Done).await;
        got.iter().any(|delivery| body(delivery) == "c1 0")
    })
    .await;
}

#[tokio::test]
async fn a_broker_that_is_away_is_a_temporary_error_and_old_tags_mean_nothing_later() {
    let server = RabbitServer::private();
    let transport = connect(&server.url("away")).unwrap();
    let mut wanted = subscription("feeds.show", &["CardAdded"]);
    // With a full window the loss is seen too.
    wanted.window = 2;
    within(transport.ensure(&wanted)).await.unwrap();
    let inbound = within(transport.subscribe(&wanted)).await.unwrap();
    let messages: Vec<_> = (0..4).map(|number| message("CardAdded", "c1", number)).collect();
    super::stage::publish(&*transport, &messages).await;
    let old = receive(&*inbound, 2).await;
    server.kill();
    assert!(within(inbound.receive(1)).await.unwrap_err().is_temporary());
    for error in [
        within(transport.publisher()).await.err().unwrap(),
        within(transport.ensure(&wanted)).await.unwrap_err(),
        within(transport.subscribe(&wanted)).await.err().unwrap(),
        within(transport.dead_letters("feeds.show", 1)).await.unwrap_err(),
        within(inbound.receive(1)).await.unwrap_err(),
    ] {
        assert!(error.is_temporary(), "{error:?}");
        assert!(error.to_string().contains("127.0.0.1") && !format!("{error:?}").contains("guest"), "{error:?}");
    }
    server.restart();
    let mut again = Vec::new();
    let begun = std::time::Instant::now();
    while again.is_empty() {
        match within(inbound.receive(2)).await {
            Ok(deliveries) => again = deliveries,
            Err(error) => assert!(error.is_temporary() && begun.elapsed() < super::stage::LIMIT, "{error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Whatever the first ones were, the old tags settle none of them.
    settle(&*inbound, &old, &Fate::Done).await;
    within(inbound.close()).await.unwrap();
    let next = within(transport.subscribe(&wanted)).await.unwrap();
    let mut got = Vec::new();
    while got.len() < 4 {
        let some = receive(&*next, 1).await;
        settle(&*next, &some, &Fate::Done).await;
        got.extend(some.iter().map(body));
    }
    assert_eq!(got, ["c1 0", "c1 1", "c1 2", "c1 3"]);
}
