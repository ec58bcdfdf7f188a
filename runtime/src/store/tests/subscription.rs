//! Subscriptions, leases, nodes, checkpoints and the pause switch.

use super::*;

on_every_store![
    a_new_subscription_begins_where_it_says,
    an_alias_hands_over_all_it_has,
    only_the_first_alias_that_exists_hands_over,
    another_number_of_partitions_begins_at_the_least_position,
    partitions_stay_as_they_are_while_one_is_held,
    one_node_holds_a_lease,
    a_lease_that_ran_out_counts_as_a_crash,
    a_lease_that_was_given_back_does_not,
    a_lease_is_renewed_by_its_holder_only,
    a_checkpoint_needs_the_latest_fence,
    a_lost_lease_does_not_undo_the_other_steps,
    a_checkpoint_without_a_position_leaves_it,
    many_steps_are_written_in_their_order,
    an_event_is_marked_once,
    a_mark_needs_the_lease,
    nodes_are_known_while_they_live,
    pausing_reaches_every_partition,
    a_state_says_where_a_subscription_stands,
];

async fn a_new_subscription_begins_where_it_says<S: Store>(store: S) -> Result<()> {
    commit(&store, &[event("a"), event("a")]).await?;
    let mut new = wanted("a.now", 1);
    new[0].start = StartAt::Head;
    new.extend(wanted("a.all", 1));
    store.ensure(&new).await?;
    commit(&store, &[event("a")]).await?;
    store.ensure(&new).await?;
    let states = store.subscriptions().await?;
    let found: Vec<_> = states.iter().map(|state| (&*state.id.handler, state.position.after, state.lag)).collect();
    assert_eq!(found, [("a.all", 0, 3), ("a.now", 2, 1)]);
    Ok(())
}

async fn an_alias_hands_over_all_it_has<S: Store>(store: S) -> Result<()> {
    let lease = claimed(&store, "a.old").await?;
    let (event, done) = (event("a"), EventId::generate());
    store.claim_once(&lease, done, 6).await?;
    let mut step = Checkpoint::new(lease.clone());
    step.position = Some(at(5));
    step.parked = vec![parked(&event, 3, ParkedState::Waiting)];
    step.dead = vec![letter("a.old", &event, 2, "")];
    step.once_done = vec![done];
    store.checkpoint(std::slice::from_ref(&step)).await?;
    store.release(&lease).await?;

    let mut new = wanted("a.new", 1);
    new[0].aliases = vec!["a.older".into(), "a.old".into()];
    store.ensure(&new).await?;
    let states = store.subscriptions().await?;
    assert_eq!(states.len(), 1);
    assert_eq!((&*states[0].id.handler, states[0].position.after), ("a.new", 5));
    assert_eq!(store.parked("a.new", 10).await?, step.parked);
    assert_eq!(store.dead_letters(Some("a.new"), 10).await?[0].id, step.dead[0].id);
    let lease = claim(&store, "a", "a.new", LONG).await?.expect("free").lease;
    assert_eq!(store.claim_once(&lease, done, 6).await?, OnceClaim::Done);
    assert_eq!(store.checkpoint(&[step]).await?, [false], "the old name is gone");
    Ok(())
}

async fn only_the_first_alias_that_exists_hands_over<S: Store>(store: S) -> Result<()> {
    for (handler, position) in [("a.first", 3), ("a.second", 4)] {
        let mut step = Checkpoint::new(claimed(&store, handler).await?);
        step.position = Some(at(position));
        store.checkpoint(&[step]).await?;
    }
    let mut new = wanted("a.new", 1);
    new[0].aliases = vec!["a.never".into(), "a.first".into(), "a.second".into()];
    store.ensure(&new).await?;
    store.ensure(&new).await?;
    let states = store.subscriptions().await?;
    let found: Vec<_> = states.iter().map(|state| (&*state.id.handler, state.position.after)).collect();
    assert_eq!(found, [("a.new", 3), ("a.second", 4)]);
    Ok(())
}

