//! The server is killed, paused, away: nothing confirmed is lost, and the order of each aggregate holds.

use std::sync::Arc;

use domain_events::{ErrorKind, testkit::server::NatsServer, transport::connect};

use crate::tools::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_under_load_loses_nothing_confirmed() {
    let server = Arc::new(NatsServer::private());
    let transport = stage(&server);
    transport.ensure(&subscription("a")).await.unwrap();
    let inbound = transport.subscribe(&subscription("a")).await.unwrap();
    let publishing = {
        let transport = transport.clone();
        tokio::spawn(async move { publish_all(&*transport, &rounds(20, 400)).await })
    };
    let mut seen = Seen::default();
    for third in [2_500, 5_500] {
        handle(&*inbound, &mut seen, third).await;
        let server = server.clone();
        tokio::task::spawn_blocking(move || {
            server.kill();
            server.restart();
        })
        .await
        .unwrap();
    }
    handle(&*inbound, &mut seen, 8_000).await;
    publishing.await.unwrap();
    assert_eq!(seen.total(), 8_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn unsettled_deliveries_come_again_after_a_restart_and_settled_ones_do_not() {
    let server = NatsServer::private();
    let transport = stage(&server);
    let inbound = transport.subscribe(&subscription("a")).await.unwrap();
    publish_all(&*transport, &rounds(4, 5)).await;
    let first = take(&*inbound, 20).await;
    let (keep, settle): (Vec<_>, Vec<_>) = first.iter().cloned().partition(|delivery| said(delivery).1 % 2 == 1);
    inbound.settle(done(&settle)).await.unwrap();
    server.kill();
    let lost = within("the connection's end", inbound.receive(10)).await.unwrap_err();
    assert_eq!(lost.kind(), ErrorKind::Unavailable);
    let again = within("the next try", inbound.receive(10)).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::Unavailable, "each try says that it failed");
    server.restart();
    let came = take(&*inbound, keep.len()).await;
    inbound.settle(done(&keep)).await.unwrap();
    let mut numbers: Vec<_> = came.iter().map(said).collect();
    numbers.sort_unstable();
    let mut expected: Vec<_> = keep.iter().map(said).collect();
    expected.sort_unstable();
    assert_eq!(numbers, expected);
    inbound.settle(done(&came)).await.unwrap();
    nothing_comes(&*inbound).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publish_that_nobody_answers_is_an_error_and_comes_once_when_it_is_tried_again() {
    let server = NatsServer::private();
    let transport = stage(&server);
    let inbound = transport.subscribe(&subscription("a")).await.unwrap();
    let mut publisher = transport.publisher().await.unwrap();
    let messages = rounds(3, 4);
    server.pause();
    let stopped = within("an answer", publisher.publish(&messages)).await.unwrap_err();
    assert_eq!((stopped.confirmed, stopped.error.kind()), (0, ErrorKind::Unavailable));
    server.resume();
    publish_all(&*transport, &messages).await;
    let mut seen = Seen::default();
    handle(&*inbound, &mut seen, 12).await;
    assert_eq!(seen.twice, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_yet_can_be_waited_for() {
    let server = NatsServer::private();
    let url = url(&server, "");
    server.kill();
    let transport = connect(&url).unwrap();
    let error = transport.ensure(&subscription("a")).await.unwrap_err();
    assert!(error.is_temporary(), "{error}");
    assert!(transport.publisher().await.is_err());
    server.restart();
    publish_all(&*transport, &rounds(1, 1)).await;
    let inbound = transport.subscribe(&subscription("a")).await.unwrap();
    assert_eq!(take(&*inbound, 1).await.len(), 1);
}
