//! Several processes share a subscription: each partition has one owner, and what one leaves behind another gets.

use std::collections::BTreeSet;

use crate::kit::{
    assert_complete, body, done, ensured, handle, hold, messages, nothing_before_marker, publish, receive, stage,
    subscription,
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
    let first = ensured(&stage, &subscription("notes.mirror", &["CardMoved"])).await;
    publish(&stage.transport, &messages("CardMoved", 24, 1)).await;
    assert_eq!(handle(&first, 24).await.len(), 24);
    let second = ensured(&stage, &subscription("notes.mirror", &["CardMoved"])).await;

    // Until both have their share; what the first had unsettled when partitions moved comes again elsewhere.
    let (mut mine, mut theirs) = (Vec::new(), Vec::new());
    let mut number = 1;
    while theirs.is_empty() {
        let round: Vec<_> = (0..24).map(|n| crate::kit::message("CardMoved", &format!("c{n}"), number)).collect();
        publish(&stage.transport, &round).await;
        number += 1;
        let wait = std::time::Duration::from_secs(1);
        if let Ok(taken) = tokio::time::timeout(wait, first.receive(64)).await {
            let taken = taken.unwrap();
            first.settle(done(&taken)).await.unwrap();
            mine.extend(taken.iter().map(body));
        }
        if let Ok(taken) = tokio::time::timeout(wait, second.receive(64)).await {
            theirs.extend(taken.unwrap());
        }
        assert!(number < 40, "the second process got no partition");
    }
    // One owner at a time: what the second has unsettled is not delivered to the first.
    let aggregate = |body: &String| body.split_once('/').unwrap().0.to_owned();
    let second_owns: BTreeSet<_> = theirs.iter().map(|delivery| aggregate(&body(delivery))).collect();
    assert!(second_owns.len() < 24, "{second_owns:?}");

    second.close().await.unwrap();
    assert!(receive(&second, 1).await.is_empty(), "a closed inbound is at its end");
    // What it had unsettled comes again to the first.
    let missing: BTreeSet<_> = theirs.iter().map(body).collect();
    let mut came: BTreeSet<String> = mine.iter().cloned().collect();
    while !missing.is_subset(&came) || came.len() < 24 * (number - 1) {
        let taken = receive(&first, 64).await;
        first.settle(done(&taken)).await.unwrap();
        mine.extend(taken.iter().map(body));
        came = mine.iter().cloned().collect();
    }
    let mut all: Vec<String> = (0..24).map(|n| format!("c{n}/0")).collect();
    all.extend(mine);
    assert_complete(&all, 24, number);
}
