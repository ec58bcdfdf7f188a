//! 100 and 1,000 events of one aggregate in one transaction, against one INSERT that selects from `unnest`.

use std::time::Instant;

use domain_events::{DomainEvents, PostgresStore, testkit::conformance::PostgresServer};
use domain_events_bench::{Card, compare_turns};
use tokio::runtime::Runtime;

use crate::{append, database, plain};

/// Of 100 events each; of 1,000, a tenth of it.
const TURNS: usize = 400;

async fn append(events: &DomainEvents<PostgresStore>, count: usize) {
    let mut card = Card::new(append::next_card());
    (0..count).for_each(|_| card.add_to_library());
    let mut work = events.begin().await.expect("a unit of work");
    work.record(&mut card);
    work.commit().await.expect("a commit");
}

pub fn measure(runtime: &Runtime, server: &PostgresServer) {
    let (base, url) = (database(server, "batch_plain"), database(server, "batch"));
    let (pool, events) = runtime.block_on(async { (plain::pool(&base).await, append::ours(&url).await) });
    for batch in [100, 1_000] {
        compare_turns(
            &format!("append {batch} events (PostgreSQL)"),
            "<= 1.11",
            TURNS * 100 / batch,
            ("one INSERT of unnest", || {
                let started = Instant::now();
                runtime.block_on(plain::append_many(&pool, &append::next_card(), batch));
                started.elapsed()
            }),
            ("domain-events append", || {
                let started = Instant::now();
                runtime.block_on(append(&events, batch));
                started.elapsed()
            }),
        );
        runtime.block_on(async {
            for (pool, log) in [(&pool, "event"), (events.store().pool(), "event_log")] {
                let broken: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(format!(
                    "SELECT count(*)
                       FROM (SELECT count(*) AS events, bool_and(payload ->> 'card_id' = aggregate_id) AS right
                               FROM {log} GROUP BY aggregate_id) batch
                      WHERE events <> {batch} OR NOT batch.right"
                )))
                .fetch_one(pool)
                .await
                .expect("rows");
                assert_eq!(broken, 0, "all events of each batch are in {log}");
                sqlx::query(sqlx::AssertSqlSafe(format!("TRUNCATE {log}"))).execute(pool).await.expect("DDL");
            }
        });
    }
}
