//! Several processes share a subscription: each aggregate's events go to one of them at a time, and to another when that
//! one closes or dies.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use domain_events::transport::{
    Inbound, Transport,
    record::{Delivery, Fate, Subscription},
};

use super::stage::{body, message, publish, receive, settle, subscription, transport, transport_with, until, within};

async fn split(transport: &dyn Transport, partitions: u16) -> Subscription {
    let mut wanted = subscription("feeds.show", &["CardAdded"]);
    wanted.partitions = partitions;
    within(transport.ensure(&wanted)).await.unwrap();
    wanted
}

/// What arrives and is settled within a moment.
async fn some(inbound: &dyn Inbound) -> Vec<Delivery> {
    let waiting = tokio::time::timeout(Duration::from_millis(100), inbound.receive(100));
    let Ok(got) = waiting.await else { return Vec::new() };
    let got = got.unwrap();
    settle(inbound, &got, &Fate::Done).await;
    got
}

#[tokio::test]
async fn a_standby_takes_over_when_the_owner_closes_and_when_it_dies() {
    for options in ["", "&queue=classic"] {
        let transport = transport_with(options);
        let wanted = split(&*transport, 1).await;
        publish(&*transport, &(0..3).map(|number| message("CardAdded", "c1", number)).collect::<Vec<_>>()).await;
        let first = within(transport.subscribe(&wanted)).await.unwrap();
        let got = receive(&*first, 3).await;
        settle(&*first, &got[..1], &Fate::Done).await;
        let second = within(transport.subscribe(&wanted)).await.unwrap();
        let waiting = tokio::time::timeout(Duration::from_secs(1), second.receive(3)).await;
        assert!(waiting.is_err(), "one owner at a time: {waiting:?}");
        drop(first);
        let again = receive(&*second, 2).await;
        assert_eq!(again.iter().map(body).collect::<Vec<_>>(), ["c1 1", "c1 2"]);
        settle(&*second, &again[..1], &Fate::Done).await;
        let third = within(transport.subscribe(&wanted)).await.unwrap();
        within(second.close()).await.unwrap();
        assert_eq!(receive(&*third, 1).await.iter().map(body).collect::<Vec<_>>(), ["c1 2"]);
    }
}

#[tokio::test]
async fn the_queues_are_spread_evenly_and_order_holds_while_processes_come_and_go() {
    let transport = transport();
    let wanted = split(&*transport, 4).await;
    let mut inbounds: Vec<Arc<dyn Inbound>> = vec![within(transport.subscribe(&wanted)).await.unwrap()];
    let mut seen: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    let mut number = 0;
    let mut publisher = within(transport.publisher()).await.unwrap();
    // One process, then two, then one again: each change is over when every process there is gets about its share.
    for processes in [1, 2, 1] {
        while inbounds.len() < processes {
            inbounds.push(within(transport.subscribe(&wanted)).await.unwrap());
        }
        while inbounds.len() > processes {
            within(inbounds.remove(0).close()).await.unwrap();
        }
        let begun = std::time::Instant::now();
        loop {
            let round: Vec<_> =
                (0..32).map(|aggregate| message("CardAdded", &format!("c{aggregate}"), number)).collect();
            number += 1;
            within(publisher.publish(&round)).await.unwrap();
            let (mut total, mut shares) = (0, vec![0; inbounds.len()]);
            while total < round.len() {
                for (inbound, share) in inbounds.iter().zip(&mut shares) {
                    let got = some(&**inbound).await;
                    (*share, total) = (*share + got.len(), total + got.len());
                    for delivery in got {
                        let text = body(&delivery);
                        let (aggregate, number) = text.split_once(' ').unwrap();
                        seen.entry(aggregate.to_owned()).or_default().push(number.parse().unwrap());
                    }
                }
                assert!(begun.elapsed() < super::stage::LIMIT, "{shares:?}");
            }
            // Two queues each; aggregates do not divide as evenly as queues.
            if shares.iter().all(|share| *share >= 32 / processes / 2) {
                break;
            }
        }
    }
    let expected: Vec<_> = (0..number).collect();
    assert_eq!(seen.len(), 32);
    for (aggregate, numbers) in seen {
        assert_eq!(numbers, expected, "{aggregate}");
    }
}

#[tokio::test]
async fn a_queue_with_a_delivery_that_waits_is_not_handed_over_but_goes_on() {
    let transport = transport();
    let wanted = split(&*transport, 2).await;
    let first = within(transport.subscribe(&wanted)).await.unwrap();
    // Both queues hold something back.
    let messages: Vec<_> = (0..16).map(|n| message("CardAdded", &format!("c{n}"), 0)).collect();
    publish(&*transport, &messages).await;
    let held = receive(&*first, 16).await;
    let second = within(transport.subscribe(&wanted)).await.unwrap();
    // Longer than a hand-over is tried for.
    assert!(tokio::time::timeout(Duration::from_secs(6), second.receive(1)).await.is_err());
    publish(&*transport, &messages).await;
    assert_eq!(receive(&*first, 16).await.len(), 16, "the first one still gets its deliveries");
    settle(&*first, &held, &Fate::Done).await;
    drop(first);
    assert_eq!(receive(&*second, 16).await.len(), 16);
}

#[tokio::test]
async fn a_process_takes_part_as_long_as_it_is_connected() {
    let transport = transport();
    let wanted = split(&*transport, 2).await;
    let first = within(transport.subscribe(&wanted)).await.unwrap();
    let second = within(transport.subscribe(&wanted)).await.unwrap();
    drop(second);
    // The first has all of it, sooner or later.
    until("both queues are taken in", || async {
        publish(&*transport, &(0..16).map(|n| message("CardAdded", &format!("c{n}"), 0)).collect::<Vec<_>>()).await;
        let mut count = 0;
        for _ in 0..10 {
            count += some(&*first).await.len();
        }
        count >= 16
    })
    .await;
}
