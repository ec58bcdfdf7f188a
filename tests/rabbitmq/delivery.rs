//! What is published comes out as it was, in order, and again until it is settled.

use domain_events::{
    ErrorKind, EventId,
    event::key_of,
    transport::record::{Content, Fate, Outgoing, Subscription},
};

use super::stage::{
    body, message, nothing_comes, publish, receive, settle, subscription, transport, transport_with, within,
};

#[tokio::test]
async fn a_message_arrives_as_it_was_published_in_both_modes() {
    let transport = transport();
    let wanted = subscription("feeds.show", &["CardAdded"]);
    within(transport.ensure(&wanted)).await.unwrap();
    let structured = message("CardAdded", "c1", 1);
    let attributes = vec![("specversion", "1.0".to_owned()), ("subject", "Zürich ✓".to_owned())];
    let content = Content::Binary { attributes, content_type: "application/json", data: b"{\"a\":1}".to_vec() };
    let mut binary = Outgoing::new(EventId::generate(), "CardAdded", "Card:c1", key_of("Card", "c1"), content);
    binary.traceparent = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned());
    publish(&*transport, &[structured.clone(), binary.clone()]).await;

    let inbound = within(transport.subscribe(&wanted)).await.unwrap();
    let got = receive(&*inbound, 2).await;
    let [first, second] = [&got[0].message, &got[1].message];
    assert_eq!(first.body, structured.content.body());
    assert_eq!(first.content_type.as_deref(), Some(Content::STRUCTURED));
    assert!(first.attributes.is_empty() && first.traceparent.is_none(), "{first:?}");
    assert_eq!(second.body, b"{\"a\":1}");
    assert_eq!(second.content_type.as_deref(), Some("application/json"));
    assert_eq!(second.traceparent, binary.traceparent);
    let mut attributes = second.attributes.clone();
    attributes.sort();
    assert_eq!(attributes, [("specversion".into(), "1.0".into()), ("subject".into(), "Zürich ✓".into())]);
    assert!(first.origin.starts_with("CardAdded."), "{}", first.origin);
    assert_eq!(got[0].redelivered, 0);
}

#[tokio::test]
async fn thousands_of_pipelined_messages_keep_their_order() {
    let transport = transport();
    let wanted = subscription("feeds.show", &["CardAdded"]);
    within(transport.ensure(&wanted)).await.unwrap();
    let messages: Vec<_> = (0..3_000).map(|number| message("CardAdded", "c1", number)).collect();
    publish(&*transport, &messages).await;
    let inbound = within(transport.subscribe(&wanted)).await.unwrap();
    for batch in messages.chunks(200) {
        let got = receive(&*inbound, batch.len()).await;
        let expected: Vec<_> = batch.iter().map(|message| message.content.body().to_vec()).collect();
        assert_eq!(got.iter().map(|delivery| delivery.message.body.clone()).collect::<Vec<_>>(), expected);
        settle(&*inbound, &got, &Fate::Done).await;
    }
    assert!(nothing_comes(&*transport, &*inbound).await);
}

#[tokio::test]
async fn what_a_dropped_inbound_had_unsettled_comes_again_in_order() {
    for options in ["", "&queue=classic"] {
        let transport = transport_with(options);
        let wanted = Subscription { window: 10, ..subscription("feeds.show", &["CardAdded"]) };
        within(transport.ensure(&wanted)).await.unwrap();
        publish(&*transport, &(0..10).map(|number| message("CardAdded", "c1", number)).collect::<Vec<_>>()).await;
        let first = within(transport.subscribe(&wanted)).await.unwrap();
        let got = receive(&*first, 10).await;
        // With a gap before them, and more than may wait for it to be told: a quarter of the window.
        for number in [4, 6, 8] {
            settle(&*first, &got[number..=number], &Fate::Done).await;
        }
        settle(&*first, &got[0..2], &Fate::Done).await;
        drop(first);

        let second = within(transport.subscribe(&wanted)).await.unwrap();
        let again = receive(&*second, 5).await;
        let expected: Vec<_> = [2, 3, 5, 7, 9].iter().map(|number| format!("c1 {number}")).collect();
        assert_eq!(again.iter().map(body).collect::<Vec<_>>(), expected, "{options}");
        assert!(again.iter().all(|delivery| delivery.redelivered == 1), "{again:?}");
        settle(&*second, &again, &Fate::Done).await;
        within(second.close()).await.unwrap();
        let third = within(transport.subscribe(&wanted)).await.unwrap();
        assert!(nothing_comes(&*transport, &*third).await, "{options}");
    }
}

