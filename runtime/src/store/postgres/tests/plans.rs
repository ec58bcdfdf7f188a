//! What the server reads for what it is asked: it plans statements when it knows least of the log, and keeps the plans.

use super::{super::PostgresOptions, open};
use crate::{
    error::{Error, Result},
    store::{
        EventLog, SubscriptionStore,
        record::{NewSubscription, Position, StartAt},
        tests::{commit, event, wanted},
    },
};

const BEFORE: usize = 2_000;
const AFTER: usize = 20;

#[tokio::test]
async fn what_is_new_is_found_without_reading_what_is_old_in_a_log_that_was_empty() -> Result<()> {
    let schema = format!("plans_{}", uuid::Uuid::now_v7().simple());
    let store = open(PostgresOptions::new().schema(schema).connections(1).notifications(false)).await?;
    // It is not looked at for statistics: what the server learns of a log comes late.
    let unanalyzed = store.sql("ALTER TABLE @.event_log SET (autovacuum_enabled = off)");
    sqlx::raw_sql(unanalyzed).execute(store.pool()).await.expect("an answer");
    // How many entries of the index the store's own connections have read, when all of them have told.
    let read = async || {
        let pool = &store.shared.own;
        let mut own = Vec::new();
        while own.len() < pool.options().get_max_connections() as usize {
            own.push(pool.acquire().await.expect("a connection"));
        }
        for own in &mut own {
            sqlx::raw_sql("SELECT pg_stat_force_next_flush()").execute(&mut **own).await.expect("an answer");
        }
        let entries = store.sql("SELECT pg_stat_get_tuples_returned(to_regclass('@.event_log_tx'))");
        sqlx::query_scalar::<_, i64>(entries).fetch_one(&mut *own[0]).await.expect("an answer")
    };
    let [wanted]: [NewSubscription; 1] = wanted("a", 1).try_into().expect("one partition");
    store.ensure(&[NewSubscription { start: StartAt::Head, ..wanted }]).await?;

    let (mut place, mut seen) = (store.head().await?, 0);
    let is_told = async |place: &mut Position, seen: &mut i64| {
        commit(&store, &[event("new")]).await?;
        store.changed(seen).await?;
        let page = store.read(place, 100).await?;
        assert_eq!(page.events.len(), 1, "the new event");
        *place = page.end;
        assert_eq!(store.glance().await?.len(), 1);
        Ok::<_, Error>(())
    };

    // After five times a statement has its lasting plan.
    for _ in 0..10 {
        is_told(&mut place, &mut seen).await?;
    }
    let old: Vec<_> = (0..BEFORE).map(|number| event(&format!("card-{number}"))).collect();
    commit(&store, &old).await?;
    loop {
        let page = store.read(&place, 1_000).await?;
        place = page.end;
        if page.events.is_empty() {
            break;
        }
    }
    let before = read().await;
    for _ in 0..AFTER {
        is_told(&mut place, &mut seen).await?;
    }
    let entries = read().await - before;
    assert!(entries < 10 * AFTER as i64, "{entries} entries of the index were read for {AFTER} new events");
    Ok(())
}