async fn another_number_of_partitions_begins_at_the_least_position<S: Store>(store: S) -> Result<()> {
    store.ensure(&wanted("a.a", 2)).await?;
    let mut fences = Vec::new();
    for (partition, position) in [(0, 7), (1, 4)] {
        let claim = store.claim(&node("n"), &subscription("a.a", partition), OVER).await?.expect("free");
        fences.push(claim.lease.fence);
        let mut step = Checkpoint::new(claim.lease);
        step.position = Some(at(position));
        store.checkpoint(&[step]).await?;
    }
    for partitions in [3, 1, 2] {
        store.ensure(&wanted("a.a", partitions)).await?;
        let states = store.subscriptions().await?;
        let found: Vec<_> = states.iter().map(|state| (state.id.partition, state.position.after)).collect();
        assert_eq!(found, (0..partitions).map(|partition| (partition, 4)).collect::<Vec<_>>());
    }
    for partition in 0..2 {
        let stale = Lease {
            subscription: subscription("a.a", partition),
            owner: node("n"),
            fence: fences[usize::from(partition)],
        };
        assert_eq!(store.checkpoint(&[Checkpoint::new(stale.clone())]).await?, [false], "a holder of the old rows");
        let claim = store.claim(&node("n"), &stale.subscription, LONG).await?.expect("free");
        assert!(claim.lease.fence > stale.fence);
    }
    Ok(())
}

async fn partitions_stay_as_they_are_while_one_is_held<S: Store>(store: S) -> Result<()> {
    store.ensure(&wanted("a.a", 2)).await?;
    let lease = claim(&store, "a", "a.a", LONG).await?.expect("free").lease;
    store.ensure(&wanted("a.a", 3)).await?;
    assert_eq!(store.subscriptions().await?.len(), 2);
    assert!(store.claim(&node("b"), &subscription("a.a", 2), LONG).await?.is_none());
    store.release(&lease).await?;
    store.ensure(&wanted("a.a", 3)).await?;
    assert_eq!(store.subscriptions().await?.len(), 3);
    Ok(())
}

async fn one_node_holds_a_lease<S: Store>(store: S) -> Result<()> {
    assert!(claim(&store, "a", "a.a", LONG).await?.is_none(), "there is no such subscription");
    store.ensure(&wanted("a.a", 1)).await?;
    let first = claim(&store, "a", "a.a", LONG).await?.expect("free");
    assert_eq!((first.position.after, first.crashes, first.paused), (0, 0, false));
    assert!(claim(&store, "b", "a.a", LONG).await?.is_none());
    assert!(claim(&store, "a", "a.a", LONG).await?.is_none(), "not even twice for the same node");
    store.release(&first.lease).await?;
    let second = claim(&store, "b", "a.a", Duration::MAX).await?.expect("given back");
    assert!(second.lease.fence > first.lease.fence);
    store.release(&first.lease).await?;
    assert!(claim(&store, "a", "a.a", LONG).await?.is_none(), "giving back what is not held changes nothing");
    Ok(())
}

async fn a_lease_that_ran_out_counts_as_a_crash<S: Store>(store: S) -> Result<()> {
    store.ensure(&wanted("a.a", 1)).await?;
    for crashes in 0..3 {
        assert_eq!(claim(&store, "a", "a.a", OVER).await?.expect("ran out").crashes, crashes);
    }
    let last = claim(&store, "a", "a.a", LONG).await?.expect("ran out");
    let mut step = Checkpoint::new(last.lease.clone());
    store.checkpoint(std::slice::from_ref(&step)).await?;
    store.release(&last.lease).await?;
    let last = claim(&store, "a", "a.a", LONG).await?.expect("given back");
    assert_eq!(last.crashes, 3, "until a checkpoint is calm");
    step.lease = last.lease;
    step.calm = true;
    store.checkpoint(std::slice::from_ref(&step)).await?;
    store.release(&step.lease).await?;
    assert_eq!(claim(&store, "a", "a.a", LONG).await?.expect("given back").crashes, 0);
    Ok(())
}

async fn a_lease_that_was_given_back_does_not<S: Store>(store: S) -> Result<()> {
    store.ensure(&wanted("a.a", 1)).await?;
    for _ in 0..3 {
        let claim = claim(&store, "a", "a.a", LONG).await?.expect("free");
        assert_eq!(claim.crashes, 0);
        store.release(&claim.lease).await?;
    }
    Ok(())
}

