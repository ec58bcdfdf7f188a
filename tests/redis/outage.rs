//! The server is killed, frozen, or has no room: nothing that was confirmed is lost, nothing comes out of order.

use std::collections::{BTreeMap, BTreeSet};

use domain_events::{
    ErrorKind,
    testkit::server::RedisServer,
    transport::{Inbound, record::Fate},
};

use super::common::*;

/// Handles through errors, as the consumer does: until so many different ones were seen.
async fn handle_through(inbound: &dyn Inbound, count: usize) -> Vec<(String, u64)> {
    let (mut seen, mut handled) = (BTreeSet::new(), Vec::new());
    while seen.len() < count {
        match inbound.receive(256).await {
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
            Ok(deliveries) => {
                for delivery in &deliveries {
                    // A second one is dropped by its id, as the consumer does.
                    if seen.insert(read(delivery)) {
                        handled.push(read(delivery));
                    }
                }
                let _ = inbound.settle(all(&deliveries, &Fate::Done)).await;
            }
        }
    }
    handled
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_loses_nothing_that_was_confirmed() {
    let server = RedisServer::private();
    let transport = open(&server.url(&prefix()));
    let inbound = join(&*transport, &subscription("notes.tell", &["Moved"], "n1")).await;
    let sent = messages(20_000, 20);
    let publishing = publish_through(&*transport, &sent, 100);
    let receiving = handle_through(&*inbound, 20_000);
    let killing = async {
        for _ in 0..2 {
            tokio::time::sleep(std::time::Duration::from_millis(150)).await;
            tokio::task::block_in_place(|| {
                server.kill();
                server.restart();
            });
        }
    };
    let ((), handled, ()) = within("handling", async { tokio::join!(publishing, receiving, killing) }).await;
    let mut by_aggregate = BTreeMap::<_, Vec<_>>::new();
    handled.iter().for_each(|(aggregate, n)| by_aggregate.entry(aggregate).or_default().push(*n));
    for (aggregate, numbers) in by_aggregate {
        assert!(numbers.is_sorted(), "{aggregate} is out of order");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_server_is_an_error_and_what_was_unsettled_comes_again() {
    let server = RedisServer::private();
    let transport = open(&server.url(&prefix()));
    let inbound = join(&*transport, &subscription("notes.tell", &["Moved"], "n1")).await;
    publish(&*transport, &messages(10, 2)).await;
    let mut held = Vec::new();
    while held.len() < 10 {
        held.extend(receive(&*inbound).await);
    }
    server.pause();
    let error = within("noticing", inbound.receive(1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    let mut publisher = None;
    let unconfirmed = match within("connecting", transport.publisher()).await {
        Ok(connected) => {
            within("publishing", publisher.insert(connected).publish(&messages(1, 1))).await.err().map(|u| u.error)
        }
        Err(error) => Some(error),
    };
    assert_eq!(unconfirmed.unwrap().kind(), ErrorKind::Unavailable);
    server.resume();
    // Tags of the lost connection mean nothing.
    inbound.settle(all(&held, &Fate::Done)).await.unwrap();
    let again = within("handling", handle_through(&*inbound, 10)).await;
    assert_in_order(&again, 2, 5);
}

#[tokio::test]
async fn a_server_without_room_says_so_and_confirms_nothing() {
    let server = RedisServer::with(&["--maxmemory", "3mb"]);
    let transport = open(&server.url(&prefix()));
    let mut publisher = transport.publisher().await.unwrap();
    let big: Vec<_> = (0..300)
        .map(|n| {
            let body = format!(r#"{{"aggregate":"c","n":{n},"filler":"{}"}}"#, "x".repeat(20_000));
            outgoing("Moved", "c", domain_events::transport::record::Content::Structured(body.into_bytes()))
        })
        .collect();
    let unconfirmed = within("publishing", publisher.publish(&big)).await.unwrap_err();
    assert_eq!(unconfirmed.error.kind(), ErrorKind::Unavailable);
    assert!(unconfirmed.error.to_string().contains("maxmemory"), "{}", unconfirmed.error);
    assert!(unconfirmed.confirmed < 300);
}

#[tokio::test]
async fn a_server_that_lost_its_data_gets_its_groups_again() {
    let server = RedisServer::private();
    let transport = open(&server.url(&prefix()));
    let inbound = join(&*transport, &subscription("notes.tell", &["Moved"], "n1")).await;
    publish(&*transport, &messages(10, 2)).await;
    assert_in_order(&handle(&*inbound, 10).await, 2, 5);
    server.command(b"FLUSHALL\r\n");
    publish(&*transport, &messages(10, 2)).await;
    assert_in_order(&within("handling", handle_through(&*inbound, 10)).await, 2, 5);
}
