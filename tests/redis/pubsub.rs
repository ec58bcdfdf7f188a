//! Pub/Sub: at most once, to whoever is there.

use domain_events::{
    ErrorKind,
    testkit::server::RedisServer,
    transport::record::{Content, Fate},
};

use super::common::*;

#[tokio::test]
async fn every_process_gets_each_message_of_its_events() {
    let transport = open(&RedisServer::shared().pubsub_url(&prefix()));
    assert!(!transport.capabilities().confirms && !transport.capabilities().shares);
    let one = join(&*transport, &subscription("notes.tell", &["Moved"], "n1")).await;
    let two = join(&*transport, &subscription("notes.tell", &["Archived", "Moved"], "n2")).await;
    publish(&*transport, &[message("Archived", "c", 0)]).await;
    publish(&*transport, &messages(2_000, 1)).await;
    assert_in_order(&handle(&*one, 2_000).await, 1, 2_000);
    assert_eq!(handle(&*two, 2_001).await.len(), 2_001);
}

#[tokio::test]
async fn what_is_sent_in_binary_mode_arrives_in_structured_mode() {
    let transport = open(&RedisServer::shared().pubsub_url(&prefix()));
    let inbound = join(&*transport, &subscription("notes.tell", &["Moved"], "n1")).await;
    let attributes = vec![("specversion", "1.0".to_owned()), ("id", "7".to_owned())];
    let data = br#"{"a":1}"#.to_vec();
    let binary = Content::Binary { attributes, content_type: "application/json", data };
    publish(&*transport, &[outgoing("Moved", "c", binary)]).await;
    let message = receive(&*inbound).await.remove(0).message;
    assert_eq!(message.content_type.as_deref(), Some(Content::STRUCTURED));
    let read: serde_json::Value = serde_json::from_slice(&message.body).unwrap();
    assert_eq!((read["id"].as_str(), read["data"]["a"].as_u64()), (Some("7"), Some(1)));
}

#[tokio::test]
async fn the_window_bounds_what_is_handed_out_and_returned_comes_again() {
    let transport = open(&RedisServer::shared().pubsub_url(&prefix()));
    let mut narrow = subscription("notes.tell", &["Moved"], "n1");
    narrow.window = 3;
    let inbound = join(&*transport, &narrow).await;
    publish(&*transport, &messages(10, 1)).await;
    let mut held = Vec::new();
    while held.len() < 3 {
        held.extend(receive(&*inbound).await);
    }
    assert_eq!(held.len(), 3);
    inbound.settle(all(&held, &Fate::Returned)).await.unwrap();
    assert_in_order(&handle(&*inbound, 10).await, 1, 10);
    inbound.close().await.unwrap();
    assert!(within("ending", inbound.receive(1)).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_connection_is_one_error_and_then_subscribed_again() {
    let server = RedisServer::private();
    let transport = open(&server.pubsub_url(&prefix()));
    let inbound = join(&*transport, &subscription("notes.tell", &["Moved"], "n1")).await;
    tokio::task::block_in_place(|| {
        server.kill();
        server.restart();
    });
    let error = within("noticing", inbound.receive(1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    // Whoever receives is subscribed; what is published then comes.
    let receiving = {
        let inbound = inbound.clone();
        tokio::spawn(async move { inbound.receive(1).await })
    };
    let mut n = 0;
    until("a message comes again", || {
        n += 1;
        let (transport, receiving) = (&transport, &receiving);
        async move {
            publish(&**transport, &[message("Moved", "c", n)]).await;
            receiving.is_finished()
        }
    })
    .await;
    assert_eq!(receiving.await.unwrap().unwrap().len(), 1);
}
