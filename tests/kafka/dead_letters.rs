//! Dead letters: kept with their reason, given back to their handler alone, or removed.

use domain_events::{
    event::DeadReason,
    transport::record::{Delivery, Epitaph, Fate, Settlement},
};

use crate::kit::{body, ensured, hold, messages, nothing_before_marker, publish, stage, subscription};

fn dead(delivery: &Delivery, error: &str) -> Settlement {
    let epitaph = Epitaph { reason: DeadReason::Permanent, error: error.to_owned(), attempts: 3 };
    Settlement { tag: delivery.tag, fate: Fate::Dead(delivery.message.clone(), epitaph) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_is_kept_with_its_reason_and_comes_back_to_its_handler_alone() {
    let stage = stage();
    let inbound = ensured(&stage, &subscription("notes.mirror", &["CardMoved"])).await;
    let other = ensured(&stage, &subscription("notes.other", &["CardMoved"])).await;
    assert!(stage.transport.dead_letters("notes.mirror", 10).await.unwrap().is_empty());
    publish(&stage.transport, &messages("CardMoved", 1, 3)).await;
    let held = hold(&inbound, 3).await;
    let settlements = held.iter().map(|delivery| dead(delivery, &format!("no: {}", body(delivery)))).collect();
    inbound.settle(settlements).await.unwrap();

    let letters = stage.transport.dead_letters("notes.mirror", 10).await.unwrap();
    assert_eq!(letters.len(), 3);
    assert_eq!(letters[1].message.body, held[1].message.body);
    assert_eq!(letters[1].message.content_type, held[1].message.content_type);
    assert_eq!(letters[1].message.origin, held[1].message.origin);
    let expected = Epitaph { reason: DeadReason::Permanent, error: "no: c0/1".to_owned(), attempts: 3 };
    assert_eq!(letters[1].epitaph, expected);
    assert_eq!(stage.transport.dead_letters("notes.mirror", 2).await.unwrap(), letters[..2]);
    assert!(stage.transport.dead_letters("notes.other", 10).await.unwrap().is_empty());

    assert!(stage.transport.redrive("notes.mirror", &letters[1].id).await.unwrap());
    let again = hold(&inbound, 1).await;
    assert_eq!(again[0].message.body, held[1].message.body);
    assert!(stage.transport.discard("notes.mirror", &letters[0].id).await.unwrap());
    for gone in &letters[..2] {
        assert!(!stage.transport.redrive("notes.mirror", &gone.id).await.unwrap());
        assert!(!stage.transport.discard("notes.mirror", &gone.id).await.unwrap());
    }
    assert_eq!(stage.transport.dead_letters("notes.mirror", 10).await.unwrap(), letters[2..]);

    // Dead again: it is another letter.
    inbound.settle(vec![dead(&again[0], "no again")]).await.unwrap();
    let letters = stage.transport.dead_letters("notes.mirror", 10).await.unwrap();
    assert_eq!(letters.iter().map(|letter| &*letter.epitaph.error).collect::<Vec<_>>(), ["no: c0/2", "no again"]);

    assert_eq!(hold(&other, 3).await.len(), 3);
    nothing_before_marker(&stage, &inbound, "CardMoved").await;
}
