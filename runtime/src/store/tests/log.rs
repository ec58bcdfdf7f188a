//! The event log.

use std::time::Duration;

use tokio::time::timeout;

use super::*;
use crate::{ErrorKind, store::EventLog};

on_every_store![
    what_is_committed_is_read_in_order,
    a_page_says_whether_there_is_more,
    a_transaction_that_is_not_committed_leaves_nothing,
    every_field_comes_back,
    what_events_have_in_common_comes_back_as_well,
    nul_is_kept_or_refused,
    a_time_is_kept_to_the_microsecond_at_least,
    many_events_are_kept_in_their_order,
    fields_out_of_range_are_refused,
    an_id_is_appended_once,
    a_version_out_of_turn_is_a_conflict,
    versions_count_on_within_a_transaction,
    aggregates_without_versions_never_conflict,
    a_transaction_contains_what_is_committed_and_what_it_wrote,
    only_what_is_there_is_fetched,
    the_kinds_of_a_short_log_are_all_told,
    of_a_long_log_the_newest_and_a_spread_are_looked_at,
    a_commit_is_a_change,
    what_a_person_does_is_a_change,
];

async fn what_is_committed_is_read_in_order<S: Store>(store: S) -> Result<()> {
    assert_eq!(store.head().await?.after, 0);
    let (first, second, third) = (event("a"), event("b"), event("a"));
    commit(&store, &[first.clone(), second.clone()]).await?;
    commit(&store, std::slice::from_ref(&third)).await?;

    let page = store.read(&Position::BEGINNING, 10).await?;
    assert_eq!(ids(&page.events), ids([&first, &second, &third]));
    let positions: Vec<i64> = page.events.iter().filter_map(|event| event.meta.position).collect();
    assert!(positions.is_sorted() && positions[0] > 0, "{positions:?}");
    assert!(page.events.iter().all(|event| event.meta.recorded_at.is_some()));
    assert_eq!(page.resume.iter().map(|resume| resume.after).collect::<Vec<_>>(), positions);
    assert_eq!((page.end.after, store.head().await?.after), (positions[2], positions[2]));
    Ok(())
}

async fn a_page_says_whether_there_is_more<S: Store>(store: S) -> Result<()> {
    let events: Vec<Envelope> = (0..5).map(|_| event("a")).collect();
    commit(&store, &events).await?;
    let mut after = Position::BEGINNING;
    let mut seen = Vec::new();
    loop {
        let page = store.read(&after, 2).await?;
        assert!(page.events.len() <= 2);
        seen.extend(ids(&page.events));
        after = page.end;
        if !page.more {
            break;
        }
    }
    assert_eq!(seen, ids(&events));
    let empty = store.read(&after, 2).await?;
    assert!(empty.events.is_empty() && empty.resume.is_empty() && !empty.more);
    assert_eq!(empty.end, after);
    Ok(())
}

async fn a_transaction_that_is_not_committed_leaves_nothing<S: Store>(store: S) -> Result<()> {
    let mut dropped = store.begin().await?;
    store.append(S::connection(&mut dropped), &[versioned("a", 1)]).await?;
    drop(dropped);
    let mut rolled_back = store.begin().await?;
    store.append(S::connection(&mut rolled_back), &[versioned("a", 1)]).await?;
    store.rollback(rolled_back).await?;
    assert!(all(&store).await?.is_empty());
    commit(&store, &[versioned("a", 1)]).await
}

