//! Dead letters on the server: kept with their reason, redriven to their handler alone, discarded.

use std::sync::Arc;

use domain_events::{
    event::DeadReason,
    testkit::server::RedisServer,
    transport::record::{Content, Epitaph, Fate, Settlement},
};

use super::common::*;

#[tokio::test]
async fn a_dead_letter_is_kept_redriven_to_its_handler_alone_and_discarded() {
    let transport = open(&RedisServer::shared().url(&prefix()));
    let ill = join(&*transport, &subscription("notes.ill", &["Moved"], "n1")).await;
    let well = join(&*transport, &subscription("notes.well", &["Moved"], "n1")).await;
    let attributes = vec![("specversion", "1.0".to_owned()), ("id", "7".to_owned())];
    let body = br#"{"aggregate":"c","n":1}"#.to_vec();
    let binary = Content::Binary { attributes, content_type: "application/json", data: body };
    publish(&*transport, &[message("Moved", "c", 0), outgoing("Moved", "c", binary), message("Moved", "c", 2)]).await;
    let mut held = Vec::new();
    while held.len() < 3 {
        held.extend(receive(&*ill).await);
    }
    let epitaph =
        |attempts| Epitaph { reason: DeadReason::Permanent, error: "no \"mail\"\nserver".to_owned(), attempts };
    let dead = |index: usize| {
        let fate = Fate::Dead(Arc::clone(&held[index].message), epitaph(index as u32 + 1));
        Settlement { tag: held[index].tag, fate }
    };
    ill.settle(vec![dead(0), dead(1), dead(1)]).await.unwrap();
    ill.settle(all(&held[2..], &Fate::Done)).await.unwrap();
    assert_in_order(&handle(&*well, 3).await, 1, 3);

    let letters = transport.dead_letters("notes.ill", 10).await.unwrap();
    assert_eq!(letters.len(), 2);
    for (letter, delivery) in letters.iter().zip(&held) {
        assert_eq!(letter.message, *delivery.message);
    }
    assert_eq!(letters[1].epitaph, epitaph(2));
    assert_eq!(transport.dead_letters("notes.ill", 1).await.unwrap().len(), 1);
    assert!(transport.dead_letters("notes.well", 10).await.unwrap().is_empty());

    assert!(transport.redrive("notes.ill", &letters[1].id).await.unwrap());
    assert!(!transport.redrive("notes.ill", &letters[1].id).await.unwrap());
    assert!(!transport.redrive("notes.ill", "nonsense").await.unwrap());
    let again = receive(&*ill).await;
    assert_eq!(again.len(), 1);
    assert_eq!(
        (&again[0].message.body, &again[0].message.attributes),
        (&held[1].message.body, &held[1].message.attributes)
    );
    ill.settle(all(&again, &Fate::Done)).await.unwrap();
    assert!(transport.discard("notes.ill", &letters[0].id).await.unwrap());
    assert!(!transport.discard("notes.ill", &letters[0].id).await.unwrap());
    assert!(!transport.discard("notes.ill", "nonsense").await.unwrap());
    assert!(transport.dead_letters("notes.ill", 10).await.unwrap().is_empty());

    // The other handler sees what follows, and never the redriven one.
    publish(&*transport, &[message("Moved", "c", 9)]).await;
    assert_eq!(handle(&*well, 1).await, [("c".to_owned(), 9)]);
}
