//! A log with partitions: they are there before they are needed, appending works without, and what goes goes whole.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use sqlx::Row;

use super::{super::PostgresStore, PostgresOptions, PostgresServer, fresh, fresh_with_partitions};
use crate::{
    ErrorKind,
    error::Result,
    event::Envelope,
    store::{
        DeadLetterStore, EventLog, SubscriptionStore,
        record::{Checkpoint, Lease, ParkedState, Position},
        tests::{all, at, claimed, commit, event, ids, letter, parked, versioned, wanted},
    },
};

fn later() -> DateTime<Utc> {
    Utc::now() + Duration::from_secs(60)
}

async fn partitions(store: &PostgresStore) -> Result<Vec<(i64, i64)>> {
    let mut own = store.own().await?;
    let found = store.ranges(&mut own).await?;
    Ok(found.ranges.iter().map(|range| (range.lower.max(1), range.upper)).collect())
}

async fn number(store: &PostgresStore, statement: &str) -> i64 {
    store.query(statement).fetch_one(store.pool()).await.expect("the statement is right").get(0)
}

async fn moved(store: &PostgresStore, lease: &Lease, to: Position) -> Result<()> {
    let mut step = Checkpoint::new(lease.clone());
    step.position = Some(to);
    assert_eq!(store.checkpoint(&[step]).await?, [true]);
    Ok(())
}

/// So many events, one commit and one aggregate each, with partitions made in time.
async fn filled(store: &PostgresStore, events: usize) -> Result<Vec<Envelope>> {
    let mut written = Vec::new();
    for number in 0..events {
        let event = versioned(&format!("card-{number}"), 1);
        commit(store, std::slice::from_ref(&event)).await?;
        written.push(event);
        store.keep_partitions().await?;
    }
    Ok(written)
}

/// Commits as an application does that looks after its transactions itself: the store is not told.
async fn commit_unseen(store: &PostgresStore, events: &[Envelope]) -> Result<()> {
    let mut open = store.pool().begin().await.expect("a transaction");
    store.append(&mut open, events).await?;
    open.commit().await.expect("a commit");
    Ok(())
}

#[tokio::test]
async fn partitions_are_there_before_they_are_needed() -> Result<()> {
    let store = fresh_with_partitions(10).await?;
    assert_eq!(partitions(&store).await?, [(1, 11), (11, 21)]);
    let written = filled(&store, 25).await?;
    assert_eq!(partitions(&store).await?, [(1, 11), (11, 21), (21, 31), (31, 41), (41, 51)]);
    assert_eq!(number(&store, "SELECT count(*) FROM @.event_log_rest").await, 0);
    assert_eq!(ids(&all(&store).await?), ids(&written));
    Ok(())
}

