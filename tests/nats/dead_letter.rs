//! What a handler gives up on is kept on the server, for people to look at.

use domain_events::{
    event::DeadReason,
    testkit::server::NatsServer,
    transport::record::{Epitaph, Fate, Settlement, Subscription},
};

use crate::tools::*;

fn epitaph(error: &str) -> Epitaph {
    Epitaph { reason: DeadReason::Permanent, error: error.to_owned(), attempts: 3 }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_is_listed_redriven_to_its_handler_alone_and_discarded() {
    let transport = stage(NatsServer::shared());
    let other = Subscription { handler: "search.index".into(), ..subscription("a") };
    let inbound = transport.subscribe(&subscription("a")).await.unwrap();
    let others = transport.subscribe(&other).await.unwrap();
    publish_all(&*transport, &rounds(1, 3)).await;
    let came = take(&*inbound, 3).await;
    let dead = came.iter().map(|delivery| Settlement {
        tag: delivery.tag,
        fate: Fate::Dead(delivery.message.clone(), epitaph(&format!("number {}\nof 3: ä", said(delivery).1))),
    });
    inbound.settle(dead.collect()).await.unwrap();
    assert_eq!(take(&*others, 3).await.len(), 3);

    let letters = transport.dead_letters(HANDLER, 10).await.unwrap();
    assert_eq!(letters.len(), 3);
    for (n, letter) in letters.iter().enumerate() {
        assert_eq!(letter.message, *came[n].message);
        assert_eq!(letter.epitaph, epitaph(&format!("number {n}\nof 3: ä")));
    }
    assert_eq!(transport.dead_letters(HANDLER, 2).await.unwrap(), letters[..2]);
    assert!(transport.dead_letters("search.index", 10).await.unwrap().is_empty());

    let id = &letters[0].id;
    assert!(!transport.redrive("search.index", id).await.unwrap(), "it is not this handler's");
    assert!(!transport.discard("search.index", id).await.unwrap());
    assert!(transport.redrive(HANDLER, id).await.unwrap());
    assert!(!transport.redrive(HANDLER, id).await.unwrap(), "once");
    assert!(transport.discard(HANDLER, &letters[1].id).await.unwrap());
    assert!(!transport.discard(HANDLER, &letters[1].id).await.unwrap());
    for nothing in ["", "0", "x", "99999"] {
        assert!(!transport.redrive(HANDLER, nothing).await.unwrap());
    }
    assert_eq!(transport.dead_letters(HANDLER, 10).await.unwrap(), letters[2..]);
    let again = take(&*inbound, 1).await;
    assert_eq!(said(&again[0]), (0, 0));
    assert_eq!(again[0].message, came[0].message);
    nothing_comes(&*others).await;

    // It may die again, and is a letter of its own.
    let fate = Fate::Dead(again[0].message.clone(), epitaph("again"));
    inbound.settle(vec![Settlement { tag: again[0].tag, fate }]).await.unwrap();
    assert_eq!(transport.dead_letters(HANDLER, 10).await.unwrap().len(), 2);
}
