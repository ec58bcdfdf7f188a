//! One process: content, order, filters, where a subscription begins, the window.

use domain_events::{
    EventId,
    transport::record::{Content, Fate, Outgoing, Settlement},
};

use crate::kit::{
    assert_complete, body, done, ensured, handle, hold, message, messages, nothing_before_marker, publish, receive,
    returned, stage, subscription,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_message_arrives_as_it_was_published_in_both_modes() {
    let stage = stage();
    let inbound = ensured(&stage, &subscription("notes.mirror", &["CardMoved"])).await;
    let id = EventId::generate();
    let mut structured = message("CardMoved", "größe", 7);
    structured.traceparent = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned());
    let binary = Content::Binary {
        attributes: vec![("specversion", "1.0".to_owned()), ("id", id.to_string()), ("subject", "größe".to_owned())],
        content_type: "application/json",
        data: vec![0, 159, 146, 150],
    };
    let binary = Outgoing::new(id, "CardMoved", "Card:größe", 1, binary);
    let empty =
        Content::Binary { attributes: vec![("id", "e".to_owned())], content_type: "application/json", data: vec![] };
    let empty = Outgoing::new(id, "CardMoved", "Card:größe", 1, empty);
    publish(&stage.transport, &[structured, binary, empty]).await;

    let taken = hold(&inbound, 3).await;
    let first = &taken[0].message;
    assert_eq!(first.content_type.as_deref(), Some(Content::STRUCTURED));
    assert_eq!(first.body, "größe/7".as_bytes());
    assert_eq!(first.traceparent.as_deref(), Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
    assert!(first.attributes.is_empty() && first.origin.starts_with("lib["), "{first:?}");
    let second = &taken[1].message;
    assert_eq!(second.content_type.as_deref(), Some("application/json"));
    assert_eq!(second.body, [0, 159, 146, 150]);
    let attribute =
        |name: &str| second.attributes.iter().find(|(named, _)| named == name).map(|(_, value)| value.clone());
    assert_eq!(attribute("id"), Some(id.to_string()));
    assert_eq!(attribute("subject").as_deref(), Some("größe"));
    assert_eq!(second.traceparent, None);
    assert!(taken[2].message.body.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_aggregate_keeps_its_order_through_a_pipelined_publish() {
    let stage = stage();
    let inbound = ensured(&stage, &subscription("notes.mirror", &["CardMoved"])).await;
    publish(&stage.transport, &messages("CardMoved", 16, 100)).await;
    let bodies = handle(&inbound, 1_600).await;
    assert_eq!(bodies.len(), 1_600);
    assert_complete(&bodies, 16, 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_handler_gets_all_of_its_events_and_no_others() {
    let stage = stage();
    let moved = ensured(&stage, &subscription("notes.moved", &["CardMoved"])).await;
    let both = ensured(&stage, &subscription("notes.both", &["CardClosed", "CardMoved"])).await;
    let mut all = messages("CardMoved", 4, 5);
    all.extend((0..20).map(|n| message("CardClosed", "closed", n)));
    all.extend((0..20).map(|n| message("CardLost", "lost", n)));
    publish(&stage.transport, &all).await;
    assert_complete(&handle(&moved, 20).await, 4, 5);
    let bodies = handle(&both, 40).await;
    assert!(bodies.iter().all(|body| !body.starts_with("lost")), "{bodies:?}");
    nothing_before_marker(&stage, &moved, "CardMoved").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_begins_where_it_was_ensured_and_ensuring_again_changes_nothing() {
    let stage = stage();
    publish(&stage.transport, &messages("CardMoved", 3, 2)).await;
    let all = subscription("notes.all", &["CardMoved"]);
    let mut new = subscription("notes.new", &["CardMoved"]);
    new.from_now = true;
    // Two processes may start at the same time.
    let (first, second) = tokio::join!(stage.transport.ensure(&new), stage.transport.ensure(&new));
    first.and(second).unwrap();
    stage.transport.ensure(&all).await.unwrap();
    publish(&stage.transport, &[message("CardMoved", "between", 0)]).await;
    stage.transport.ensure(&new).await.unwrap();

    let inbound = stage.transport.subscribe(&new).await.unwrap();
    assert_eq!(handle(&inbound, 1).await, ["between/0"]);
    nothing_before_marker(&stage, &inbound, "CardMoved").await;
    // Also while somebody takes in.
    stage.transport.ensure(&new).await.unwrap();
    let inbound = stage.transport.subscribe(&all).await.unwrap();
    assert!(handle(&inbound, 7).await.contains(&"c2/1".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_than_the_window_is_unsettled() {
    let stage = stage();
    let mut narrow = subscription("notes.narrow", &["CardMoved"]);
    narrow.window = 10;
    let inbound = ensured(&stage, &narrow).await;
    publish(&stage.transport, &messages("CardMoved", 5, 40)).await;
    let mut held = hold(&inbound, 10).await;
    // Longer than a full window goes unpaused: that nothing comes is no question of speed.
    let more = tokio::time::timeout(std::time::Duration::from_millis(600), inbound.receive(10)).await;
    assert!(more.is_err(), "{more:?}");
    let mut bodies: Vec<_> = held.iter().map(body).collect();
    while bodies.len() < 200 {
        let one = held.remove(0);
        inbound.settle(done(&[one])).await.unwrap();
        let next = receive(&inbound, 10).await;
        bodies.extend(next.iter().map(body));
        held.extend(next);
        assert!(held.len() <= 10, "{}", held.len());
    }
    assert_eq!(bodies.len(), 200);
    assert_complete(&bodies, 5, 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_returned_comes_again_before_what_is_behind_it() {
    let stage = stage();
    let inbound = ensured(&stage, &subscription("notes.mirror", &["CardMoved"])).await;
    publish(&stage.transport, &messages("CardMoved", 1, 6)).await;
    let held = hold(&inbound, 4).await;
    inbound.settle(returned(&held[2..])).await.unwrap();
    inbound.settle(returned(&held[1..2])).await.unwrap();
    let again = hold(&inbound, 5).await;
    assert_eq!(again.iter().map(body).collect::<Vec<_>>(), ["c0/1", "c0/2", "c0/3", "c0/4", "c0/5"]);
    assert_eq!((again[0].redelivered, again[3].redelivered), (1, 0));
    // The old tags mean nothing any more.
    inbound.settle(vec![Settlement { tag: held[1].tag, fate: Fate::Done }]).await.unwrap();
    inbound.settle(returned(&again[..1])).await.unwrap();
    assert_eq!(body(&receive(&inbound, 1).await[0]), "c0/1");
}
