//! What is removed, and what must stay.

use super::*;
use crate::ErrorKind;

on_every_store![
    rows:
    only_old_events_behind_every_subscription_go,
    what_is_parked_or_dead_stays,
    versions_outlive_their_events,
    marks_go_once_their_event_is_behind,
    positions_are_never_given_twice,
];

fn later() -> DateTime<Utc> {
    Utc::now() + Duration::from_secs(60)
}

async fn moved<S: Store>(store: &S, lease: &Lease, after: i64) -> Result<()> {
    let mut step = Checkpoint::new(lease.clone());
    step.position = Some(at(after));
    assert_eq!(store.checkpoint(&[step]).await?, [true]);
    Ok(())
}

async fn only_old_events_behind_every_subscription_go<S: Store>(store: S) -> Result<()> {
    let events: Vec<Envelope> = (0..6).map(|_| event("a")).collect();
    commit(&store, &events).await?;
    let (slow, fast) = (claimed(&store, "a.slow").await?, claimed(&store, "a.fast").await?);
    moved(&store, &fast, 6).await?;
    assert_eq!(store.trim(later(), 10).await?, 0, "one subscription has seen nothing");
    moved(&store, &slow, 4).await?;
    assert_eq!(store.trim(DateTime::UNIX_EPOCH, 10).await?, 0, "they are young");
    assert_eq!(store.trim(later(), 3).await?, 3, "bounded");
    assert_eq!(ids(&all(&store).await?), ids(&events[3..]));
    assert_eq!(store.trim(later(), 3).await?, 1);
    assert_eq!(store.trim(DateTime::<Utc>::MAX_UTC, 3).await?, 0);
    let lags: Vec<u64> = store.subscriptions().await?.iter().map(|state| state.lag).collect();
    assert_eq!(lags, [0, 2]);
    Ok(())
}

async fn what_is_parked_or_dead_stays<S: Store>(store: S) -> Result<()> {
    commit(&store, &[event("a"), event("b"), event("c"), event("d")]).await?;
    let log = all(&store).await?;
    let lease = claimed(&store, "a.a").await?;
    let mut step = Checkpoint::new(lease);
    step.position = Some(at(4));
    step.parked = vec![parked(&log[0], 1, ParkedState::Retrying)];
    step.dead = vec![letter("a.a", &log[2], 3, "")];
    store.checkpoint(&[step]).await?;
    assert_eq!(store.trim(later(), 10).await?, 2);
    assert_eq!(all(&store).await?, [log[0].clone(), log[2].clone()]);
    store.ensure(&wanted("a.new", 1)).await?;
    let new = store.subscriptions().await?.pop().expect("two subscriptions");
    assert_eq!((&*new.id.handler, new.lag), ("a.new", 2), "only what is there");
    Ok(())
}

async fn versions_outlive_their_events<S: Store>(store: S) -> Result<()> {
    commit(&store, &[versioned("a", 1), versioned("a", 2), versioned("b", 1)]).await?;
    assert_eq!(store.trim(later(), 10).await?, 3);
    for stale in [1, 2, 4] {
        let error = commit(&store, &[versioned("a", stale)]).await.expect_err("a stale version");
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert!(error.to_string().contains("actual version is 2"), "{error}");
    }
    commit(&store, &[versioned("a", 3)]).await?;
    commit(&store, &[versioned("b", 2), versioned("a", 4)]).await
}

async fn marks_go_once_their_event_is_behind<S: Store>(store: S) -> Result<()> {
    let lease = claimed(&store, "a.a").await?;
    let (behind, ahead, waiting) = (EventId::generate(), EventId::generate(), event("w"));
    store.claim_once(&lease, behind, 1).await?;
    store.claim_once(&lease, waiting.meta.id, 2).await?;
    store.claim_once(&lease, ahead, 9).await?;
    let mut step = Checkpoint::new(lease.clone());
    step.position = Some(at(5));
    step.once_done = vec![behind, ahead, waiting.meta.id];
    step.parked = vec![parked(&waiting, 2, ParkedState::Retrying)];
    store.checkpoint(&[step]).await?;
    assert_eq!(store.trim(later(), 10).await?, 1, "the one that can go");
    assert_eq!(store.claim_once(&lease, behind, 1).await?, OnceClaim::Fresh);
    assert_eq!(store.claim_once(&lease, ahead, 9).await?, OnceClaim::Done);
    assert_eq!(store.claim_once(&lease, waiting.meta.id, 2).await?, OnceClaim::Done);
    Ok(())
}

async fn positions_are_never_given_twice<S: Store>(store: S) -> Result<()> {
    commit(&store, &[event("a"), event("a")]).await?;
    let head = store.head().await?;
    assert_eq!(store.trim(later(), 10).await?, 2);
    assert_eq!(store.head().await?.after, head.after);
    commit(&store, &[event("a")]).await?;
    let page = store.read(&head, 10).await?;
    assert_eq!(page.events.len(), 1);
    Ok(())
}
