//! Transactions that begin on a connection which has broken meanwhile, and such as nobody waits for any more.

use futures_util::FutureExt;
use sqlx::{PgPool, Row};

use super::{
    super::{PostgresOptions, PostgresStore},
    PostgresServer, open,
};
use crate::{
    error::Result,
    store::{
        EventLog,
        tests::{all, commit, event},
    },
};

async fn store(connections: u32) -> Result<PostgresStore> {
    let schema = format!("begin_{}", uuid::Uuid::now_v7().simple());
    open(PostgresOptions::new().schema(schema).connections(connections).notifications(false)).await
}

/// All connections are made, and have been given back.
async fn filled(store: &PostgresStore, connections: usize) -> Result<Vec<i32>> {
    let mut transactions = Vec::new();
    let mut processes = Vec::new();
    for _ in 0..connections {
        let mut transaction = store.begin().await?;
        let row = sqlx::query("SELECT pg_backend_pid()").fetch_one(&mut *transaction).await.expect("an answer");
        processes.push(row.get(0));
        transactions.push(transaction);
    }
    drop(transactions);
    while store.pool().num_idle() < connections {
        tokio::task::yield_now().await;
    }
    Ok(processes)
}

#[tokio::test]
async fn connections_that_broke_while_they_were_idle_are_replaced() -> Result<()> {
    let store = store(4).await?;
    let processes = filled(&store, 4).await?;
    let axe = PgPool::connect(&PostgresServer::shared().url("postgres")).await.expect("a server");
    let (end, left) = (
        "SELECT count(pg_terminate_backend(pid)) FROM unnest($1::int[]) pid",
        "SELECT count(*) FROM pg_stat_activity WHERE pid = ANY ($1)",
    );
    let count = async |statement| {
        sqlx::query_scalar::<_, i64>(statement).bind(&processes).fetch_one(&axe).await.expect("an answer")
    };
    assert_eq!(count(end).await, 4);
    while count(left).await > 0 {}
    commit(&store, &[event("a")]).await?;
    assert_eq!(all(&store).await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_begin_that_nobody_waits_for_leaves_no_transaction_open() -> Result<()> {
    let store = store(1).await?;
    // It sends BEGIN, and is dropped while it waits for the answer: sometimes that is here at once.
    loop {
        filled(&store, 1).await?;
        let mut begin = Box::pin(store.begin());
        if begin.as_mut().now_or_never().is_none() {
            break;
        }
    }
    // A statement for itself, on the same connection: it is committed with its answer.
    let note = store.sql("INSERT INTO @.event_meta (key, value) VALUES ('note', 7)");
    sqlx::raw_sql(note).execute(store.pool()).await.expect("it is written");
    let mut own = store.own().await?;
    let found = store.query("SELECT value FROM @.event_meta WHERE key = 'note'").fetch_optional(&mut *own).await;
    assert_eq!(found.expect("an answer").map(|row| row.get::<i64, _>(0)), Some(7));
    Ok(())
}
