//! Several processes share a handler: each shard is one process's at a time, and goes over when it dies or closes.

use std::{collections::BTreeSet, sync::Arc, time::Instant};

use domain_events::{
    testkit::server::NatsServer,
    transport::{Inbound, Transport, record::Delivery},
};

use crate::tools::*;

async fn join(transport: &dyn Transport, node: &str) -> Arc<dyn Inbound> {
    transport.subscribe(&subscription(node)).await.unwrap()
}

fn cards(deliveries: &[Delivery]) -> BTreeSet<usize> {
    deliveries.iter().map(|delivery| said(delivery).0).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_closes_hands_over_at_once_what_it_had_not_settled() {
    let transport = stage(NatsServer::shared());
    let first = join(&*transport, "a").await;
    publish_all(&*transport, &rounds(10, 10)).await;
    let taken = take(&*first, 100).await;
    // A gap in each card: what was settled behind it does not come again.
    let (unsettled, settled): (Vec<_>, Vec<_>) = taken.into_iter().partition(|delivery| said(delivery).1 == 4);
    first.settle(done(&settled)).await.unwrap();
    first.close().await.unwrap();
    let begun = Instant::now();
    let second = join(&*transport, "b").await;
    let came = take(&*second, 10).await;
    let expected: BTreeSet<_> = unsettled.iter().map(said).collect();
    assert_eq!(came.iter().map(said).collect::<BTreeSet<_>>(), expected);
    assert!(came.iter().all(|delivery| delivery.redelivered == 0), "nobody died of them");
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
    nothing_comes(&*second).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_dies_loses_nothing_and_the_order_holds() {
    let transport = stage(NatsServer::shared());
    let first = join(&*transport, "a").await;
    publish_all(&*transport, &rounds(10, 10)).await;
    let mut seen = Seen::default();
    let taken = take(&*first, 60).await;
    taken[..40].iter().for_each(|delivery| seen.add(said(delivery)));
    first.settle(done(&taken[..40])).await.unwrap();
    drop(first);
    let second = join(&*transport, "b").await;
    let came = take(&*second, 1).await;
    assert!(came[0].redelivered <= 1);
    let mut redelivered = came[0].redelivered;
    came.iter().for_each(|delivery| seen.add(said(delivery)));
    within("the rest", async {
        while seen.total() < 100 {
            let came = receive(&*second, 256).await;
            redelivered += came.iter().map(|delivery| delivery.redelivered).sum::<u32>();
            came.iter().for_each(|delivery| seen.add(said(delivery)));
        }
    })
    .await;
    assert!(redelivered > 0, "what was delivered to the dead says so");
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_come_share_evenly_and_no_event_is_lost_or_overtaken() {
    let transport = stage(NatsServer::shared());
    let first = join(&*transport, "a").await;
    publish_all(&*transport, &rounds(64, 5)).await;
    let mut seen = Seen::default();
    handle(&*first, &mut seen, 320).await;
    let second = join(&*transport, "b").await;
    // Rounds until both have about half of the aggregates: each shard goes over when it is settled.
    let (mut ours, mut theirs) = (BTreeSet::new(), BTreeSet::new());
    within("an even share", async {
        for n in 5.. {
            let messages: Vec<_> = (0..64).map(|card| moved(card, n)).collect();
            publish_all(&*transport, &messages).await;
            let mut left = 64_usize;
            let (mut a, mut b) = (BTreeSet::new(), BTreeSet::new());
            while left > 0 {
                let (inbound, share, came) = tokio::select! {
                    came = receive(&*first, 64) => (&first, &mut a, came),
                    came = receive(&*second, 64) => (&second, &mut b, came),
                };
                came.iter().for_each(|delivery| seen.add(said(delivery)));
                share.extend(cards(&came));
                inbound.settle(done(&came)).await.unwrap();
                left = left.saturating_sub(came.len());
            }
            (ours, theirs) = (a, b);
            if ours.len() >= 20 && theirs.len() >= 20 {
                break;
            }
        }
    })
    .await;
    assert!(ours.is_disjoint(&theirs), "an aggregate is one process's");
    assert_eq!(seen.twice, 0);
    // One of them ends: the other has all of it.
    first.close().await.unwrap();
    let total = seen.total();
    let n = total / 64;
    publish_all(&*transport, &(0..64).map(|card| moved(card, n)).collect::<Vec<_>>()).await;
    handle(&*second, &mut seen, total + 64).await;
    assert_eq!(seen.twice, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_takes_long_keeps_its_shard_and_stops_no_other() {
    let transport = stage(NatsServer::shared());
    let first = join(&*transport, "a").await;
    publish_all(&*transport, &rounds(64, 1)).await;
    let taken = take(&*first, 64).await;
    let (held, rest): (Vec<_>, Vec<_>) = taken.into_iter().partition(|delivery| said(delivery).0 == 7);
    first.settle(done(&rest)).await.unwrap();
    let second = join(&*transport, "b").await;
    publish_all(&*transport, &(0..64).map(|card| moved(card, 1)).collect::<Vec<_>>()).await;
    let mut came = BTreeSet::new();
    within("the events of all cards", async {
        while came.len() < 64 {
            let (inbound, deliveries) = tokio::select! {
                deliveries = receive(&*first, 64) => (&first, deliveries),
                deliveries = receive(&*second, 64) => (&second, deliveries),
            };
            assert!(deliveries.iter().all(|delivery| said(delivery) != (7, 0)), "it is held, not lost");
            came.extend(cards(&deliveries));
            inbound.settle(done(&deliveries)).await.unwrap();
        }
    })
    .await;
    first.settle(done(&held)).await.unwrap();
    nothing_comes(&*second).await;
}
