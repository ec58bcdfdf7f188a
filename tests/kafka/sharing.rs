//! Several processes share a subscription: each partition has one owner, and what one leaves behind another gets.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use domain_events::transport::{
    Inbound,
    record::{Delivery, Outgoing},
};

use crate::kit::{
    assert_complete, body, done, ensured, handle, hold, message, messages, nothing_before_marker, publish, receive,
    stage, subscription,
};

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dropped_process_left_unsettled_comes_again_in_order_and_nothing_else() {
    let stage = stage();
    let first = subscription("notes.mirror", &["CardMoved"]);
    let inbound = ensured(&stage, &first).await;
    publish(&stage.transport, &messages("CardMoved", 1, 20)).await;
    let held = hold(&inbound, 20).await;
    inbound.settle(done(&held[..5])).await.unwrap();
    // Settled behind an unsettled one: it may come again.
    inbound.settle(done(&held[7..8])).await.unwrap();
    drop(inbound);
    let inbound = ensured(&stage, &subscription("notes.mirror", &["CardMoved"])).await;
    let again: Vec<_> = handle(&inbound, 15).await;
    assert_eq!(again, (5..20).map(|number| format!("c0/{number}")).collect::<Vec<_>>());
    nothing_before_marker(&stage, &inbound, "CardMoved").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_divide_the_aggregates_and_the_rest_of_a_closed_one_moves() {
    let stage = stage();
    // As `ensure` makes them where the broker lets it: the shares are counted over both topics.
    stage.broker.topic("lib", 8);
    stage.broker.topic("lib.notes.mirror.retry", 1);
    let first = ensured(&stage, &subscription("notes.mirror", &["CardMoved"])).await;
    publish(&stage.transport, &messages("CardMoved", 24, 1)).await;
    assert_eq!(handle(&first, 24).await.len(), 24);
    let second = ensured(&stage, &subscription("notes.mirror", &["CardMoved"])).await;

    // In the order in which they were handled, by whichever process.
    let mut log: Vec<String> = (0..24).map(|n| format!("c{n}/0")).collect();
    let mut rounds = 1;
    // Until both get their share of one round.
    loop {
        publish(&stage.transport, &round(rounds)).await;
        rounds += 1;
        let mut came = Vec::new();
        for process in [&first, &second] {
            let taken = within(process).await;
            process.settle(done(&taken)).await.unwrap();
            log.extend(taken.iter().map(body));
            came.push(taken.len());
        }
        if came.iter().all(|count| *count > 0) {
            break;
        }
        assert!(rounds < 40, "only one process got partitions");
    }
    let mut left = Vec::new();
    while left.is_empty() {
        publish(&stage.transport, &round(rounds)).await;
        rounds += 1;
        left = within(&second).await;
    }

    second.close().await.unwrap();
    assert!(receive(&second, 1).await.is_empty(), "a closed inbound is at its end");
    // What it had unsettled comes again to the first, and so does the rest of its share.
    while log.iter().collect::<BTreeSet<_>>().len() < 24 * rounds {
        let taken = receive(&first, 64).await;
        first.settle(done(&taken)).await.unwrap();
        log.extend(taken.iter().map(body));
    }
    assert_complete(&log, 24, rounds);
}

fn round(number: usize) -> Vec<Outgoing> {
    (0..24).map(|n| message("CardMoved", &format!("c{n}"), number)).collect()
}

/// What comes within a moment: it may be another process's.
async fn within(inbound: &Arc<dyn Inbound>) -> Vec<Delivery> {
    match tokio::time::timeout(Duration::from_secs(1), inbound.receive(64)).await {
        Ok(taken) => taken.unwrap(),
        Err(_) => Vec::new(),
    }
}

/// The mock can't: what a broker refuses to do is told as something that has to be changed.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_can_not_forget_a_handler_says_so() {
    let stage = stage();
    let subscription = subscription("library.index", &["CardAddedToLibraryEvent"]);
    ensured(&stage, &subscription).await.close().await.unwrap();
    let error = stage.transport.forget(&subscription.handler).await.unwrap_err();
    assert_eq!(error.kind(), domain_events::ErrorKind::Configuration, "{error}");
    assert!(error.to_string().contains("`library.index`"), "{error}");
}