async fn a_lease_is_renewed_by_its_holder_only<S: Store>(store: S) -> Result<()> {
    store.ensure(&wanted("a.a", 1)).await?;
    let over = claim(&store, "a", "a.a", OVER).await?.expect("free").lease;
    let none = Lease { subscription: subscription("a.none", 0), ..over.clone() };
    let renewed = store.renew(&[over.clone(), none], LONG).await?;
    assert_eq!(renewed.iter().map(|renewed| renewed.held).collect::<Vec<_>>(), [true, false]);
    assert!(claim(&store, "b", "a.a", LONG).await?.is_none(), "it lives on");

    store.renew(std::slice::from_ref(&over), OVER).await?;
    let mine = claim(&store, "b", "a.a", LONG).await?.expect("ran out").lease;
    store.set_paused("a.a", true).await?;
    let renewed = store.renew(&[over, mine], LONG).await?;
    assert_eq!(renewed.iter().map(|renewed| renewed.held).collect::<Vec<_>>(), [false, true]);
    assert!(renewed.iter().all(|renewed| renewed.paused && renewed.revision == 1));
    assert!(store.renew(&[], LONG).await?.is_empty());
    Ok(())
}

async fn a_checkpoint_needs_the_latest_fence<S: Store>(store: S) -> Result<()> {
    store.ensure(&wanted("a.a", 1)).await?;
    let mut frozen = Checkpoint::new(claim(&store, "a", "a.a", OVER).await?.expect("free").lease);
    frozen.position = Some(at(3));
    assert_eq!(store.checkpoint(std::slice::from_ref(&frozen)).await?, [true], "nobody else has come");
    let next = claim(&store, "b", "a.a", LONG).await?.expect("ran out");
    assert_eq!(next.position.after, 3);
    frozen.position = Some(at(9));
    frozen.parked = vec![parked(&event("a"), 8, ParkedState::Retrying)];
    frozen.dead = vec![letter("a.a", &event("a"), 7, "")];
    assert_eq!(store.checkpoint(&[frozen]).await?, [false]);
    let state = state(&store).await?;
    assert_eq!((state.position.after, state.parked, state.dead), (3, 0, 0), "nothing of it is written");
    Ok(())
}

async fn a_lost_lease_does_not_undo_the_other_steps<S: Store>(store: S) -> Result<()> {
    let mut steps = Vec::new();
    for handler in ["a.a", "a.b", "a.c"] {
        let mut step = Checkpoint::new(claimed(&store, handler).await?);
        step.position = Some(at(5));
        steps.push(step);
    }
    store.release(&steps[1].lease).await?;
    assert_eq!(store.checkpoint(&steps).await?, [true, false, true]);
    let positions: Vec<i64> = store.subscriptions().await?.iter().map(|state| state.position.after).collect();
    assert_eq!(positions, [5, 0, 5]);
    Ok(())
}

async fn a_checkpoint_without_a_position_leaves_it<S: Store>(store: S) -> Result<()> {
    let mut step = Checkpoint::new(claimed(&store, "a.a").await?);
    step.position = Some(at(5));
    store.checkpoint(std::slice::from_ref(&step)).await?;
    step.position = None;
    store.checkpoint(&[step]).await?;
    assert_eq!(state(&store).await?.position, at(5));
    assert!(store.checkpoint(&[]).await?.is_empty());
    Ok(())
}

async fn many_steps_are_written_in_their_order<S: Store>(store: S) -> Result<()> {
    store.ensure(&wanted("a.a", 200)).await?;
    let mut steps = Vec::new();
    for partition in 0..200 {
        let claim = store.claim(&node("a"), &subscription("a.a", partition), LONG).await?.expect("free");
        let mut step = Checkpoint::new(claim.lease);
        step.position = Some(at(i64::from(partition) + 1));
        steps.push(step);
    }
    let mut again = steps[0].clone();
    again.position = Some(at(500));
    steps.insert(1, again);
    assert_eq!(store.checkpoint(&steps).await?, vec![true; 201]);
    let positions: Vec<i64> = store.subscriptions().await?.iter().map(|state| state.position.after).collect();
    assert_eq!(positions[0], 500, "the later step of a subscription wins");
    assert_eq!(positions[1..], (2..=200).collect::<Vec<i64>>());
    Ok(())
}

