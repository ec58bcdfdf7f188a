//! What is published arrives: as it was, in order, once for each handler, within the window.

use std::collections::BTreeSet;

use domain_events::{
    ErrorKind, EventId,
    testkit::server::NatsServer,
    transport::{
        Inbound, connect,
        record::{Content, Fate, Outgoing, Settlement, Subscription},
    },
};

use crate::tools::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_message_arrives_as_it_was_sent_in_both_modes() {
    let transport = stage(NatsServer::shared());
    let inbound = transport.subscribe(&subscription("a")).await.unwrap();
    let mut structured = moved(1, 0);
    structured.traceparent = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned());
    let mut binary = moved(1, 1);
    binary.content = Content::Binary {
        attributes: vec![("specversion", "1.0".into()), ("id", "ä \"%41\r\n".into()), ("subject", String::new())],
        content_type: "application/json",
        data: br#"{"card":1,"n":1}"#.to_vec(),
    };
    publish_all(&*transport, &[structured.clone(), binary.clone()]).await;

    let came = take(&*inbound, 2).await;
    let message = &came[0].message;
    assert_eq!(message.body, structured.content.body());
    assert_eq!(message.content_type.as_deref(), Some(Content::STRUCTURED));
    assert_eq!(message.traceparent, structured.traceparent);
    assert_eq!(message.attributes, []);
    assert!(message.origin.ends_with(".CardMoved"), "{}", message.origin);
    let message = &came[1].message;
    assert_eq!(message.body, binary.content.body());
    assert_eq!(message.content_type.as_deref(), Some("application/json"));
    let mut attributes = message.attributes.clone();
    attributes.sort();
    let mut expected: Vec<_> =
        binary.content.attributes().iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    expected.sort();
    assert_eq!(attributes, expected);
    assert_eq!(came[0].redelivered, 0);
    inbound.close().await.unwrap();
    assert!(inbound.receive(1).await.unwrap().is_empty(), "closed, it gives nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_handler_gets_all_of_its_events_in_the_order_of_each_aggregate() {
    let transport = stage(NatsServer::shared());
    let other = Subscription { handler: "search.index".into(), ..subscription("a") };
    publish_all(&*transport, &rounds(40, 50)).await;
    for subscription in [subscription("a"), other] {
        let inbound = transport.subscribe(&subscription).await.unwrap();
        let mut seen = Seen::default();
        handle(&*inbound, &mut seen, 2_000).await;
        assert_eq!(seen.twice, 0);
        inbound.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_published_twice_is_kept_once() {
    let transport = stage(NatsServer::shared());
    let inbound = transport.subscribe(&subscription("a")).await.unwrap();
    let messages = [moved(1, 0), moved(1, 1)];
    for messages in [&messages[..1], &messages[..1], &messages] {
        publish_all(&*transport, messages).await;
    }
    let came: Vec<_> = take(&*inbound, 2).await.iter().map(said).collect();
    assert_eq!(came, [(1, 0), (1, 1)]);
    nothing_comes(&*inbound).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_than_the_window_is_unsettled_and_settling_makes_room() {
    let transport = stage(NatsServer::shared());
    let inbound = transport.subscribe(&Subscription { window: 10, ..subscription("a") }).await.unwrap();
    publish_all(&*transport, &rounds(5, 6)).await;
    let first = take(&*inbound, 10).await;
    nothing_comes(&*inbound).await;
    inbound.settle(done(&first[..4])).await.unwrap();
    let second = take(&*inbound, 4).await;
    nothing_comes(&*inbound).await;
    inbound.settle(done(&first[4..])).await.unwrap();
    inbound.settle(done(&second)).await.unwrap();
    // Tags that mean nothing any more change nothing.
    inbound.settle(done(&first)).await.unwrap();
    let rest = take(&*inbound, 10).await;
    let mut seen = Seen::default();
    first.iter().chain(&second).chain(&rest).for_each(|delivery| seen.add(said(delivery)));
    assert_eq!(seen.twice, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_waits_for_long_holds_up_nothing_behind_it_and_is_settled_in_the_end() {
    const MANY: usize = 20_000;
    let transport = stage(NatsServer::shared());
    let inbound = transport.subscribe(&subscription("a")).await.unwrap();
    publish_all(&*transport, &[moved(0, 0)]).await;
    let held = take(&*inbound, 1).await;
    // Of one card, so that all of it stands in one shard behind the first one.
    let behind: Vec<_> = (1..=MANY).map(|n| moved(0, n)).collect();
    publish_all(&*transport, &behind).await;
    let mut expected = 1;
    while expected <= MANY {
        let next = within("what stands behind it", receive(&*inbound, 256)).await;
        for delivery in &next {
            assert_eq!((said(delivery), delivery.redelivered), ((0, expected), 0));
            expected += 1;
        }
        inbound.settle(done(&next)).await.unwrap();
    }
    inbound.settle(done(&held)).await.unwrap();
    inbound.close().await.unwrap();
    let inbound = transport.subscribe(&subscription("b")).await.unwrap();
    nothing_comes(&*inbound).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_returned_comes_again_before_what_follows_it() {
    let transport = stage(NatsServer::shared());
    let inbound = transport.subscribe(&subscription("a")).await.unwrap();
    publish_all(&*transport, &rounds(1, 3)).await;
    let first = take(&*inbound, 3).await;
    inbound.settle(done(&first[..1])).await.unwrap();
    let returned = first[1..].iter().map(|delivery| Settlement { tag: delivery.tag, fate: Fate::Returned });
    inbound.settle(returned.collect()).await.unwrap();
    publish_all(&*transport, &[moved(0, 3)]).await;
    let came: Vec<_> = take(&*inbound, 3).await.iter().map(said).collect();
    assert_eq!(came, [(0, 1), (0, 2), (0, 3)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_begins_where_it_was_made_and_only_once() {
    let transport = stage(NatsServer::shared());
    let from_now = Subscription { from_now: true, ..subscription("a") };
    publish_all(&*transport, &rounds(1, 2)).await;
    let ensured = [transport.ensure(&from_now), transport.ensure(&from_now), transport.ensure(&from_now)];
    for ensured in futures(ensured).await {
        ensured.unwrap();
    }
    // Nobody takes it in yet: it is kept.
    publish_all(&*transport, &[moved(0, 2)]).await;
    transport.ensure(&from_now).await.unwrap();
    let inbound = transport.subscribe(&from_now).await.unwrap();
    assert_eq!(said(&take(&*inbound, 1).await[0]), (0, 2));
    nothing_comes(&*inbound).await;
}

async fn futures<T: Send + 'static>(all: [impl std::future::Future<Output = T> + Send; 3]) -> Vec<T> {
    let [a, b, c] = all;
    let (a, b, c) = tokio::join!(a, b, c);
    vec![a, b, c]
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_handlers_events_come_and_a_changed_list_is_followed_while_it_runs() {
    let transport = stage(NatsServer::shared());
    let old = Subscription { events: vec!["CardMoved".into()], ..subscription("a") };
    transport.ensure(&old).await.unwrap();
    let inbound = transport.subscribe(&old).await.unwrap();
    publish_all(&*transport, &[event("board.Closed..", 1, 0), moved(1, 1)]).await;
    let came = take(&*inbound, 1).await;
    assert_eq!(said(&came[0]), (1, 1));
    inbound.settle(done(&came)).await.unwrap();

    let new = Subscription { events: vec!["board.Closed..".into()], ..subscription("a") };
    transport.ensure(&new).await.unwrap();
    publish_all(&*transport, &[moved(1, 2), event("board.Closed..", 1, 3)]).await;
    assert_eq!(said(&take(&*inbound, 1).await[0]), (1, 3), "also by who subscribed before");
    nothing_comes(&*inbound).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_too_large_is_an_error_of_its_own_and_what_stood_before_is_confirmed() {
    let transport = stage(NatsServer::shared());
    let mut large = moved(1, 2);
    large.content = Content::Structured(vec![b' '; 1_048_576]);
    let messages: Vec<Outgoing> = vec![moved(1, 0), moved(1, 1), large, moved(1, 3)];
    let mut publisher = transport.publisher().await.unwrap();
    let stopped = publisher.publish(&messages).await.unwrap_err();
    assert_eq!((stopped.confirmed, stopped.error.kind()), (2, ErrorKind::InvalidEvent));
    assert!(stopped.error.to_string().contains("max_payload"), "{}", stopped.error);
    publisher.publish(&messages[3..]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn another_number_of_shards_is_refused_and_none_is_taken_over() {
    let prefix = EventId::generate();
    let at = |more: &str| connect(&format!("{}?prefix={prefix}{more}", NatsServer::shared().url())).unwrap();
    at("&shards=3").ensure(&subscription("a")).await.unwrap();
    let error = at("&shards=4").ensure(&subscription("a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("has 3 shards"), "{error}");
    publish_all(&*at(""), &rounds(9, 1)).await;
    let inbound: std::sync::Arc<dyn Inbound> = at("").subscribe(&subscription("a")).await.unwrap();
    let came = take(&*inbound, 9).await;
    let shards: BTreeSet<_> = came.iter().map(|came| came.message.origin.split('.').nth(1).unwrap()).collect();
    assert!(shards.iter().all(|shard| ["0", "1", "2"].contains(shard)), "{shards:?}");
}
