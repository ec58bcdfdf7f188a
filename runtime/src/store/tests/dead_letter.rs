//! Parked deliveries and dead letters, and marks in a handler's transaction.

use super::*;

on_every_store![
    parked_deliveries_come_back_as_they_were,
    dead_letters_come_back_newest_first,
    a_delivery_has_one_dead_letter,
    redriving_makes_a_delivery_due_at_once,
    redriving_keeps_the_place_at_the_head,
    discarding_releases_what_waits_behind,
    what_is_not_there_is_not_settled,
    a_mark_commits_or_rolls_back_with_its_transaction,
];

async fn parked_deliveries_come_back_as_they_were<S: Store>(store: S) -> Result<()> {
    let lease = claimed(&store, "a.a").await?;
    let event = event("a");
    let mut step = Checkpoint::new(lease);
    step.parked = vec![
        parked(&event, 9, ParkedState::Waiting),
        parked(&event, 3, ParkedState::Retrying),
        parked(&event, 5, ParkedState::Running),
        Parked { error: None, ..parked(&event, 7, ParkedState::Dead) },
    ];
    store.checkpoint(std::slice::from_ref(&step)).await?;
    step.parked.sort_by_key(|delivery| delivery.position);
    assert_eq!(store.parked("a.a", 10).await?, step.parked);
    assert_eq!(store.parked("a.a", 2).await?, step.parked[..2]);
    assert!(store.parked("a.b", 10).await?.is_empty());

    let again = Parked { attempts: 4, error: Some("again".into()), ..step.parked[0].clone() };
    step.settled = vec![5, 7];
    step.parked = vec![again.clone()];
    store.checkpoint(std::slice::from_ref(&step)).await?;
    let left = store.parked("a.a", 10).await?;
    assert_eq!((left.len(), &left[0], left[1].position), (2, &again, 9));
    Ok(())
}

async fn dead_letters_come_back_newest_first<S: Store>(store: S) -> Result<()> {
    let mut full = versioned("a", 7);
    full.meta.correlation_id = Some(uuid(1));
    full.meta.causation_id = Some(uuid(2));
    full.meta.trace = Some("00-trace".into());
    full.payload = vec![0xff, 0, b'"', 0xfe];
    let old = letter("a.a", &full, 1, "2026-01-01T00:00:00.000001Z");
    let new = letter("a.b", &event("b"), 2, "2026-01-01T00:00:00.000002Z");
    let same_time = letter("a.a", &event("b"), 3, "2026-01-01T00:00:00.000002Z");
    for letters in [vec![new.clone(), same_time.clone()], vec![old.clone()]] {
        for letter in letters {
            store.ensure(&wanted(&letter.handler, 1)).await?;
            let lease = store.claim(&node("n"), &subscription(&letter.handler, 0), OVER).await?.expect("free").lease;
            let mut step = Checkpoint::new(lease);
            step.dead = vec![letter];
            store.checkpoint(&[step]).await?;
        }
    }
    assert_eq!(store.dead_letters(None, 10).await?, [same_time.clone(), new, old.clone()]);
    assert_eq!(store.dead_letters(Some("a.a"), 10).await?, [same_time.clone(), old]);
    assert_eq!(store.dead_letters(None, 1).await?, [same_time]);
    assert!(store.dead_letters(Some("a.c"), 10).await?.is_empty());
    Ok(())
}

async fn a_delivery_has_one_dead_letter<S: Store>(store: S) -> Result<()> {
    let mut step = Checkpoint::new(claimed(&store, "a.a").await?);
    let event = event("a");
    step.dead = vec![letter("a.a", &event, 1, "")];
    store.checkpoint(std::slice::from_ref(&step)).await?;
    store.checkpoint(std::slice::from_ref(&step)).await?;
    step.dead = vec![letter("a.a", &event, 1, "")];
    store.checkpoint(std::slice::from_ref(&step)).await?;
    assert_eq!(store.dead_letters(None, 10).await?, step.dead);
    Ok(())
}

