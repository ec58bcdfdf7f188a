//! What only this store can show: several transactions open for writing at a time.

use super::*;
use crate::{
    ErrorKind, Result,
    store::{
        DeadLetterStore, EventLog, SubscriptionStore,
        record::OnceClaim,
        tests::{LONG, OVER, all, claim, commit, event, ids, uuid, versioned, wanted},
    },
};

#[tokio::test]
async fn the_order_is_that_of_the_commits() -> Result<()> {
    let store = MemoryStore::new();
    let (early, late) = (event("a"), event("b"));
    let (mut first, mut second) = (store.begin().await?, store.begin().await?);
    store.append(MemoryStore::connection(&mut first), std::slice::from_ref(&late)).await?;
    store.append(MemoryStore::connection(&mut second), std::slice::from_ref(&early)).await?;
    store.commit(second).await?;
    let page = store.read(&crate::store::record::Position::BEGINNING, 10).await?;
    assert_eq!(ids(&page.events), ids([&early]), "what stays open delays nobody");
    store.commit(first).await?;
    let next = store.read(&page.end, 10).await?;
    assert_eq!(ids(&next.events), ids([&late]), "and is not skipped");
    Ok(())
}

#[tokio::test]
async fn of_two_writers_of_one_aggregate_the_second_to_commit_loses() -> Result<()> {
    let store = MemoryStore::new();
    commit(&store, &[versioned("card-1", 1)]).await?;
    let (mut first, mut second) = (store.begin().await?, store.begin().await?);
    store.append(MemoryStore::connection(&mut first), &[event("b"), versioned("card-1", 2)]).await?;
    store.append(MemoryStore::connection(&mut second), &[event("c"), versioned("card-1", 2)]).await?;
    store.commit(first).await?;
    let error = store.commit(second).await.expect_err("a stale version");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let message = error.to_string();
    assert!(message.contains("expected version 1") && message.contains("actual version is 2"), "{message}");
    assert_eq!(all(&store).await?.len(), 3, "nothing of the second is written");
    Ok(())
}

#[tokio::test]
async fn a_handler_whose_lease_was_taken_can_not_commit() -> Result<()> {
    let store = MemoryStore::new();
    store.ensure(&wanted("a.a", 1)).await?;
    let over = claim(&store, "a", "a.a", OVER).await?.expect("free").lease;
    let event = uuid(7).into();
    let mut transaction = store.begin().await?;
    let connection = MemoryStore::connection(&mut transaction);
    assert_eq!(store.handled(connection, &over, &[event]).await?, Some(vec![]));
    store.mark_handled(connection, &over, &[(event, 1)]).await?;
    let lease = claim(&store, "b", "a.a", LONG).await?.expect("ran out").lease;
    assert_eq!(store.commit(transaction).await.expect_err("lost").kind(), ErrorKind::Conflict);
    assert_eq!(store.claim_once(&lease, event, 1).await?, OnceClaim::Fresh);
    Ok(())
}

#[tokio::test]
async fn clones_are_one_store() -> Result<()> {
    let store = MemoryStore::new();
    let clone = store.clone();
    commit(&store, &[event("a")]).await?;
    assert_eq!(all(&clone).await?, all(&store).await?);
    assert_eq!(format!("{clone:?}"), "MemoryStore { events: 1, .. }");
    Ok(())
}