async fn every_field_comes_back<S: Store>(store: S) -> Result<()> {
    let sql = "'); DROP TABLE event_log; --";
    let mut full = versioned(&"é".repeat(127), 1);
    full.meta.occurred_at = "2026-01-31T12:00:00.123456Z".parse().expect("a time");
    full.meta.correlation_id = Some(uuid(1));
    full.meta.causation_id = Some(uuid(2));
    full.meta.trace = Some(sql.into());
    full.meta.name = sql.into();
    full.meta.aggregate_type = sql.into();
    full.meta.version = u32::MAX;
    full.payload = format!(r#"{{"b":"{sql}", "a":1e3,"a":[]}}"#).into_bytes();
    let mut short = event("1");
    short.meta.occurred_at = "0000-01-01T00:00:00Z".parse().expect("a time");
    let mut long = event(&"x".repeat(255));
    long.meta.name = "n".repeat(255).into();
    long.meta.occurred_at = "9999-12-31T23:59:59.999999Z".parse().expect("a time");
    long.payload = vec![b'7'; 1024 * 1024];

    // One statement each, then one for all.
    let written = [full, short, long];
    for event in &written {
        commit(&store, std::slice::from_ref(event)).await?;
    }
    let mut again = written.clone();
    again.iter_mut().for_each(|event| event.meta.id = EventId::generate());
    again[0].meta.aggregate_version = Some(2);
    commit(&store, &again).await?;

    for (mut read, written) in all(&store).await?.into_iter().zip(written.iter().chain(&again)) {
        read.meta.position = None;
        read.meta.recorded_at = None;
        assert_eq!(read, *written);
    }
    Ok(())
}

/// A store may write down once what is the same in all events of an append.
async fn what_events_have_in_common_comes_back_as_well<S: Store>(store: S) -> Result<()> {
    let told = |aggregate, version, correlation, trace: Option<&str>| {
        let mut event = versioned(aggregate, version);
        (event.meta.correlation_id, event.meta.causation_id) = (correlation, correlation);
        event.meta.trace = trace.map(Into::into);
        event
    };
    let mut other = told("d", 1, Some(uuid(3)), Some("x"));
    (other.meta.name, other.meta.aggregate_type, other.meta.version) = ("another".into(), "Other".into(), 7);
    let appends = [
        vec![told("a", 1, Some(uuid(1)), Some("t")), told("a", 2, Some(uuid(1)), Some("t"))],
        vec![told("a", 3, None, None), told("a", 4, None, None)],
        vec![told("b", 1, None, Some("t")), told("c", 1, Some(uuid(2)), None)],
        vec![event("e"), told("b", 2, Some(uuid(2)), None), event("e"), other],
        vec![event("e"), event("f")],
    ];
    for append in &appends {
        commit(&store, append).await?;
    }
    let read = all(&store).await?;
    assert_eq!(read.len(), appends.iter().map(Vec::len).sum::<usize>());
    for (mut read, mut written) in read.into_iter().zip(appends.into_iter().flatten()) {
        (read.meta.position, read.meta.recorded_at) = (None, None);
        // Nobody promises nanoseconds.
        written.meta.occurred_at = read.meta.occurred_at;
        assert_eq!(read, written);
    }
    Ok(())
}

async fn nul_is_kept_or_refused<S: Store>(store: S) -> Result<()> {
    let mut in_payload = event("a");
    in_payload.payload = b"{\"nul\":\"\0\"}".to_vec();
    let mut escaped = event("a");
    escaped.payload = br#"{"nul":"\u0000"}"#.to_vec();
    let mut in_type = event("a");
    in_type.meta.aggregate_type = "t\0t".into();
    for (field, written) in [("payload", in_payload), ("payload", escaped), ("aggregate_type", in_type)] {
        let before = all(&store).await?.len();
        match commit(&store, std::slice::from_ref(&written)).await {
            Ok(()) => {
                let read = all(&store).await?.pop().expect("it was committed");
                assert_eq!((&read.payload, read.meta.aggregate_type), (&written.payload, written.meta.aggregate_type));
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::InvalidEvent);
                assert!(error.to_string().contains(field), "{error}");
                assert_eq!(all(&store).await?.len(), before);
            }
        }
    }
    Ok(())
}

async fn a_time_is_kept_to_the_microsecond_at_least<S: Store>(store: S) -> Result<()> {
    let mut fine = event("a");
    fine.meta.occurred_at = "2026-01-31T12:00:00.123456789Z".parse().expect("a time");
    commit(&store, std::slice::from_ref(&fine)).await?;
    let lost = fine.meta.occurred_at - all(&store).await?[0].meta.occurred_at;
    assert!(lost >= chrono::Duration::zero() && lost < chrono::Duration::microseconds(1), "{lost}");
    Ok(())
}

async fn many_events_are_kept_in_their_order<S: Store>(store: S) -> Result<()> {
    let events: Vec<Envelope> =
        (1..=500_u64).map(|version| versioned(&format!("{}", version % 2), version.div_ceil(2))).collect();
    commit(&store, &events).await?;
    assert_eq!(ids(&all(&store).await?), ids(&events));
    Ok(())
}