#[tokio::test]
async fn what_was_settled_before_close_does_not_come_again_and_the_rest_does() {
    let transport = transport();
    let wanted = subscription("feeds.show", &["CardAdded"]);
    within(transport.ensure(&wanted)).await.unwrap();
    publish(&*transport, &(0..40).map(|number| message("CardAdded", "c1", number)).collect::<Vec<_>>()).await;
    let first = within(transport.subscribe(&wanted)).await.unwrap();
    let got = receive(&*first, 40).await;
    let odd: Vec<_> = got.iter().skip(1).step_by(2).cloned().collect();
    settle(&*first, &odd, &Fate::Done).await;
    within(first.close()).await.unwrap();
    assert!(within(first.receive(1)).await.unwrap().is_empty(), "a closed inbound ends");
    // An old tag means nothing.
    settle(&*first, &got[..1], &Fate::Done).await;

    let second = within(transport.subscribe(&wanted)).await.unwrap();
    let again = receive(&*second, 20).await;
    let expected: Vec<_> = (0..40).step_by(2).map(|number| format!("c1 {number}")).collect();
    assert_eq!(again.iter().map(body).collect::<Vec<_>>(), expected);
    assert!(nothing_comes(&*transport, &*second).await);
}

/// The broker gives out no more than the window unacknowledged: more comes only when it was told.
#[tokio::test]
async fn what_is_settled_behind_something_is_told_before_long() {
    let transport = transport();
    let wanted = Subscription { window: 8, ..subscription("feeds.show", &["CardAdded"]) };
    within(transport.ensure(&wanted)).await.unwrap();
    publish(&*transport, &(0..10).map(|number| message("CardAdded", "c1", number)).collect::<Vec<_>>()).await;
    let inbound = within(transport.subscribe(&wanted)).await.unwrap();
    let got = receive(&*inbound, 8).await;
    settle(&*inbound, &[got[3].clone(), got[5].clone()], &Fate::Done).await;
    let more = receive(&*inbound, 2).await;
    assert_eq!(more.iter().map(body).collect::<Vec<_>>(), ["c1 8", "c1 9"]);
}

#[tokio::test]
async fn a_returned_delivery_comes_again() {
    let transport = transport();
    let wanted = subscription("feeds.show", &["CardAdded"]);
    within(transport.ensure(&wanted)).await.unwrap();
    publish(&*transport, &(0..5).map(|number| message("CardAdded", "c1", number)).collect::<Vec<_>>()).await;
    let inbound = within(transport.subscribe(&wanted)).await.unwrap();
    let got = receive(&*inbound, 5).await;
    settle(&*inbound, &got[..2], &Fate::Done).await;
    settle(&*inbound, &got[2..], &Fate::Returned).await;
    let again = receive(&*inbound, 3).await;
    assert_eq!(again.iter().map(body).collect::<Vec<_>>(), ["c1 2", "c1 3", "c1 4"]);
    settle(&*inbound, &again, &Fate::Done).await;
    assert!(nothing_comes(&*transport, &*inbound).await);
}

#[tokio::test]
async fn no_more_than_the_window_is_unsettled() {
    let transport = transport();
    let mut wanted = subscription("feeds.show", &["CardAdded"]);
    (wanted.window, wanted.partitions) = (8, 4);
    within(transport.ensure(&wanted)).await.unwrap();
    let messages: Vec<_> = (0..40).map(|number| message("CardAdded", &format!("c{number}"), number)).collect();
    publish(&*transport, &messages).await;
    let inbound = within(transport.subscribe(&wanted)).await.unwrap();
    let got = receive(&*inbound, 8).await;
    assert!(nothing_comes(&*transport, &*inbound).await);
    settle(&*inbound, &got[..3], &Fate::Done).await;
    assert_eq!(receive(&*inbound, 3).await.len(), 3);
    assert!(nothing_comes(&*transport, &*inbound).await);
}

#[tokio::test]
async fn a_message_that_does_not_fit_is_an_error_of_the_event_behind_those_that_were_confirmed() {
    let transport = transport();
    let mut publisher = within(transport.publisher()).await.unwrap();
    let long = "e".repeat(254);
    let messages = [message("CardAdded", "c1", 0), message(&long, "c1", 1), message("CardAdded", "c1", 2)];
    let unconfirmed = within(publisher.publish(&messages)).await.unwrap_err();
    assert_eq!((unconfirmed.confirmed, unconfirmed.error.kind()), (1, ErrorKind::InvalidEvent), "{unconfirmed:?}");
}