async fn an_event_is_marked_once<S: Store>(store: S) -> Result<()> {
    let lease = claimed(&store, "a.a").await?;
    let other = claimed(&store, "a.b").await?;
    let [done, failed, gone] = [(); 3].map(|()| EventId::generate());
    for (event, position) in [(done, 1), (failed, 2), (gone, 3)] {
        assert_eq!(store.claim_once(&lease, event, position).await?, OnceClaim::Fresh);
    }
    assert_eq!(store.claim_once(&other, done, 1).await?, OnceClaim::Fresh, "each handler has its own marks");
    let mut step = Checkpoint::new(lease.clone());
    step.once_done = vec![done];
    step.once_failed = vec![failed];
    store.checkpoint(&[step]).await?;
    assert_eq!(store.claim_once(&lease, done, 1).await?, OnceClaim::Done);
    assert_eq!(store.claim_once(&lease, failed, 2).await?, OnceClaim::Fresh);
    assert_eq!(store.claim_once(&lease, gone, 3).await?, OnceClaim::Interrupted);
    Ok(())
}

async fn a_mark_needs_the_lease<S: Store>(store: S) -> Result<()> {
    let lease = claimed(&store, "a.a").await?;
    store.release(&lease).await?;
    let event = EventId::generate();
    assert_eq!(store.claim_once(&lease, event, 1).await?, OnceClaim::LeaseLost);
    let mut transaction = store.begin().await?;
    assert_eq!(store.handled(S::connection(&mut transaction), &lease, &[event]).await?, None);
    store.commit(transaction).await?;
    let lease = claimed(&store, "a.a").await?;
    assert_eq!(store.claim_once(&lease, event, 1).await?, OnceClaim::Fresh, "nothing was marked");
    Ok(())
}

async fn nodes_are_known_while_they_live<S: Store>(store: S) -> Result<()> {
    let [a, b] = ["a", "b"].map(|name| Node { id: node(name), handlers: vec![format!("{name}.\"x\"")] });
    store.heartbeat(&b, LONG).await?;
    assert_eq!(store.heartbeat(&a, OVER).await?, [a.clone(), b.clone()], "itself included");
    assert_eq!(store.heartbeat(&b, LONG).await?, std::slice::from_ref(&b), "the other one is over");
    let more = Node { id: node("a"), handlers: vec!["a.x".into(), "a.y".into()] };
    assert_eq!(store.heartbeat(&more, LONG).await?, [more, b.clone()]);
    store.leave(&node("a")).await?;
    store.leave(&node("nobody")).await?;
    assert_eq!(store.heartbeat(&b, LONG).await?, [b]);
    Ok(())
}

async fn pausing_reaches_every_partition<S: Store>(store: S) -> Result<()> {
    assert!(!store.set_paused("a.a", true).await?, "there is none");
    store.ensure(&wanted("a.a", 2)).await?;
    store.ensure(&wanted("a.b", 1)).await?;
    assert!(store.set_paused("a.a", true).await?);
    let paused: Vec<bool> = store.subscriptions().await?.iter().map(|state| state.paused).collect();
    assert_eq!(paused, [true, true, false]);
    let claim = store.claim(&node("a"), &subscription("a.a", 1), LONG).await?.expect("free");
    assert!(claim.paused && claim.revision == 1);
    assert!(store.set_paused("a.a", false).await?);
    let states = store.subscriptions().await?;
    assert!(states.iter().all(|state| !state.paused));
    assert_eq!(states.iter().map(|state| state.revision).collect::<Vec<_>>(), [2, 2, 0]);
    Ok(())
}

async fn a_state_says_where_a_subscription_stands<S: Store>(store: S) -> Result<()> {
    let events: Vec<Envelope> = (0..5).map(|_| event("a")).collect();
    commit(&store, &events).await?;
    let mut step = Checkpoint::new(claimed(&store, "a.a").await?);
    step.position = Some(at(3));
    step.parked = vec![
        parked(&events[0], 1, ParkedState::Dead),
        parked(&events[1], 2, ParkedState::Waiting),
        parked(&events[2], 3, ParkedState::Retrying),
    ];
    step.dead = vec![letter("a.a", &events[0], 1, "")];
    store.checkpoint(std::slice::from_ref(&step)).await?;
    let state = state(&store).await?;
    assert_eq!((state.lag, state.parked, state.dead, state.owner), (2, 2, 1, Some(node("a"))));
    store.renew(&[step.lease], OVER).await?;
    assert_eq!(super::state(&store).await?.owner, None, "it ran out");
    Ok(())
}
