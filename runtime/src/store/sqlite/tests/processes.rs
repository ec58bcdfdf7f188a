//! Several processes on one file, and the application's own connections to it.

use sqlx::Connection;

use super::*;
use crate::{
    ErrorKind,
    store::{
        DeadLetterStore, EventLog, SubscriptionStore,
        record::{Checkpoint, Position},
        tests::{LONG, OVER, all, at, claim, claimed, commit, event, ids, state, uuid, versioned, wanted},
    },
};

#[tokio::test]
async fn a_commit_of_another_process_is_a_change() -> Result<()> {
    let folder = Folder::new();
    let (here, there) = (SqliteStore::open(folder.file()).await?, SqliteStore::open(folder.file()).await?);
    let mut seen = 0;
    here.changed(&mut seen).await?;
    let events = [event("a")];
    let both = async { tokio::join!(here.changed(&mut seen), commit(&there, &events)) };
    let (changed, committed) =
        tokio::time::timeout(Duration::from_millis(1_000), both).await.expect("a store has 250 ms");
    committed?;
    changed?;
    assert_eq!(ids(&all(&here).await?), ids(&events));
    Ok(())
}

#[tokio::test]
async fn leases_and_checkpoints_are_no_change() -> Result<()> {
    let folder = Folder::new();
    let (here, there) = (SqliteStore::open(folder.file()).await?, SqliteStore::open(folder.file()).await?);
    there.ensure(&wanted("a.a", 1)).await?;
    let mut seen = 0;
    here.changed(&mut seen).await?;
    let mut step = Checkpoint::new(claimed(&there, "a.a").await?);
    step.position = Some(at(1));
    there.checkpoint(&[step]).await?;
    assert!(tokio::time::timeout(Duration::from_millis(100), here.changed(&mut seen)).await.is_err());
    Ok(())
}

#[tokio::test]
async fn the_second_writer_waits_and_then_loses() -> Result<()> {
    let folder = Folder::new();
    let (here, there) = (SqliteStore::open(folder.file()).await?, impatient(&folder.file()).await?);
    let mut transaction = here.begin().await?;
    here.append(&mut transaction, &[versioned("card-1", 1)]).await?;
    let error = there.begin().await.expect_err("the lock is taken");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.is_temporary() && error.to_string().contains("busy timeout"), "{error}");
    assert!(all(&there).await?.is_empty(), "readers don't wait, and see only what is committed");
    here.commit(transaction).await?;
    let error = commit(&there, &[versioned("card-1", 1)]).await.expect_err("a stale version");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    Ok(())
}

#[tokio::test]
async fn a_frozen_holder_that_wakes_is_fenced() -> Result<()> {
    let folder = Folder::new();
    let (here, there) = (SqliteStore::open(folder.file()).await?, SqliteStore::open(folder.file()).await?);
    here.ensure(&wanted("a.a", 1)).await?;
    let frozen = claim(&here, "here", "a.a", OVER).await?.expect("free").lease;
    let taken = claim(&there, "there", "a.a", LONG).await?.expect("ran out");
    assert_eq!(taken.crashes, 1);
    let mut step = Checkpoint::new(frozen.clone());
    step.position = Some(at(9));
    assert_eq!(here.checkpoint(&[step]).await?, [false]);
    assert!(!here.renew(&[frozen], LONG).await?[0].held);
    assert_eq!(state(&here).await?.position, Position::BEGINNING);
    Ok(())
}

#[tokio::test]
async fn a_mark_keeps_other_holders_out_until_it_commits() -> Result<()> {
    let folder = Folder::new();
    let (here, there) = (SqliteStore::open(folder.file()).await?, impatient(&folder.file()).await?);
    here.ensure(&wanted("a.a", 1)).await?;
    let over = claim(&here, "here", "a.a", OVER).await?.expect("free").lease;

    // A connection of the application, with a transaction that takes the lock only when it first writes.
    let mut connection = foreign(&folder.file()).await;
    let mut transaction = connection.begin().await.expect("begun");
    let event = uuid(7).into();
    assert_eq!(here.handled(&mut transaction, &over, &[event]).await?, Some(vec![]));
    here.mark_handled(&mut transaction, &over, &[(event, 1)]).await?;
    let error = claim(&there, "there", "a.a", LONG).await.expect_err("the lock is taken");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    transaction.commit().await.expect("committed");

    let lease = claim(&there, "there", "a.a", LONG).await?.expect("ran out").lease;
    let mut transaction = there.begin().await?;
    assert_eq!(there.handled(&mut transaction, &over, &[event]).await?, None);
    assert_eq!(there.handled(&mut transaction, &lease, &[event]).await?, Some(vec![event]));
    Ok(())
}

#[tokio::test]
async fn events_and_writes_of_the_application_share_a_transaction() -> Result<()> {
    let folder = Folder::new();
    let store = SqliteStore::open(folder.file()).await?;
    let mut connection = foreign(&folder.file()).await;
    run(&mut connection, "CREATE TABLE card (id TEXT PRIMARY KEY)").await;
    let mut seen = 0;
    store.changed(&mut seen).await?;
    for keep in [false, true] {
        let mut transaction = connection.begin().await.expect("begun");
        run(&mut transaction, "INSERT INTO card VALUES ('card-1')").await;
        store.append(&mut transaction, &[versioned("card-1", 1), event("b")]).await?;
        match keep {
            true => transaction.commit().await.expect("committed"),
            false => transaction.rollback().await.expect("rolled back"),
        }
        let cards: i64 = sqlx::query_scalar("SELECT count(*) FROM card").fetch_one(store.pool()).await.expect("cards");
        assert_eq!((cards, all(&store).await?.len()), if keep { (1, 2) } else { (0, 0) });
    }
    let changed = tokio::time::timeout(Duration::from_secs(1), store.changed(&mut seen)).await;
    changed.expect("a store has 250 ms")
}

#[tokio::test]
async fn a_transaction_that_read_too_early_says_how_to_begin() -> Result<()> {
    let folder = Folder::new();
    let store = SqliteStore::open(folder.file()).await?;
    let mut connection = foreign(&folder.file()).await;
    let mut deferred = connection.begin().await.expect("begun");
    run(&mut deferred, "SELECT count(*) FROM event_log").await;
    commit(&store, &[event("a")]).await?;
    let error = store.append(&mut deferred, &[event("b")]).await.expect_err("its snapshot is old");
    assert!(error.is_temporary() && error.to_string().contains("BEGIN IMMEDIATE"), "{error}");
    Ok(())
}

#[test]
fn writers_at_once_lose_nothing() -> Result<()> {
    let folder = Folder::new();
    let written = at_once((0..4).map(|writer| {
        let path = folder.file();
        async move {
            let store = SqliteStore::open(path).await?;
            let mut events = Vec::new();
            for version in 1..=25 {
                let event = versioned(&format!("card-{writer}"), version);
                commit(&store, std::slice::from_ref(&event)).await?;
                events.push(event.meta.id);
            }
            Ok(events)
        }
    }));
    let log = at_once([async { all(&SqliteStore::open(folder.file()).await?).await }]).remove(0)?;
    assert_eq!(log.len(), 100);
    for (writer, events) in written.into_iter().enumerate() {
        let own = log.iter().filter(|event| event.meta.aggregate_id.as_str() == format!("card-{writer}"));
        assert_eq!(ids(own), events?);
    }
    Ok(())
}
