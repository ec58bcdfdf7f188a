//! Publish, receive, settle: what one process sees.

use std::time::Duration;

use domain_events::{
    testkit::server::RedisServer,
    transport::record::{Content, Fate},
};

use super::common::*;

#[tokio::test]
async fn a_message_arrives_as_it_was_sent_in_both_modes() {
    let transport = open(&RedisServer::shared().url(&prefix()));
    let inbound = join(&*transport, &subscription("notes.tell", &["Moved"], "n1")).await;
    let mut structured = message("Moved", "tück", 1);
    structured.traceparent = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned());
    let attributes = vec![("specversion", "1.0".to_owned()), ("id", "1".to_owned()), ("subject", "tück\n".to_owned())];
    let data = (0..=255).cycle().take(100_000).collect::<Vec<u8>>();
    let binary = Content::Binary { attributes, content_type: "application/octet-stream", data: data.clone() };
    publish(&*transport, &[structured.clone(), outgoing("Moved", "tück", binary)]).await;

    let mut deliveries = Vec::new();
    while deliveries.len() < 2 {
        deliveries.extend(receive(&*inbound).await);
    }
    let first = &deliveries[0].message;
    assert_eq!(first.body, structured.content.body());
    assert_eq!(first.content_type.as_deref(), Some(Content::STRUCTURED));
    assert_eq!(first.traceparent, structured.traceparent);
    assert!(first.origin.contains(":stream:"), "{}", first.origin);
    assert_eq!(deliveries[0].redelivered, 0);
    let second = &deliveries[1].message;
    assert_eq!(second.body, data);
    assert_eq!(second.content_type.as_deref(), Some("application/octet-stream"));
    let named = |name: &str| second.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    assert_eq!((named("specversion"), named("subject")), (Some("1.0"), Some("tück\n")));
}

#[tokio::test]
async fn many_messages_keep_the_order_of_their_aggregates() {
    let transport = open(&RedisServer::shared().url(&prefix()));
    let inbound = join(&*transport, &subscription("notes.tell", &["Moved"], "n1")).await;
    publish(&*transport, &messages(5_000, 50)).await;
    assert_in_order(&handle(&*inbound, 5_000).await, 50, 100);
}

