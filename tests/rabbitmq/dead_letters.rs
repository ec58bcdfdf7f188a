//! What is given up on is kept beside the handler's queue with the reason, until somebody decides.

use domain_events::{
    event::DeadReason,
    transport::record::{Epitaph, Fate, Incoming, Settlement},
};

use super::stage::{
    body, message, nothing_comes, publish, receive, settle, subscription, transport, transport_with, within,
};

fn epitaph() -> Epitaph {
    Epitaph { reason: DeadReason::Permanent, error: "no such card: ✗".to_owned(), attempts: 3 }
}

#[tokio::test]
async fn a_dead_letter_is_listed_as_often_as_one_likes_and_redriven_or_discarded_once() {
    for options in ["", "&queue=classic"] {
        let transport = transport_with(options);
        let mut wanted = subscription("feeds.show", &["CardAdded"]);
        wanted.partitions = 3;
        within(transport.ensure(&wanted)).await.unwrap();
        publish(&*transport, &(0..6).map(|number| message("CardAdded", "c1", number)).collect::<Vec<_>>()).await;
        let inbound = within(transport.subscribe(&wanted)).await.unwrap();
        let got = receive(&*inbound, 6).await;
        let settlements = got.iter().enumerate().map(|(number, delivery)| {
            let fate = if number < 4 { Fate::Dead(delivery.message.clone(), epitaph()) } else { Fate::Done };
            Settlement { tag: delivery.tag, fate }
        });
        within(inbound.settle(settlements.collect())).await.unwrap();

        let handler = "feeds.show";
        let letters = within(transport.dead_letters(handler, 100)).await.unwrap();
        let bodies = |letters: &[domain_events::transport::record::DeadMessage]| -> Vec<String> {
            letters.iter().map(|letter| String::from_utf8(letter.message.body.clone()).unwrap()).collect()
        };
        assert_eq!(bodies(&letters), ["c1 0", "c1 1", "c1 2", "c1 3"], "{options}");
        assert!(letters.iter().all(|letter| letter.epitaph == epitaph()), "{letters:?}");
        assert_eq!(letters[0].message, *got[0].message, "untouched");
        assert_eq!(within(transport.dead_letters(handler, 2)).await.unwrap(), letters[..2]);
        assert_eq!(within(transport.dead_letters(handler, 100)).await.unwrap(), letters);

        assert!(within(transport.redrive(handler, &letters[1].id)).await.unwrap());
        assert!(!within(transport.redrive(handler, &letters[1].id)).await.unwrap());
        assert!(within(transport.discard(handler, &letters[2].id)).await.unwrap());
        assert!(!within(transport.discard(handler, "nobody")).await.unwrap());
        let left = within(transport.dead_letters(handler, 100)).await.unwrap();
        assert_eq!(bodies(&left), ["c1 0", "c1 3"], "{options}");
        let again = receive(&*inbound, 1).await;
        assert_eq!(*again[0].message, *got[1].message, "a redriven message is the same, its origin too");
        settle(&*inbound, &again, &Fate::Done).await;
        assert!(nothing_comes(&*transport, &*inbound).await);
    }
}

#[tokio::test]
async fn a_dead_letter_is_kept_for_the_handler_alone_and_without_a_subscription_there_is_none() {
    let transport = transport();
    let [feeds, search] = ["feeds.show", "search.index"].map(|handler| subscription(handler, &["CardAdded"]));
    for wanted in [&feeds, &search] {
        within(transport.ensure(wanted)).await.unwrap();
    }
    publish(&*transport, &[message("CardAdded", "c1", 0)]).await;
    let inbound = within(transport.subscribe(&feeds)).await.unwrap();
    let got = receive(&*inbound, 1).await;
    // What could not be read is kept as it is; an error of any length is cut.
    let odd = Incoming { body: vec![0xff, 0], ..(*got[0].message).clone() };
    let long = Epitaph { error: "é".repeat(100_000), ..epitaph() };
    settle(&*inbound, &got, &Fate::Dead(odd.clone().into(), long)).await;
    let letters = within(transport.dead_letters("feeds.show", 10)).await.unwrap();
    assert_eq!(letters[0].message, odd);
    assert!(letters[0].epitaph.error.starts_with("éé") && letters[0].epitaph.error.len() < 20_000);
    assert!(within(transport.dead_letters("search.index", 10)).await.unwrap().is_empty());
    assert!(within(transport.dead_letters("nobody.ever", 10)).await.unwrap().is_empty());
    assert!(!within(transport.redrive("nobody.ever", "x")).await.unwrap());
    let other = within(transport.subscribe(&search)).await.unwrap();
    assert_eq!(body(&receive(&*other, 1).await[0]), "c1 0");
}
