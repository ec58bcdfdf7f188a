//! Several processes share a subscription.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Instant,
};

use domain_events::{
    testkit::server::RedisServer,
    transport::{
        Inbound,
        record::{Delivery, Fate},
    },
};
use tokio::task::JoinHandle;

use super::common::*;

type Handled = Arc<Mutex<Vec<(&'static str, String, u64)>>>;

/// A process that handles what it gets until it is told to end.
fn work(name: &'static str, inbound: Arc<dyn Inbound>, handled: &Handled) -> JoinHandle<()> {
    let handled = handled.clone();
    tokio::spawn(async move {
        loop {
            let deliveries = inbound.receive(16).await.unwrap();
            if deliveries.is_empty() {
                return;
            }
            for delivery in &deliveries {
                let (aggregate, n) = read(delivery);
                handled.lock().unwrap().push((name, aggregate, n));
            }
            inbound.settle(all(&deliveries, &Fate::Done)).await.unwrap();
        }
    })
}

#[tokio::test]
async fn shares_are_spread_evenly_and_order_holds_while_they_move() {
    let transport = open(&RedisServer::shared().url(&prefix()));
    let handled = Handled::default();
    let first = join(&*transport, &subscription("notes.tell", &["Moved"], "n1")).await;
    let one = work("one", first.clone(), &handled);
    let second = join(&*transport, &subscription("notes.tell", &["Moved"], "n2")).await;
    let two = work("two", second.clone(), &handled);
    let mut sent = 0;
    // Until both have had something lately, and then a good deal more.
    let begun = Instant::now();
    while handled.lock().unwrap().iter().rev().take(500).map(|(name, ..)| *name).collect::<BTreeSet<_>>().len() < 2 {
        assert!(begun.elapsed() < LIMIT, "one of the two got nothing");
        let batch: Vec<_> = (0..40).map(|c| message("Moved", &format!("c{c}"), sent)).collect();
        publish(&*transport, &batch).await;
        sent += 1;
    }
    handled.lock().unwrap().retain(|(_, _, n)| *n < sent);
    let before = sent;
    for _ in 0..50 {
        let batch: Vec<_> = (0..40).map(|c| message("Moved", &format!("c{c}"), sent)).collect();
        publish(&*transport, &batch).await;
        sent += 1;
    }
    let expected = 40 * sent as usize;
    until("all is handled", || async { handled.lock().unwrap().len() >= expected }).await;
    first.close().await.unwrap();
    second.close().await.unwrap();
    one.await.unwrap();
    two.await.unwrap();
    let handled = std::mem::take(&mut *handled.lock().unwrap());
    let of_one = handled.iter().filter(|(name, _, n)| *name == "one" && *n >= before).count();
    let share = of_one as f64 / (40.0 * 50.0);
    assert!((0.2..0.8).contains(&share), "one of two had {share} of the work");
    let plain: Vec<_> = handled.into_iter().map(|(_, aggregate, n)| (aggregate, n)).collect();
    assert_in_order(&plain, 40, sent);
}

#[tokio::test]
async fn more_processes_than_partitions_stand_by() {
    let transport = open(&RedisServer::shared().url(&prefix()));
    let one = |node| {
        let mut one = subscription("notes.tell", &["Moved"], node);
        one.partitions = 1;
        one
    };
    let first = join(&*transport, &one("a")).await;
    let second = join(&*transport, &one("b")).await;
    publish(&*transport, &messages(100, 20)).await;
    assert_in_order(&handle(&*first, 100).await, 20, 5);
    within("closing", first.close()).await.unwrap();
    publish(&*transport, &messages(100, 20)).await;
    assert_in_order(&handle(&*second, 100).await, 20, 5);
}

async fn take(inbound: &dyn Inbound, count: usize) -> Vec<Delivery> {
    let mut held = Vec::new();
    while held.len() < count {
        held.extend(receive(inbound).await);
    }
    held
}

#[tokio::test]
async fn who_closes_hands_over_at_once_what_is_unsettled_in_order() {
    let transport = open(&RedisServer::shared().url(&prefix()));
    let first = join(&*transport, &subscription("notes.tell", &["Moved"], "n1")).await;
    publish(&*transport, &messages(60, 6)).await;
    let held = take(&*first, 60).await;
    // The first of each aggregate is done.
    let done: Vec<_> = held.iter().filter(|delivery| read(delivery).1 == 0).cloned().collect();
    first.settle(all(&done, &Fate::Done)).await.unwrap();
    let second = join(&*transport, &subscription("notes.tell", &["Moved"], "n2")).await;
    let begun = Instant::now();
    within("closing", first.close()).await.unwrap();
    publish(&*transport, &(0..6).map(|c| message("Moved", &format!("c{c}"), 10)).collect::<Vec<_>>()).await;
    let again = take(&*second, 60).await;
    assert!(begun.elapsed().as_secs() < 4, "it took {:?}, as if the first had died", begun.elapsed());
    let mut all_read: Vec<_> = done.iter().map(read).collect();
    all_read.extend(again.iter().map(read));
    assert_in_order(&all_read, 6, 11);
    assert!(again.iter().all(|delivery| (delivery.redelivered > 0) == (read(delivery).1 < 10)));
}

#[tokio::test]
async fn the_successor_of_a_dead_process_has_what_is_unsettled_in_order() {
    let transport = open(&RedisServer::shared().url(&prefix()));
    let first = join(&*transport, &subscription("notes.tell", &["Moved"], "n1")).await;
    publish(&*transport, &messages(60, 6)).await;
    let held = take(&*first, 60).await;
    let done: Vec<_> = held.iter().filter(|delivery| read(delivery).1 < 3).cloned().collect();
    first.settle(all(&done, &Fate::Done)).await.unwrap();
    // As if it had died: nothing is given back.
    drop(first);
    let second = join(&*transport, &subscription("notes.tell", &["Moved"], "n2")).await;
    publish(&*transport, &(0..6).map(|c| message("Moved", &format!("c{c}"), 10)).collect::<Vec<_>>()).await;
    let again = take(&*second, 48).await;
    let mut all_read: Vec<_> = done.iter().map(read).collect();
    all_read.extend(again.iter().map(read));
    assert_in_order(&all_read, 6, 11);
}

#[tokio::test]
async fn a_process_of_an_older_release_skips_nothing_that_the_newer_one_takes() {
    let transport = open(&RedisServer::shared().url(&prefix()));
    let handled = Handled::default();
    let old = join(&*transport, &subscription("notes.tell", &["Moved"], "old")).await;
    publish(&*transport, &messages(20, 20)).await;
    assert_in_order(&handle(&*old, 20).await, 20, 1);
    let working = work("old", old.clone(), &handled);
    // The newer one has made itself known; the older one still reads all shards.
    let newer = subscription("notes.tell", &["Archived", "Moved"], "new");
    transport.ensure(&newer).await.unwrap();
    let new = within("subscribing", transport.subscribe(&newer)).await.unwrap();
    let sent: Vec<_> = (0..20).map(|c| message("Archived", &format!("c{c}"), 1)).collect();
    publish(&*transport, &sent).await;
    assert_eq!(handle(&*new, 20).await.len(), 20);
    assert!(handled.lock().unwrap().is_empty());
    // Without the newer one, the older one goes on.
    new.close().await.unwrap();
    publish(&*transport, &(0..20).map(|c| message("Moved", &format!("c{c}"), 2)).collect::<Vec<_>>()).await;
    until("the older one goes on", || async { handled.lock().unwrap().len() == 20 }).await;
    old.close().await.unwrap();
    working.await.unwrap();
}

/// A process that is frozen: none of its tasks runs until it is let go.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_owner_is_cut_off_and_told_when_it_wakes() {
    let (server, prefix) = (RedisServer::shared(), prefix());
    let url = format!("{}&shards=1", server.url(&prefix));
    let (frozen, is_frozen) = std::sync::mpsc::channel();
    let (wake, wakes) = std::sync::mpsc::channel::<()>();
    let its_url = url.clone();
    let owner = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let transport = open(&its_url);
            let inbound = join(&*transport, &subscription("notes.tell", &["Moved"], "n1")).await;
            publish(&*transport, &messages(10, 1)).await;
            take(&*inbound, 10).await;
            frozen.send(()).unwrap();
            wakes.recv().unwrap();
            loop {
                match within("noticing", inbound.receive(256)).await {
                    Err(error) => break error,
                    // What had come before it was cut off.
                    Ok(deliveries) => assert!(!deliveries.is_empty()),
                }
            }
        })
    });
    tokio::task::block_in_place(|| is_frozen.recv()).unwrap();
    let owners = server.command(format!("HGET {prefix}:owners:notes.tell 0\r\n").as_bytes());
    let connection = owners.lines().nth(1).unwrap().split(' ').next().unwrap().to_owned();
    let listed = || server.command(format!("CLIENT LIST ID {connection}\r\n").as_bytes()).contains("id=");
    assert!(listed());
    let transport = open(&url);
    let heir = join(&*transport, &subscription("notes.tell", &["Moved"], "n2")).await;
    assert_in_order(&handle(&*heir, 10).await, 1, 10);
    assert!(!listed(), "the frozen owner could still take something in");
    wake.send(()).unwrap();
    let error = tokio::task::block_in_place(|| owner.join()).unwrap();
    assert_eq!(error.kind(), domain_events::ErrorKind::Unavailable, "{error}");
}