#[tokio::test]
async fn only_the_events_of_the_handler_come_and_each_handler_gets_its_own() {
    let transport = open(&RedisServer::shared().url(&prefix()));
    let one = join(&*transport, &subscription("notes.one", &["Moved"], "n1")).await;
    let both = join(&*transport, &subscription("notes.both", &["Archived", "Moved"], "n1")).await;
    let sent: Vec<_> = (0..20).map(|n| message(if n % 2 == 0 { "Moved" } else { "Archived" }, "c", n)).collect();
    publish(&*transport, &sent).await;
    let numbers = |handled: Vec<(String, u64)>| handled.into_iter().map(|(_, n)| n).collect::<Vec<_>>();
    assert_eq!(numbers(handle(&*one, 10).await), (0..20).step_by(2).collect::<Vec<_>>());
    assert_eq!(numbers(handle(&*both, 20).await), (0..20).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_changed_list_of_events_counts_from_then_on() {
    let transport = open(&RedisServer::shared().url(&prefix()));
    let old = join(&*transport, &subscription("notes.tell", &["Moved"], "n1")).await;
    publish(&*transport, &[message("Moved", "c", 0)]).await;
    handle(&*old, 1).await;
    old.close().await.unwrap();
    publish(&*transport, &[message("Archived", "c", 1), message("Moved", "c", 2)]).await;
    let new = join(&*transport, &subscription("notes.tell", &["Archived", "Moved"], "n2")).await;
    assert_eq!(handle(&*new, 2).await, [("c".to_owned(), 1), ("c".to_owned(), 2)]);
}

#[tokio::test]
async fn a_new_subscription_begins_with_all_that_is_kept_or_with_now() {
    let transport = open(&RedisServer::shared().url(&prefix()));
    publish(&*transport, &[message("Moved", "c", 0)]).await;
    let all = subscription("notes.all", &["Moved"], "n1");
    let mut later = subscription("notes.later", &["Moved"], "n1");
    later.from_now = true;
    // Several processes may do it at a time, and again; the first time counts.
    let (first, second, third) =
        tokio::join!(transport.ensure(&later), transport.ensure(&later), transport.ensure(&all));
    first.and(second).and(third).unwrap();
    publish(&*transport, &[message("Moved", "c", 1)]).await;
    let later = join(&*transport, &later).await;
    assert_eq!(handle(&*later, 1).await, [("c".to_owned(), 1)]);
    let all = join(&*transport, &all).await;
    assert_eq!(handle(&*all, 2).await, [("c".to_owned(), 0), ("c".to_owned(), 1)]);
}

#[tokio::test]
async fn the_window_bounds_what_is_unsettled() {
    let transport = open(&RedisServer::shared().url(&prefix()));
    let mut narrow = subscription("notes.tell", &["Moved"], "n1");
    narrow.window = 10;
    let inbound = join(&*transport, &narrow).await;
    publish(&*transport, &messages(100, 20)).await;
    let mut held = Vec::new();
    while held.len() < 10 {
        held.extend(receive(&*inbound).await);
    }
    assert_eq!(held.len(), 10, "more than the window was handed out");
    let mut handled = Vec::new();
    // One place becomes free, one delivery comes: as long as there are some.
    for _ in 0..90 {
        let first = held.remove(0);
        handled.push(read(&first));
        inbound.settle(all(&[first], &Fate::Done)).await.unwrap();
        let next = receive(&*inbound).await;
        assert_eq!(next.len(), 1, "more than the window was handed out");
        held.extend(next);
    }
    handled.extend(held.iter().map(read));
    assert_in_order(&handled, 20, 5);
}

#[tokio::test]
async fn what_is_returned_comes_again_before_what_follows() {
    let transport = open(&RedisServer::shared().url(&prefix()));
    let inbound = join(&*transport, &subscription("notes.tell", &["Moved"], "n1")).await;
    publish(&*transport, &messages(5, 1)).await;
    let mut held = Vec::new();
    while held.len() < 5 {
        held.extend(receive(&*inbound).await);
    }
    inbound.settle(all(&held, &Fate::Returned)).await.unwrap();
    let mut again = Vec::new();
    while again.len() < 5 {
        again.extend(receive(&*inbound).await);
    }
    assert_eq!(again.iter().map(|delivery| read(delivery).1).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    assert!(again.iter().all(|delivery| delivery.redelivered == 1));
    // A tag of old means nothing.
    inbound.settle(all(&held, &Fate::Done)).await.unwrap();
    inbound.close().await.unwrap();
    let next = join(&*transport, &subscription("notes.tell", &["Moved"], "n2")).await;
    assert_in_order(&handle(&*next, 5).await, 1, 5);
}

#[tokio::test]
async fn a_receive_that_is_dropped_loses_nothing() {
    let transport = open(&RedisServer::shared().url(&prefix()));
    let inbound = join(&*transport, &subscription("notes.tell", &["Moved"], "n1")).await;
    let publishing = async {
        for batch in messages(400, 4).chunks(4) {
            publish(&*transport, batch).await;
        }
    };
    let receiving = async {
        let mut handled = Vec::new();
        let mut round = 0;
        while handled.len() < 400 {
            // Cut off at once, or a moment later, and a little later each time.
            round += 1;
            let patience = Duration::from_micros(50 * (round % 40));
            let Ok(received) = tokio::time::timeout(patience, inbound.receive(3)).await else { continue };
            let deliveries = received.unwrap();
            handled.extend(deliveries.iter().map(read));
            inbound.settle(all(&deliveries, &Fate::Done)).await.unwrap();
        }
        handled
    };
    let ((), handled) = within("receiving", async { tokio::join!(publishing, receiving) }).await;
    assert_in_order(&handled, 4, 100);
}

#[tokio::test]
async fn a_closed_way_in_ends_and_keeps_ending() {
    let transport = open(&RedisServer::shared().url(&prefix()));
    let inbound = join(&*transport, &subscription("notes.tell", &["Moved"], "n1")).await;
    let waiting = {
        let inbound = inbound.clone();
        tokio::spawn(async move { inbound.receive(1).await })
    };
    tokio::task::yield_now().await;
    within("closing", inbound.close()).await.unwrap();
    assert!(within("ending", waiting).await.unwrap().unwrap().is_empty());
    assert!(within("ending", inbound.receive(1)).await.unwrap().is_empty());
    within("closing again", inbound.close()).await.unwrap();
}

#[tokio::test]
async fn what_all_groups_are_done_with_is_trimmed_and_nothing_else() {
    let (server, prefix) = (RedisServer::shared(), prefix());
    let transport = open(&format!("{}&keep=0&shards=1", server.url(&prefix)));
    let quick = join(&*transport, &subscription("notes.quick", &["Moved"], "n1")).await;
    let slow = subscription("notes.slow", &["Moved"], "n1");
    transport.ensure(&slow).await.unwrap();
    publish(&*transport, &messages(1_000, 1)).await;
    assert_in_order(&handle(&*quick, 1_000).await, 1, 1_000);
    // The slow one has had nothing: it finds everything.
    let slow = join(&*transport, &slow).await;
    assert_in_order(&handle(&*slow, 1_000).await, 1, 1_000);
    // All but the last of Redis' blocks of 100 entries.
    let length = || server.command(format!("XLEN {prefix}:stream:0\r\n").as_bytes());
    until("trimming", || async { length().trim_start_matches(':').trim().parse::<u64>().unwrap() <= 100 }).await;
}
