//! Core NATS: who is there gets it, once among the processes of a handler; nothing is kept.

use std::{collections::BTreeSet, sync::Arc};

use domain_events::{
    EventId,
    testkit::server::NatsServer,
    transport::{Transport, connect, record::Subscription},
};

use crate::tools::*;

fn core(server: &NatsServer) -> Arc<dyn Transport> {
    let url = server.url().replace("nats://", "nats+core://");
    connect(&format!("{url}?prefix={}", EventId::generate())).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_processes_of_a_handler_share_its_events_and_other_events_do_not_come() {
    let transport = core(NatsServer::shared());
    let capabilities = transport.capabilities();
    assert!(!capabilities.redelivers && !capabilities.confirms && !capabilities.keeps_for_absent);
    publish_all(&*transport, &[moved(99, 0)]).await;
    let first = transport.subscribe(&subscription("a")).await.unwrap();
    let second = transport.subscribe(&subscription("b")).await.unwrap();
    let other = Subscription { handler: "search.index".into(), ..subscription("a") };
    let other = transport.subscribe(&other).await.unwrap();
    publish_all(&*transport, &[event("CardClosed", 1, 0)]).await;
    publish_all(&*transport, &rounds(10, 10)).await;
    let mut seen = BTreeSet::new();
    within("all events", async {
        while seen.len() < 100 {
            let (inbound, came) = tokio::select! {
                came = receive(&*first, 256) => (&first, came),
                came = receive(&*second, 256) => (&second, came),
            };
            for delivery in &came {
                assert!(seen.insert(said(delivery)), "{:?} came twice", said(delivery));
            }
            inbound.settle(done(&came)).await.unwrap();
        }
    })
    .await;
    assert!(seen.iter().all(|(card, _)| *card < 10), "what was published before is gone");
    assert_eq!(take(&*other, 100).await.len(), 100);
    first.close().await.unwrap();
    assert!(first.receive(1).await.unwrap().is_empty());
    assert!(transport.dead_letters(HANDLER, 10).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_window_bounds_what_is_unsettled_and_a_lost_server_is_found_again() {
    let server = NatsServer::private();
    let transport = core(&server);
    let inbound = transport.subscribe(&Subscription { window: 2, ..subscription("a") }).await.unwrap();
    publish_all(&*transport, &rounds(1, 3)).await;
    let came = take(&*inbound, 2).await;
    nothing_comes(&*inbound).await;
    inbound.settle(done(&came)).await.unwrap();
    let came = take(&*inbound, 1).await;
    inbound.settle(done(&came)).await.unwrap();
    server.kill();
    assert!(within("the connection's end", inbound.receive(1)).await.unwrap_err().is_temporary());
    server.restart();
    let message = [moved(5, 5)];
    within("a delivery over the new connection", async {
        loop {
            publish_all(&*transport, &message).await;
            let soon = std::time::Duration::from_millis(200);
            if tokio::time::timeout(soon, receive(&*inbound, 1)).await.is_ok() {
                break;
            }
        }
    })
    .await;
}
