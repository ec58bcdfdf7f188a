//! Rows that another program wrote: they come out as they are, and stop nothing.

use chrono::{DateTime, Utc};

use super::*;
use crate::store::{
    DeadLetterStore, EventLog, SubscriptionStore,
    record::Checkpoint,
    tests::{all, claimed, commit, event, letter},
};

/// A log with one row of another program, between two of this one's.
async fn with_row(columns: &str, values: &str) -> Result<(SqliteStore, crate::event::Envelope)> {
    let store = SqliteStore::in_memory().await?;
    commit(&store, &[event("a")]).await?;
    sqlx::query(sqlx::AssertSqlSafe(format!("INSERT INTO event_log ({columns}) VALUES ({values})")))
        .execute(store.pool())
        .await
        .expect(values);
    commit(&store, &[event("a")]).await?;
    let mut log = all(&store).await?;
    assert_eq!(log.len(), 3);
    Ok((store, log.remove(1)))
}

const COLUMNS: &str = "id, aggregate_type, aggregate_id, event_name, event_version, occurred_at, payload";
const ID: &str = "'0197a2b3-0000-7000-8000-000000000001'";
const TIME: &str = "'2026-01-31T12:00:00+02:00'";

#[tokio::test]
async fn a_row_needs_no_more_than_an_event() -> Result<()> {
    let (_, event) = with_row(COLUMNS, &format!("{ID}, 'Card', 'a', 'CardAdded', 2, {TIME}, '{{}}'")).await?;
    assert_eq!(event.meta.version, 2);
    assert_eq!(event.meta.occurred_at, "2026-01-31T10:00:00Z".parse::<DateTime<Utc>>().expect("a time"));
    let recorded = event.meta.recorded_at.expect("the log says when");
    assert!((Utc::now() - recorded).num_seconds().abs() < 60, "{recorded}");
    assert_eq!(event.payload, b"{}");
    Ok(())
}

#[tokio::test]
async fn a_payload_comes_out_as_it_is() -> Result<()> {
    for (sql, bytes) in
        [("x'ff00fe'", &[0xff, 0, 0xfe][..]), ("42", b"42"), ("'no json'", b"no json"), ("''", b""), ("x''", b"")]
    {
        let (_, event) = with_row(COLUMNS, &format!("{ID}, 'Card', 'a', 'CardAdded', 1, {TIME}, {sql}")).await?;
        assert_eq!(event.payload, bytes, "{sql}");
        assert_eq!(event.meta.version, 1, "the rest of the row is sound");
    }
    Ok(())
}

#[tokio::test]
async fn an_unreadable_row_has_version_0_and_keeps_its_payload() -> Result<()> {
    let not_utf8 = "CAST(x'ff' AS TEXT)";
    for values in [
        format!("'17', 'Card', 'a', 'CardAdded', 1, {TIME}, x'ff'"),
        format!("{ID}, 'Card', 'a', 'CardAdded', 1, 'yesterday', x'ff'"),
        format!("{ID}, 'Card', 'a', 'CardAdded', -1, {TIME}, x'ff'"),
        format!("{ID}, 'Card', 'a', 'CardAdded', 99999999999, {TIME}, x'ff'"),
        format!("{ID}, {not_utf8}, 'a', 'CardAdded', 1, {TIME}, x'ff'"),
        format!("{ID}, 'Card', {not_utf8}, 'CardAdded', 1, {TIME}, x'ff'"),
        format!("{ID}, 'Card', 'a', {not_utf8}, 1, {TIME}, x'ff'"),
    ] {
        let (store, junk) = with_row(COLUMNS, &values).await?;
        assert_eq!((junk.meta.version, junk.meta.position), (0, Some(2)), "{values}");
        assert_eq!(junk.payload, [0xff]);
        let kinds = store.kinds(10).await?;
        assert!(kinds.iter().any(|(name, _)| *name == *junk.meta.name), "{values}: {kinds:?}");

        // It can be parked, buried and looked at like any other.
        let mut step = Checkpoint::new(claimed(&store, "a.a").await?);
        step.dead = vec![letter("a.a", &junk, 2, "2026-01-01T00:00:00Z")];
        assert_eq!(store.checkpoint(std::slice::from_ref(&step)).await?, [true]);
        assert_eq!(store.dead_letters(None, 10).await?, step.dead);
        assert!(store.redrive(step.dead[0].id).await?);
        assert_eq!(store.parked("a.a", 10).await?[0].event, junk.meta.id);
    }
    Ok(())
}

#[tokio::test]
async fn unreadable_ids_stay_different() -> Result<()> {
    let (store, first) = with_row(COLUMNS, &format!("'17', 'Card', 'a', 'CardAdded', 1, {TIME}, '{{}}'")).await?;
    sqlx::query(sqlx::AssertSqlSafe(format!(
        "INSERT INTO event_log ({COLUMNS}) VALUES ('18', 'Card', 'a', 'CardAdded', 1, {TIME}, '{{}}')"
    )))
    .execute(store.pool())
    .await
    .expect("a row");
    let second = all(&store).await?.pop().expect("the last row");
    assert_ne!(first.meta.id, second.meta.id);
    Ok(())
}

#[tokio::test]
async fn what_is_optional_counts_as_missing() -> Result<()> {
    let columns = format!("{COLUMNS}, aggregate_version, correlation_id, causation_id, trace, recorded_at");
    let values = format!(
        "{ID}, 'Card', 'a', 'CardAdded', 1, {TIME}, '{{}}', -3, 'request 7', '', CAST(x'ff' AS TEXT), 'yesterday'"
    );
    let (_, event) = with_row(&columns, &values).await?;
    let meta = event.meta;
    assert_eq!((meta.aggregate_version, meta.correlation_id, meta.causation_id, meta.trace), (None, None, None, None));
    assert_eq!((meta.version, meta.recorded_at), (1, Some(DateTime::UNIX_EPOCH)));
    Ok(())
}