async fn fields_out_of_range_are_refused<S: Store>(store: S) -> Result<()> {
    let long = "x".repeat(256);
    let mut cases = vec![("aggregate_id", event("")), ("aggregate_id", event(&long))];
    let mut case = |field, change: fn(&mut EventMeta, &str), value: &str| {
        let mut event = event("a");
        change(&mut event.meta, value);
        cases.push((field, event));
    };
    case("name", |meta, value| meta.name = value.to_owned().into(), "");
    case("name", |meta, value| meta.name = value.to_owned().into(), &long);
    case("aggregate_type", |meta, value| meta.aggregate_type = value.to_owned().into(), "");
    case("aggregate_type", |meta, value| meta.aggregate_type = value.to_owned().into(), &long);
    case("version", |meta, _| meta.version = 0, "");
    case("aggregate_version", |meta, _| meta.aggregate_version = Some(0), "");
    case("aggregate_version", |meta, _| meta.aggregate_version = Some(u64::MAX), "");
    case("occurred_at", |meta, _| meta.occurred_at = DateTime::<Utc>::MAX_UTC, "");
    for (field, bad) in cases {
        let error = commit(&store, std::slice::from_ref(&bad)).await.expect_err(field);
        assert_eq!(error.kind(), ErrorKind::InvalidEvent);
        let message = error.to_string();
        assert!(message.contains(field) && message.contains(&*bad.meta.name), "{message}");
        commit(&store, &[event("a"), bad]).await.expect_err(field);
    }
    assert!(all(&store).await?.is_empty());
    Ok(())
}

async fn an_id_is_appended_once<S: Store>(store: S) -> Result<()> {
    let known = event("a");
    commit(&store, std::slice::from_ref(&known)).await?;
    let fresh = event("b");
    for events in [vec![known.clone()], vec![fresh.clone(), known.clone()], vec![fresh.clone(), fresh.clone()]] {
        let error = commit(&store, &events).await.expect_err("an id twice");
        assert_eq!(error.kind(), ErrorKind::InvalidEvent);
        assert!(error.to_string().contains("`id`") && error.to_string().contains("CardAdded"), "{error}");
    }
    let mut transaction = store.begin().await?;
    store.append(S::connection(&mut transaction), std::slice::from_ref(&fresh)).await?;
    let twice = store.append(S::connection(&mut transaction), std::slice::from_ref(&fresh)).await;
    assert_eq!(twice.expect_err("an id twice").kind(), ErrorKind::InvalidEvent);
    Ok(())
}

async fn a_version_out_of_turn_is_a_conflict<S: Store>(store: S) -> Result<()> {
    commit(&store, &[versioned("card-1", 1), versioned("card-1", 2), versioned("card-1", 3)]).await?;
    for stale in [2, 3, 5] {
        let one = commit(&store, &[versioned("card-1", stale)]).await;
        let many = commit(&store, &[versioned("card-2", 1), versioned("card-1", stale)]).await;
        for error in [one.expect_err("a stale version"), many.expect_err("a stale version")] {
            assert_eq!(error.kind(), ErrorKind::Conflict);
            let message = error.to_string();
            let versions = [format!("expected version {}", stale - 1), "actual version is 3".into()];
            assert!(versions.iter().all(|version| message.contains(version)), "{message}");
            assert!(message.contains("Card `card-1`"), "{message}");
        }
    }
    assert_eq!(commit(&store, &[versioned("new", 2)]).await.expect_err("not the first").kind(), ErrorKind::Conflict);
    commit(&store, &[versioned("card-1", 4)]).await
}

async fn versions_count_on_within_a_transaction<S: Store>(store: S) -> Result<()> {
    let mut transaction = store.begin().await?;
    store.append(S::connection(&mut transaction), &[versioned("a", 1)]).await?;
    store.append(S::connection(&mut transaction), &[versioned("a", 2), versioned("a", 3)]).await?;
    let stale = store.append(S::connection(&mut transaction), &[versioned("a", 3)]).await;
    assert_eq!(stale.expect_err("a stale version").kind(), ErrorKind::Conflict);
    Ok(())
}

async fn aggregates_without_versions_never_conflict<S: Store>(store: S) -> Result<()> {
    for _ in 0..2 {
        commit(&store, &[event("a"), event("a")]).await?;
        commit(&store, &[event("a")]).await?;
    }
    assert_eq!(all(&store).await?.len(), 6);
    Ok(())
}

async fn a_transaction_contains_what_is_committed_and_what_it_wrote<S: Store>(store: S) -> Result<()> {
    let (committed, own, unknown) = (event("a"), event("a"), event("a"));
    commit(&store, std::slice::from_ref(&committed)).await?;
    let mut transaction = store.begin().await?;
    let connection = S::connection(&mut transaction);
    store.append(connection, std::slice::from_ref(&own)).await?;
    let found = store.contains(connection, &ids([&unknown, &own, &committed])).await?;
    assert_eq!(found, ids([&own, &committed]));
    assert!(store.contains(connection, &[]).await?.is_empty());
    Ok(())
}