async fn redriving_makes_a_delivery_due_at_once<S: Store>(store: S) -> Result<()> {
    let lease = claimed(&store, "a.a").await?;
    let event = event("a");
    store.claim_once(&lease, event.meta.id, 4).await?;
    let mut step = Checkpoint::new(lease.clone());
    step.dead = vec![letter("a.a", &event, 4, "")];
    store.checkpoint(std::slice::from_ref(&step)).await?;
    assert!(store.redrive(step.dead[0].id).await?);
    let parked = store.parked("a.a", 10).await?;
    assert_eq!(parked.len(), 1);
    let delivery = &parked[0];
    assert_eq!((delivery.position, delivery.event, delivery.attempts), (4, event.meta.id, 0));
    assert_eq!((delivery.state, &delivery.aggregate), (ParkedState::Retrying, &(&event.meta).into()));
    assert!(delivery.next_at <= Utc::now());
    assert!(store.dead_letters(None, 10).await?.is_empty());
    assert_eq!(store.claim_once(&lease, event.meta.id, 4).await?, OnceClaim::Fresh, "its mark is forgotten");
    assert_eq!(state(&store).await?.revision, 1);
    Ok(())
}

async fn redriving_keeps_the_place_at_the_head<S: Store>(store: S) -> Result<()> {
    let mut step = Checkpoint::new(claimed(&store, "a.a").await?);
    let (first, second) = (event("a"), event("a"));
    step.dead = vec![letter("a.a", &first, 4, "")];
    step.parked = vec![parked(&second, 5, ParkedState::Waiting), parked(&first, 4, ParkedState::Dead)];
    store.checkpoint(std::slice::from_ref(&step)).await?;
    assert!(store.redrive(step.dead[0].id).await?);
    let parked = store.parked("a.a", 10).await?;
    let found: Vec<_> = parked.iter().map(|delivery| (delivery.position, delivery.state, delivery.attempts)).collect();
    assert_eq!(found, [(4, ParkedState::Retrying, 0), (5, ParkedState::Waiting, 3)]);
    Ok(())
}

async fn discarding_releases_what_waits_behind<S: Store>(store: S) -> Result<()> {
    let mut step = Checkpoint::new(claimed(&store, "a.a").await?);
    let (first, second) = (event("a"), event("a"));
    step.dead = vec![letter("a.a", &first, 4, "")];
    step.parked = vec![parked(&first, 4, ParkedState::Dead), parked(&second, 5, ParkedState::Waiting)];
    store.checkpoint(std::slice::from_ref(&step)).await?;
    assert!(store.discard(step.dead[0].id).await?);
    assert_eq!(store.parked("a.a", 10).await?, step.parked[1..]);
    assert!(store.dead_letters(None, 10).await?.is_empty());
    assert_eq!(state(&store).await?.revision, 1);
    Ok(())
}

async fn what_is_not_there_is_not_settled<S: Store>(store: S) -> Result<()> {
    assert!(!store.redrive(DeadLetterId::generate()).await?);
    assert!(!store.discard(DeadLetterId::generate()).await?);
    Ok(())
}

async fn a_mark_commits_or_rolls_back_with_its_transaction<S: Store>(store: S) -> Result<()> {
    let lease = claimed(&store, "a.a").await?;
    let event = EventId::generate();
    for before in [vec![], vec![], vec![event]] {
        let mut transaction = store.begin().await?;
        let connection = S::connection(&mut transaction);
        assert_eq!(store.handled(connection, &lease, &[event]).await?, Some(before));
        store.mark_handled(connection, &lease, &[(event, 1)]).await?;
        match all(&store).await?.len() {
            0 => store.rollback(transaction).await?,
            _ => store.commit(transaction).await?,
        }
        // The first round rolls back, the second commits.
        commit(&store, &[super::event("a")]).await?;
    }
    assert_eq!(store.claim_once(&lease, event, 1).await?, OnceClaim::Done);
    Ok(())
}