#[tokio::test]
async fn partitions_behind_every_subscription_go_and_versions_stay_guarded() -> Result<()> {
    let store = fresh_with_partitions(10).await?;
    commit(&store, &(1..=10).map(|version| versioned("a", version)).collect::<Vec<_>>()).await?;
    let rest = filled(&store, 15).await?;
    let head = store.head().await?;
    let lease = claimed(&store, "a.a").await?;
    assert_eq!(store.trim(later(), 1_000).await?, 0, "nothing is done");
    moved(&store, &lease, head.clone()).await?;
    assert_eq!(store.trim(DateTime::UNIX_EPOCH, 1_000).await?, 0, "they are young");
    assert_eq!(partitions(&store).await?[0], (1, 11));

    assert_eq!(store.trim(later(), 3).await?, 3, "a piece is gone, and there may be more");
    assert_eq!(partitions(&store).await?[0], (11, 21), "one at a time");
    assert_eq!(store.trim(later(), 1_000).await?, 10);
    assert_eq!(store.trim(later(), 1_000).await?, 0, "the last one is still written to");
    assert_eq!(ids(&all(&store).await?), ids(&rest[10..]));
    assert_eq!(store.head().await?.after, head.after);

    for stale in [1, 10, 12] {
        let error = commit(&store, &[versioned("a", stale)]).await.expect_err("a stale version");
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert!(error.to_string().contains("actual version is 10"), "{error}");
    }
    commit(&store, &[versioned("a", 11)]).await?;
    assert_eq!(store.read(&head, 10).await?.events.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_subscription_that_lags_holds_its_partition() -> Result<()> {
    let store = fresh_with_partitions(10).await?;
    let written = filled(&store, 40).await?;
    let (fast, slow) = (claimed(&store, "a.fast").await?, claimed(&store, "a.slow").await?);
    moved(&store, &fast, store.head().await?).await?;
    // In the middle of the second partition, within a window of snapshots.
    moved(&store, &slow, store.read(&Position::BEGINNING, 15).await?.end).await?;
    assert_eq!(store.trim(later(), 1_000).await?, 10);
    assert_eq!(ids(&all(&store).await?), ids(&written[10..]));
    // The same place as a number.
    moved(&store, &slow, at(19)).await?;
    assert_eq!(store.trim(later(), 1_000).await?, 0);
    moved(&store, &slow, at(20)).await?;
    assert_eq!(store.trim(later(), 1_000).await?, 10);
    store.ensure(&wanted("a.new", 1)).await?;
    assert_eq!(store.trim(later(), 1_000).await?, 0, "one that has just begun");
    Ok(())
}

#[tokio::test]
async fn a_parked_or_dead_event_holds_its_partition() -> Result<()> {
    let store = fresh_with_partitions(10).await?;
    filled(&store, 50).await?;
    let log = all(&store).await?;
    let lease = claimed(&store, "a.a").await?;
    let mut step = Checkpoint::new(lease.clone());
    step.position = Some(store.head().await?);
    step.parked = vec![parked(&log[14], 15, ParkedState::Retrying)];
    step.dead = vec![letter("a.a", &log[34], 35, "")];
    store.checkpoint(std::slice::from_ref(&step)).await?;
    assert_eq!(store.trim(later(), 1_000).await?, 30, "the first, the third and the fifth");
    assert_eq!(partitions(&store).await?[..2], [(11, 21), (31, 41)]);
    assert_eq!(store.fetch(&[15, 35]).await?, [log[14].clone(), log[34].clone()]);

    let mut settled = Checkpoint::new(lease);
    settled.settled = vec![15];
    store.checkpoint(&[settled]).await?;
    assert_eq!(store.trim(later(), 1_000).await?, 10);
    store.discard(step.dead[0].id).await?;
    assert_eq!(store.trim(later(), 1_000).await?, 10);
    assert!(all(&store).await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn an_append_needs_no_housekeeping() -> Result<()> {
    let store = fresh_with_partitions(10).await?;
    let lease = claimed(&store, "a.a").await?;
    let mut written = Vec::new();
    for round in 0..3 {
        for number in 0..40_u64 {
            let event = versioned("a", round * 40 + number + 1);
            commit_unseen(&store, std::slice::from_ref(&event)).await?;
            written.push(event);
        }
        let in_rest = number(&store, "SELECT count(*) FROM @.event_log_rest").await;
        assert!(in_rest > 0, "round {round}: nobody has made partitions");
        store.keep_partitions().await?;
        assert_eq!(number(&store, "SELECT count(*) FROM @.event_log_rest").await, 0, "round {round}");
        assert_eq!(ids(&all(&store).await?), ids(&written), "round {round}");
        // A reader goes on where it was.
        let page = store.read(&Position::BEGINNING, written.len() - 5).await?;
        assert_eq!(ids(&store.read(&page.end, 100).await?.events), ids(&written[written.len() - 5..]));
    }
    assert_eq!(store.kinds(5).await?, [("CardAdded".to_owned(), 1)]);
    // What was the rest goes like every other partition.
    moved(&store, &lease, store.head().await?).await?;
    while store.trim(later(), 1_000).await? > 0 {}
    let kept = all(&store).await?.len();
    assert!(kept < 10, "{kept} events are left, more than are in the last partition");
    assert_eq!(commit(&store, &[versioned("a", 120)]).await.expect_err("stale").kind(), ErrorKind::Conflict);
    commit(&store, &[versioned("a", 121)]).await
}

/// How many wait for a lock on the rest.
async fn waiting_at_the_rest(store: &PostgresStore) -> i64 {
    let rest = format!("{}event_log_rest", store.shared.prefix);
    let waiting = store.query("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = $1::text::regclass");
    waiting.bind(rest).fetch_one(store.pool()).await.expect("the statement is right").get(0)
}

/// One append, begun while a partition is being added, goes past all there are: it has to wait for the rest, and must find
/// its place there afterwards.
#[tokio::test]
async fn an_append_that_overtakes_the_making_of_partitions_is_not_refused() -> Result<()> {
    let mut overtaken = 0;
    // Partitions are not waited for long: on a busy machine it may be over before the append has come.
    for _ in 0..20 {
        let store = fresh_with_partitions(10).await?;
        commit_unseen(&store, &(0..5).map(|_| event("a")).collect::<Vec<_>>()).await?;
        let mut door = store.pool().begin().await.expect("a transaction");
        store.query("SELECT FROM @.event_log_rest").execute(&mut *door).await.expect("the statement is right");

        let (keeper, writer) = (store.clone(), store.clone());
        let keeping = tokio::spawn(async move { keeper.keep_partitions().await });
        while waiting_at_the_rest(&store).await < 1 && !keeping.is_finished() {}
        let many: Vec<_> = (0..30).map(|_| event("b")).collect();
        let appending = tokio::spawn(async move { commit_unseen(&writer, &many).await });
        while waiting_at_the_rest(&store).await < 2 && !keeping.is_finished() {}
        overtaken += i64::from(!keeping.is_finished());
        door.commit().await.expect("a commit");
        appending.await.expect("no panic")?;
        keeping.await.expect("no panic")?;
        assert_eq!(all(&store).await?.len(), 35);
        store.keep_partitions().await?;
        assert_eq!(all(&store).await?.len(), 35);
        if overtaken == 3 {
            return Ok(());
        }
    }
    panic!("only {overtaken} of 20 appends came while a partition was being added");
}

/// Whoever waits at the rest while its place goes to a partition is told to save again, and then has one.
#[tokio::test]
async fn an_append_whose_place_went_to_a_partition_is_told_to_save_again() -> Result<()> {
    let store = fresh_with_partitions(10).await?;
    let (_, from) = partitions(&store).await?.pop().expect("there are some");
    let mut door = store.pool().begin().await.expect("a transaction");
    store.query("LOCK TABLE @.event_log_rest IN ACCESS EXCLUSIVE MODE").execute(&mut *door).await.expect("a lock");
    let many: Vec<_> = (0..30).map(|_| event("a")).collect();
    let (writer, events) = (store.clone(), many.clone());
    let appending = tokio::spawn(async move { commit_unseen(&writer, &events).await });
    while waiting_at_the_rest(&store).await < 1 {
        assert!(!appending.is_finished(), "30 events do not fit into the partitions there are");
    }
    let attach = format!(
        "CREATE TABLE @.event_log_p{from} (LIKE @.event_log INCLUDING DEFAULTS);
         ALTER TABLE @.event_log ATTACH PARTITION @.event_log_p{from} FOR VALUES FROM ({from}) TO ({})",
        from + 1_000
    );
    sqlx::raw_sql(store.sql(&attach)).execute(&mut *door).await.expect("a partition");
    door.commit().await.expect("a commit");
    let error = appending.await.expect("no panic").expect_err("its place is gone");
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains("save again"), "{error}");
    assert_eq!(all(&store).await?.len(), 0, "nothing of it is kept");
    commit_unseen(&store, &many).await?;
    assert_eq!(all(&store).await?.len(), 30);
    Ok(())
}

#[tokio::test]
async fn a_commit_leads_to_partitions() -> Result<()> {
    let store = fresh_with_partitions(10).await?;
    commit_unseen(&store, &(0..12).map(|_| event("a")).collect::<Vec<_>>()).await?;
    let begun = Instant::now();
    while partitions(&store).await?.len() < 4 {
        assert!(begun.elapsed() < Duration::from_secs(20), "no partition was added");
        commit(&store, &[]).await?;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

#[tokio::test]
async fn a_transaction_that_is_open_holds_its_partition_and_nobody_else() -> Result<()> {
    let store = fresh_with_partitions(10).await?;
    let mut open_one = store.begin().await?;
    let late = event("late");
    store.append(&mut open_one, std::slice::from_ref(&late)).await?;
    filled(&store, 30).await?;
    let lease = claimed(&store, "a.a").await?;
    let head = store.head().await?;
    moved(&store, &lease, head.clone()).await?;
    // The lock on the whole log is not to be had either.
    assert_eq!(store.trim(later(), 1_000).await?, 0);
    commit(&store, &[event("a")]).await?;
    store.commit(open_one).await?;
    assert_eq!(store.trim(later(), 1_000).await?, 20, "all but the one it has written to");
    let page = store.read(&head, 10).await?;
    assert_eq!(page.events.len(), 2);
    assert_eq!(page.events[0].meta.id, late.meta.id);
    moved(&store, &lease, page.end).await?;
    assert_eq!(store.trim(later(), 1_000).await?, 10);
    Ok(())
}

#[tokio::test]
async fn of_two_writers_of_an_aggregate_one_loses() -> Result<()> {
    let store = fresh_with_partitions(10).await?;
    for version in [1, 2] {
        let mut first = store.begin().await?;
        store.append(&mut first, &[versioned("a", version)]).await?;
        let second = tokio::spawn({
            let store = store.clone();
            async move { commit(&store, &[versioned("b", version), versioned("a", version)]).await }
        });
        // It waits for the first, or comes after it.
        tokio::task::yield_now().await;
        store.commit(first).await?;
        let error = second.await.expect("no panic").expect_err("the version is taken");
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
        commit(&store, &[versioned("b", version)]).await?;
    }
    // One that comes too late has broken nothing in the application's transaction.
    let mut open_one = store.begin().await?;
    let error = store.append(&mut open_one, &[versioned("c", 1), versioned("a", 2)]).await.expect_err("stale");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    store.append(&mut open_one, &[versioned("c", 1), versioned("a", 3)]).await?;
    store.commit(open_one).await?;
    assert_eq!(all(&store).await?.len(), 6);
    Ok(())
}

#[tokio::test]
async fn a_log_that_has_events_can_be_given_partitions() -> Result<()> {
    let plain = fresh().await?;
    let written = [versioned("a", 1), versioned("a", 2), event("b")];
    commit(&plain, &written).await?;
    let schema = plain.shared.prefix.trim_end_matches('.');
    let script = format!("SET LOCAL search_path TO {schema}; {}", PostgresStore::partition_sql(10));
    let mut transaction = plain.pool().begin().await.expect("a transaction");
    sqlx::raw_sql(sqlx::AssertSqlSafe(script)).execute(&mut *transaction).await.expect("the script runs");
    transaction.commit().await.expect("a commit");

    let options = PostgresOptions::new().schema(plain.shared.options.schema_name());
    let store = PostgresStore::connect_with(&PostgresServer::shared().url("postgres"), options).await?;
    assert_eq!(partitions(&store).await?, [(1, 14), (14, 24)]);
    assert_eq!(ids(&all(&store).await?), ids(&written));
    assert_eq!(commit(&store, &[versioned("a", 2)]).await.expect_err("stale").kind(), ErrorKind::Conflict);
    assert_eq!(commit(&store, &written[2..]).await.expect_err("an id twice").kind(), ErrorKind::InvalidEvent);
    commit(&store, &[versioned("a", 3)]).await?;
    assert!(all(&store).await?[3].meta.position > Some(3), "positions go on");

    let processed = "SELECT count(*) FROM @.event_store WHERE processed";
    assert_eq!(number(&store, processed).await, 0);
    let lease = claimed(&store, "a.a").await?;
    moved(&store, &lease, store.head().await?).await?;
    assert_eq!(number(&store, processed).await, 4);
    Ok(())
}
