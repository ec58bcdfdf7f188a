//! Who hears of a commit, and when; and what a store does behind a proxy.

use std::time::Duration;

use sqlx::postgres::PgListener;
use tokio::time::timeout;

use super::{super::PostgresOptions, open};
use crate::{
    error::Result,
    store::{
        EventLog,
        record::Position,
        tests::{all, commit, event, ids},
    },
};

fn options() -> PostgresOptions {
    PostgresOptions::new().schema(format!("wake_{}", uuid::Uuid::now_v7().simple()))
}

/// Whether another handle hears of a commit in time.
async fn is_heard(options: PostgresOptions, within: Duration) -> Result<bool> {
    let (one, other) = (open(options.clone()).await?, open(options).await?);
    let mut seen = 0;
    other.changed(&mut seen).await?;
    // It listens now, and has looked once because of that.
    let _ = timeout(Duration::from_millis(600), other.changed(&mut seen)).await;
    let waiting = tokio::spawn(async move { timeout(within, other.changed(&mut seen)).await.is_ok() });
    tokio::time::sleep(Duration::from_millis(300)).await;
    commit(&one, &[event("a")]).await?;
    Ok(waiting.await.expect("no panic"))
}

#[tokio::test]
async fn another_process_hears_of_a_commit_by_a_message() -> Result<()> {
    assert!(is_heard(options(), Duration::from_secs(10)).await?);
    Ok(())
}

/// Also of those that follow too soon for a message each: the next one tells of them.
#[tokio::test]
async fn every_commit_is_followed_by_a_message() -> Result<()> {
    let store = open(options()).await?;
    let mut listener = PgListener::connect_with(store.pool()).await.expect("a connection");
    listener.listen(&store.shared.wake.channel).await.expect("it listens");
    for _ in 0..20 {
        commit(&store, &[event("a")]).await?;
        let told = timeout(Duration::from_secs(10), listener.recv()).await;
        told.expect("a message in time").expect("a message");
    }
    Ok(())
}

#[tokio::test]
async fn without_messages_polling_finds_it() -> Result<()> {
    assert!(is_heard(options().notifications(false), Duration::from_secs(10)).await?);
    Ok(())
}

#[tokio::test]
async fn a_late_commit_is_a_change_though_its_position_is_old() -> Result<()> {
    let store = open(options().notifications(false)).await?;
    let mut late = store.begin().await?;
    store.append(&mut late, &[event("late")]).await?;
    commit(&store, &[event("a")]).await?;
    let mut seen = 0;
    store.changed(&mut seen).await?;
    assert!(timeout(Duration::from_millis(300), store.changed(&mut seen)).await.is_err(), "nothing has changed");
    // Not by the store, which would tell.
    late.commit().await.expect("it commits");
    timeout(Duration::from_secs(10), store.changed(&mut seen)).await.expect("a change")
}

#[tokio::test]
async fn nothing_is_left_in_a_session_behind_a_proxy() -> Result<()> {
    let options = options().transaction_pooling();
    let store = open(options).await?;
    let events: Vec<_> = (0..20).map(|_| event("a")).collect();
    for event in &events {
        commit(&store, std::slice::from_ref(event)).await?;
    }
    assert_eq!(ids(&all(&store).await?), ids(&events));
    let mut own = store.shared.own.acquire().await.expect("a connection");
    let prepared: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_prepared_statements WHERE name <> ''")
        .persistent(false)
        .fetch_one(&mut *own)
        .await
        .expect("the server answers");
    assert_eq!(prepared, 0);
    Ok(())
}

/// What a connection of the store's own is told when it begins, a transaction behind a proxy is told each time.
#[tokio::test]
async fn the_planner_is_told_the_same_behind_a_proxy() -> Result<()> {
    const PLANNER: &str = "SELECT current_setting('jit') || ' ' || current_setting('enable_seqscan')";
    for options in [options(), options().transaction_pooling()] {
        let store = open(options).await?;
        let mut own = store.own().await?;
        let planner = sqlx::query_scalar::<_, String>(PLANNER).persistent(false).fetch_one(&mut *own).await;
        assert_eq!(planner.expect("the server answers"), "off off");
    }
    Ok(())
}

/// A checkpoint's relaxed durability ends with it: the next transaction of the session is durable again.
#[tokio::test]
async fn a_relaxed_commit_relaxes_no_other() -> Result<()> {
    let store = open(options().own_connections(1)).await?;
    let lease = crate::store::tests::claimed(&store, "a.a").await?;
    let mut step = crate::store::record::Checkpoint::new(lease);
    step.position = Some(Position { after: 1, window: None });
    crate::store::SubscriptionStore::checkpoint(&store, &[step]).await?;
    let mut own = store.shared.own.acquire().await.expect("a connection");
    let level: String = sqlx::query_scalar("SELECT current_setting('synchronous_commit')")
        .fetch_one(&mut *own)
        .await
        .expect("the server answers");
    assert_eq!(level, "on");
    Ok(())
}
