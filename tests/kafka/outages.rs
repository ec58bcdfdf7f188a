//! The broker is away, was never there, or refuses: nothing unconfirmed counts as published, nothing unsettled is lost,
//! and no error shows a password.

use std::time::Duration;

use domain_events::{ErrorKind, testkit::server::KafkaMock, transport::connect};

use crate::kit::{
    assert_complete, body, ensured, handle, hold, message, messages, nothing_before_marker, publish, receive, stage,
    subscription,
};

#[tokio::test(flavor = "multi_thread")]
async fn what_an_outage_left_unconfirmed_is_published_again_in_order() {
    let stage = stage();
    let inbound = ensured(&stage, &subscription("notes.mirror", &["CardMoved"])).await;
    let all = messages("CardMoved", 8, 200);
    let mut publisher = stage.transport.publisher().await.unwrap();
    publisher.publish(&all[..300]).await.unwrap();
    stage.broker.outage();
    let unconfirmed = publisher.publish(&all[300..700]).await.unwrap_err();
    assert_eq!(unconfirmed.confirmed, 0);
    assert_eq!(unconfirmed.error.kind(), ErrorKind::Unavailable, "{}", unconfirmed.error);
    // It sends nothing more, whatever happens to the broker.
    stage.broker.recover();
    assert_eq!(publisher.publish(&all[700..]).await.unwrap_err().confirmed, 0);
    drop(publisher);
    publish(&stage.transport, &all[300..]).await;
    assert_complete(&handle(&inbound, 1_600).await, 8, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_told_once_and_what_is_unsettled_comes_again() {
    let stage = stage();
    let inbound = ensured(&stage, &subscription("notes.mirror", &["CardMoved"])).await;
    publish(&stage.transport, &messages("CardMoved", 2, 10)).await;
    let held = hold(&inbound, 20).await;
    stage.broker.outage();
    let error = tokio::time::timeout(crate::kit::PATIENCE, inbound.receive(1)).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    // The next call does not fail again; the old tags mean nothing.
    let again = hold(&inbound, 20).await;
    assert!(again.iter().all(|delivery| held.iter().all(|old| old.tag != delivery.tag) && delivery.redelivered == 1));
    inbound.settle(crate::kit::done(&held)).await.unwrap();
    inbound.settle(crate::kit::returned(&again)).await.unwrap();
    assert_eq!(hold(&inbound, 20).await.len(), 20);
    stage.broker.recover();
    publish(&stage.transport, &[message("CardMoved", "after", 0)]).await;
    while receive(&inbound, 64).await.iter().map(body).all(|body| body != "after/0") {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_publisher_does_not_go_on_behind_the_back_of_the_next() {
    let broker = KafkaMock::start();
    let transport = connect(&broker.url("prefix=lib&publish_timeout_ms=60000&session_timeout_ms=4000")).unwrap();
    let stage = crate::kit::Stage { broker, transport };
    let inbound = ensured(&stage, &subscription("notes.mirror", &["CardMoved"])).await;
    let mut publisher = stage.transport.publisher().await.unwrap();
    publisher.publish(&messages("CardMoved", 1, 1)).await.unwrap();
    assert_eq!(handle(&inbound, 1).await, ["c0/0"]);
    stage.broker.outage();
    let late = [message("CardMoved", "late", 0)];
    assert!(tokio::time::timeout(Duration::from_millis(500), publisher.publish(&late)).await.is_err());
    drop(publisher);
    stage.broker.recover();
    nothing_before_marker(&stage, &inbound, "CardMoved").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_not_there_is_waited_for_and_named() {
    for (host, named) in [("127.0.0.1:1", "127.0.0.1:1"), ("nowhere.invalid:9092", "nowhere.invalid")] {
        let transport = connect(&format!("kafka://app:s3cret@{host}?prefix=lib")).unwrap();
        let handler = subscription("notes.mirror", &["CardMoved"]);
        let errors = [
            transport.publisher().await.err().unwrap(),
            transport.ensure(&handler).await.unwrap_err(),
            transport.subscribe(&handler).await.err().unwrap(),
            transport.dead_letters("notes.mirror", 1).await.unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
            assert!(error.to_string().contains(named), "{error}");
            assert!(!format!("{error:?} {transport:?}").contains("s3cret"), "{error:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_takes_no_credentials_is_a_matter_of_configuration() {
    let broker = KafkaMock::start();
    let transport = connect(&format!("kafka://app:s3cret@{}?prefix=lib", broker.bootstrap())).unwrap();
    let error = transport.publisher().await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
    assert!(!format!("{error:?} {transport:?} {}", transport.address()).contains("s3cret"), "{error:?}");
}
