//! The end of a handler.

use super::*;

on_every_store![
    a_forgotten_handler_leaves_nothing_and_holds_nothing_back,
    a_handler_with_dead_letters_is_forgotten_on_request_only,
    a_handler_that_somebody_has_is_not_forgotten,
];

fn later() -> DateTime<Utc> {
    Utc::now() + Duration::from_secs(60)
}

/// A handler at the beginning of the log, with something of everything.
async fn laden<S: Store>(store: &S, handler: &str, dead: bool) -> Result<(Lease, EventId)> {
    let lease = claimed(store, handler).await?;
    let once = EventId::generate();
    store.claim_once(&lease, once, 1).await?;
    let mut step = Checkpoint::new(lease.clone());
    step.once_done = vec![once];
    step.parked = vec![parked(&event("a"), 1, ParkedState::Retrying), parked(&event("a"), 2, ParkedState::Waiting)];
    if dead {
        step.dead = vec![letter(handler, &event("b"), 3, "")];
    }
    assert_eq!(store.checkpoint(&[step]).await?, [true]);
    store.release(&lease).await?;
    Ok((lease, once))
}

async fn a_forgotten_handler_leaves_nothing_and_holds_nothing_back<S: Store>(store: S) -> Result<()> {
    commit(&store, &[event("a"), event("a"), event("b"), event("b")]).await?;
    let (old, once) = laden(&store, "a.gone", false).await?;
    store.ensure(&wanted("a.gone", 3)).await?;
    // Another one of a similar name, which is through.
    let mut through = Checkpoint::new(claimed(&store, "a.gone2").await?);
    through.position = Some(at(4));
    through.parked = vec![parked(&event("c"), 4, ParkedState::Retrying)];
    store.checkpoint(&[through]).await?;
    assert_eq!(store.trim(later(), 10).await?, 0, "it holds the log back");

    assert_eq!(store.forget("a.gone", false).await?, Forgotten::Gone { parked: 2, dead: 0 });
    let left: Vec<_> = store.subscriptions().await?.into_iter().map(|state| (state.id, state.parked)).collect();
    assert_eq!(left, [(subscription("a.gone2", 0), 1)]);
    assert!(store.parked("a.gone", 10).await?.is_empty());
    let gone = usize::from(!store.capabilities().retains_pieces) * 3;
    assert_eq!(store.trim(later(), 10).await?, gone, "all but what the other one has parked");
    assert_eq!(store.checkpoint(&[Checkpoint::new(old)]).await?, [false], "a holder from before may still write");
    assert_eq!(store.forget("a.gone", true).await?, Forgotten::Unknown);

    store.ensure(&wanted("a.gone", 1)).await?;
    let lease = claim(&store, "b", "a.gone", LONG).await?.expect("it is new").lease;
    assert_eq!(store.claim_once(&lease, once, 1).await?, OnceClaim::Fresh, "its marks are gone");
    Ok(())
}

async fn a_handler_with_dead_letters_is_forgotten_on_request_only<S: Store>(store: S) -> Result<()> {
    laden(&store, "a.gone", true).await?;
    laden(&store, "a.other", true).await?;
    assert_eq!(store.forget("a.gone", false).await?, Forgotten::DeadLetters(1));
    assert_eq!(store.parked("a.gone", 10).await?.len(), 2, "nothing was changed");
    assert_eq!(store.subscriptions().await?.len(), 2, "nothing was changed");
    assert_eq!(store.forget("a.gone", true).await?, Forgotten::Gone { parked: 2, dead: 1 });
    let letters = store.dead_letters(None, 10).await?;
    assert_eq!(letters.iter().map(|letter| &*letter.handler).collect::<Vec<_>>(), ["a.other"]);
    Ok(())
}

async fn a_handler_that_somebody_has_is_not_forgotten<S: Store>(store: S) -> Result<()> {
    store.ensure(&wanted("a.gone", 2)).await?;
    let lease = store.claim(&node("a"), &subscription("a.gone", 1), LONG).await?.expect("free").lease;
    assert_eq!(store.forget("a.gone", true).await?, Forgotten::Alive(node("a")));
    store.renew(std::slice::from_ref(&lease), OVER).await?;

    // Its lease ran out, or is on its way to another node: whoever has the handler would make it anew.
    let has = Node { id: node("b"), handlers: vec!["a.go".into(), "a.gone".into()] };
    store.heartbeat(&has, LONG).await?;
    assert_eq!(store.forget("a.gone", true).await?, Forgotten::Alive(node("b")));
    assert_eq!(store.subscriptions().await?.len(), 2, "nothing was changed");
    store.heartbeat(&has, OVER).await?;
    assert_eq!(store.forget("a.gone", false).await?, Forgotten::Gone { parked: 0, dead: 0 });
    Ok(())
}
