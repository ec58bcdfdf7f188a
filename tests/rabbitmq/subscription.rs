//! What a subscription gets: exactly its events, from when it exists, however often and by how many it is ensured.

use std::time::Duration;

use domain_events::{
    ErrorKind,
    testkit::server::RabbitServer,
    transport::{connect, record::Fate},
};

use super::stage::{body, message, nothing_comes, publish, receive, settle, subscription, transport, within};

#[tokio::test]
async fn each_handler_gets_exactly_its_events() {
    let transport = transport();
    let feeds = subscription("feeds.show", &["CardAdded"]);
    let search = subscription("search.index", &["CardAdded", "CardRemoved"]);
    for wanted in [&feeds, &search] {
        within(transport.ensure(wanted)).await.unwrap();
    }
    let events = ["CardAdded", "CardRemoved", "CardRenamed"];
    publish(&*transport, &events.map(|event| message(event, event, 0))).await;
    let [shown, indexed] = [within(transport.subscribe(&feeds)).await, within(transport.subscribe(&search)).await];
    let (shown, indexed) = (shown.unwrap(), indexed.unwrap());
    assert_eq!(receive(&*shown, 1).await.iter().map(body).collect::<Vec<_>>(), ["CardAdded 0"]);
    let got = receive(&*indexed, 2).await;
    assert_eq!(got.iter().map(body).collect::<Vec<_>>(), ["CardAdded 0", "CardRemoved 0"]);
    // One handler's failure is not the other's.
    assert!(nothing_comes(&*transport, &*shown).await && nothing_comes(&*transport, &*indexed).await);
}

#[tokio::test]
async fn changed_events_are_followed_and_what_waits_stays() {
    let transport = transport();
    for partitions in [1, 4] {
        let handler = format!("feeds.show{partitions}");
        let mut before = subscription(&handler, &["CardAdded", "CardRemoved"]);
        let mut after = subscription(&handler, &["CardRemoved", "CardRenamed"]);
        (before.partitions, after.partitions) = (partitions, partitions);
        within(transport.ensure(&before)).await.unwrap();
        let all = |round| ["CardAdded", "CardRemoved", "CardRenamed"].map(|event| message(event, event, round));
        publish(&*transport, &all(1)).await;
        within(transport.ensure(&after)).await.unwrap();
        publish(&*transport, &all(2)).await;
        let inbound = within(transport.subscribe(&after)).await.unwrap();
        let mut got: Vec<_> = receive(&*inbound, 4).await.iter().map(body).collect();
        got.sort();
        assert_eq!(got, ["CardAdded 1", "CardRemoved 1", "CardRemoved 2", "CardRenamed 2"]);
        assert!(nothing_comes(&*transport, &*inbound).await);
    }
}

#[tokio::test]
async fn ensuring_loses_and_doubles_nothing_that_is_published_meanwhile() {
    let transport = transport();
    let mut wanted = subscription("feeds.show", &["CardAdded"]);
    wanted.partitions = 4;
    within(transport.ensure(&wanted)).await.unwrap();
    let messages: Vec<_> =
        (0..1_000).map(|number| message("CardAdded", &format!("c{}", number % 16), number)).collect();
    let publishing = async {
        let mut publisher = transport.publisher().await.unwrap();
        for part in messages.chunks(20) {
            publisher.publish(part).await.unwrap();
        }
    };
    // Each change makes the bindings anew.
    let mut more = wanted.clone();
    more.events.push("CardRemoved".to_owned());
    let ensuring = || async {
        for wanted in [&more, &wanted, &more] {
            transport.ensure(wanted).await.unwrap();
        }
    };
    within(async { tokio::join!(publishing, ensuring(), ensuring()) }).await;
    let inbound = within(transport.subscribe(&wanted)).await.unwrap();
    let mut got = Vec::new();
    while got.len() < messages.len() {
        // What is missing is named below.
        let waiting = tokio::time::timeout(Duration::from_secs(10), inbound.receive(100));
        let Ok(some) = waiting.await else { break };
        let some = some.unwrap();
        settle(&*inbound, &some, &Fate::Done).await;
        got.extend(some.iter().map(body));
    }
    got.sort();
    let mut expected: Vec<_> = messages.iter().map(|m| String::from_utf8(m.content.body().to_vec()).unwrap()).collect();
    expected.sort();
    assert_eq!(got, expected);
    assert!(nothing_comes(&*transport, &*inbound).await);
}

#[tokio::test]
async fn a_subscription_split_into_fewer_queues_still_empties_the_others() {
    let transport = transport();
    let mut wanted = subscription("feeds.show", &["CardAdded"]);
    wanted.partitions = 4;
    within(transport.ensure(&wanted)).await.unwrap();
    let round = |round| (0..40).map(|n| message("CardAdded", &format!("c{n}"), round)).collect::<Vec<_>>();
    publish(&*transport, &round(1)).await;
    wanted.partitions = 2;
    within(transport.ensure(&wanted)).await.unwrap();
    publish(&*transport, &round(2)).await;
    let inbound = within(transport.subscribe(&wanted)).await.unwrap();
    let got = receive(&*inbound, 80).await;
    assert_eq!(got.iter().filter(|delivery| body(delivery).ends_with(" 1")).count(), 40);
}

#[tokio::test]
async fn a_queue_made_with_other_settings_is_named_with_the_next_step() {
    let server = RabbitServer::shared();
    let wanted = subscription("feeds.show", &["CardAdded"]);
    let quorum = connect(&server.url("settings")).unwrap();
    within(quorum.ensure(&wanted)).await.unwrap();
    let classic = connect(&format!("{}&queue=classic", server.url("settings"))).unwrap();
    let error = within(classic.ensure(&wanted)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("option `queue`"), "{error}");
    let error = connect(&format!("{}&queue=stream", server.url("settings"))).unwrap_err();
    assert!(error.to_string().contains("`quorum` or `classic`"), "{error}");
}
