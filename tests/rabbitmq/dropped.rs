//! Inbounds that are dropped in the middle of things.

use std::{sync::mpsc::channel, thread, time::Duration};

use crate::stage::{LIMIT, message, publish, receive, subscription, transport, within};

/// Dropped while its deliveries come in, at other moments each time. What this guards against is a client library that
/// blocks its threads, and those of the runtime with them: who waits is outside.
#[test]
fn an_inbound_that_is_dropped_amid_its_deliveries_blocks_nothing() {
    let (ended, end) = channel();
    let dropping = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let transport = transport();
            let subscription = subscription("test.dropped", &["CardAddedToLibraryEvent"]);
            within(transport.ensure(&subscription)).await.unwrap();
            let messages: Vec<_> = (0..250).map(|n| message("CardAddedToLibraryEvent", "a", n)).collect();
            publish(&*transport, &messages).await;
            for round in 0..200 {
                let inbound = within(transport.subscribe(&subscription)).await.unwrap();
                let _ = tokio::time::timeout(Duration::from_micros(200 * (round % 50)), inbound.receive(1)).await;
            }
            let heir = within(transport.subscribe(&subscription)).await.unwrap();
            assert_eq!(receive(&*heir, 1).await.len(), 1);
        });
        ended.send(()).unwrap();
    });
    let waited = end.recv_timeout(LIMIT);
    assert!(waited.is_ok() || dropping.is_finished(), "threads are blocked");
    dropping.join().unwrap();
}
