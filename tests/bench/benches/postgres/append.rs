//! One event beside one business row in one transaction, by 1, 8 and 16 writers, against the same two plain INSERTs.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use domain_events::{DomainEvents, PostgresStore, testkit::conformance::PostgresServer};
use domain_events_bench::{Card, compare_turns};
use sqlx::PgPool;
use tokio::{runtime::Runtime, task::JoinSet};

use crate::{database, open, plain};

/// A turn has so many commits of each writer, so that all of them write most of the time.
const COMMITS: u64 = 20;

/// Of one writer; more take longer for each.
const TURNS: usize = 240;

static NEXT: AtomicU64 = AtomicU64::new(0);

pub fn next_card() -> String {
    format!("card-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Some writers share a number of commits.
async fn share<F>(writers: u64, commits: u64, one: impl Fn() -> F + Clone + Send + 'static) -> Duration
where
    F: Future<Output = ()> + Send,
{
    let left = Arc::new(AtomicU64::new(commits));
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..writers {
        let (left, one) = (Arc::clone(&left), one.clone());
        tasks.spawn(async move {
            while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
                one().await;
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.expect("a writer ends");
    }
    started.elapsed()
}

async fn append(events: DomainEvents<PostgresStore>) {
    let id = next_card();
    let mut card = Card::new(id.clone());
    card.add_to_library();
    let mut work = events.begin().await.expect("a unit of work");
    sqlx::query(plain::CARD).bind(&id).bind(plain::URL).execute(work.connection()).await.expect("a row");
    work.record(&mut card);
    work.commit().await.expect("a commit");
}

async fn append_plain(pool: PgPool) {
    plain::append_one(&pool, &next_card()).await;
}

pub async fn ours(url: &str) -> DomainEvents<PostgresStore> {
    let store = open(url).await;
    sqlx::query(plain::CARD_TABLE).execute(store.pool()).await.expect("DDL");
    DomainEvents::builder().without_linked().store(store).build().expect("no wiring to get wrong")
}

pub fn measure(runtime: &Runtime, server: &PostgresServer) {
    let (base, url) = (database(server, "append_plain"), database(server, "append"));
    let (pool, events) = runtime.block_on(async { (plain::pool(&base).await, ours(&url).await) });
    for writers in [1, 8, 16] {
        compare_turns(
            &format!("{COMMITS} times one event beside one row, {writers} writers (PostgreSQL)"),
            "<= 1.05",
            TURNS / writers as usize,
            ("plain INSERTs", || {
                let pool = pool.clone();
                runtime.block_on(share(writers, COMMITS * writers, move || append_plain(pool.clone())))
            }),
            ("domain-events append", || {
                let events = events.clone();
                runtime.block_on(share(writers, COMMITS * writers, move || append(events.clone())))
            }),
        );
    }
    runtime.block_on(async {
        for (pool, log) in [(&pool, "event"), (events.store().pool(), "event_log")] {
            let lost: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(format!(
                "SELECT count(*) FROM card FULL JOIN {log} ON aggregate_id = card.id AND payload ->> 'card_id' = card.id
                  WHERE card.id IS NULL OR aggregate_id IS NULL"
            )))
            .fetch_one(pool)
            .await
            .expect("rows");
            assert_eq!(lost, 0, "one event for each card in {log}");
        }
    });
}