async fn only_what_is_there_is_fetched<S: Store>(store: S) -> Result<()> {
    commit(&store, &[event("a"), event("b"), event("c")]).await?;
    let log = all(&store).await?;
    let positions: Vec<i64> = log.iter().filter_map(|event| event.meta.position).collect();
    assert_eq!(store.fetch(&[positions[2], 4711, positions[0]]).await?, [log[2].clone(), log[0].clone()]);
    assert!(store.fetch(&[]).await?.is_empty());
    Ok(())
}

/// Whether there is a change to be told of within a second; a store has 250 ms.
async fn is_changed(store: &impl EventLog, seen: &mut i64) -> Result<bool> {
    match timeout(Duration::from_secs(1), store.changed(seen)).await {
        Ok(changed) => changed.map(|()| true),
        Err(_) => Ok(false),
    }
}

fn of_kind(name: &str, version: u32) -> Envelope {
    let mut event = event("a");
    event.meta.name = name.to_owned().into();
    event.meta.version = version;
    event
}

async fn the_kinds_of_a_short_log_are_all_told<S: Store>(store: S) -> Result<()> {
    assert!(store.kinds(10).await?.is_empty());
    let kinds = [("b", 1), ("a", 2), ("a", 1), ("b", 1), ("c", 7), ("a", 2), ("a", 1)];
    let events: Vec<_> = kinds.iter().map(|(name, version)| of_kind(name, *version)).collect();
    commit(&store, &events).await?;
    let mut found = store.kinds(10).await?;
    found.sort();
    let found: Vec<_> = found.iter().map(|(name, version)| (&**name, *version)).collect();
    assert_eq!(found, [("a", 1), ("a", 2), ("b", 1), ("c", 7)]);
    Ok(())
}

async fn of_a_long_log_the_newest_and_a_spread_are_looked_at<S: Store>(store: S) -> Result<()> {
    // Positions 1 to 1000: the spread of ten takes every hundredth, from the first.
    let mut events: Vec<_> = (1..=1000).map(|_| of_kind("usual", 1)).collect();
    for (position, name) in [(1, "first"), (501, "on the way"), (551, "between"), (995, "new"), (1000, "newest")] {
        events[position - 1] = of_kind(name, 1);
    }
    commit(&store, &events).await?;
    let names = async |limit| -> Result<Vec<String>> {
        let mut names: Vec<_> = store.kinds(limit).await?.into_iter().map(|(name, _)| name).collect();
        names.sort();
        Ok(names)
    };
    // Not "between": who finds it has looked at more than it may cost.
    assert_eq!(names(10).await?, ["first", "new", "newest", "on the way", "usual"]);
    assert_eq!(names(1).await?, ["first", "newest"]);
    if store.capabilities().retains_pieces {
        return Ok(());
    }

    // What retention has removed is not in the way: its place is taken by what comes next.
    let lease = claimed(&store, "a.a").await?;
    let mut step = Checkpoint::new(lease);
    step.position = Some(at(550));
    store.checkpoint(&[step]).await?;
    assert_eq!(store.trim(Utc::now() + Duration::from_secs(60), 1_000).await?, 550);
    assert_eq!(names(1).await?, ["between", "newest"]);
    Ok(())
}

async fn a_commit_is_a_change<S: Store>(store: S) -> Result<()> {
    let mut seen = 0;
    assert!(is_changed(&store, &mut seen).await?, "the first look");
    commit(&store, &[event("a")]).await?;
    assert!(is_changed(&store, &mut seen).await?, "a commit before the look");
    let late = [event("a")];
    let (waited, committed) = tokio::join!(is_changed(&store, &mut seen), commit(&store, &late));
    committed?;
    assert!(waited?, "a commit during the look");
    let mut other = 0;
    assert!(is_changed(&store, &mut other).await?, "another one that looks");
    assert!(timeout(Duration::from_millis(50), store.changed(&mut other)).await.is_err(), "nothing has changed");
    Ok(())
}

async fn what_a_person_does_is_a_change<S: Store>(store: S) -> Result<()> {
    let lease = claimed(&store, "feeds.a").await?;
    let mut step = Checkpoint::new(lease);
    step.dead = vec![letter("feeds.a", &event("a"), 1, ""), letter("feeds.a", &event("a"), 2, "")];
    store.checkpoint(std::slice::from_ref(&step)).await?;
    let mut seen = 0;
    assert!(is_changed(&store, &mut seen).await?);
    store.set_paused("feeds.a", true).await?;
    assert!(is_changed(&store, &mut seen).await?, "paused");
    store.redrive(step.dead[0].id).await?;
    assert!(is_changed(&store, &mut seen).await?, "redriven");
    store.discard(step.dead[1].id).await?;
    assert!(is_changed(&store, &mut seen).await?, "discarded");
    Ok(())
}
