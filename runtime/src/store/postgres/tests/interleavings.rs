//! Random transactions against readers: open for long, committed in another order than they wrote, rolled back, with
//! events of several aggregates. No reader may lose an event, see one twice, or see an aggregate's events out of order;
//! a reader that goes by position alone does, on the same schedule, so this test can fail.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use fastrand::Rng;
use sqlx::Row;

use super::{super::PostgresStore, fresh, fresh_with_partitions};
use crate::{
    error::Result,
    event::{AggregateId, Envelope, EventId, EventMeta},
    store::{EventLog, record::Position},
};

const WRITERS: u64 = 6;
const AGGREGATES: u64 = 40;

/// The events of one aggregate in the order they were read.
type Read = HashMap<String, Vec<u64>>;

fn event(aggregate: &str, number: i64) -> Envelope {
    let id = AggregateId::from(aggregate);
    let meta = EventMeta::new(EventId::generate(), "Moved", 1, "Parcel", id, chrono::Utc::now());
    Envelope::new(meta, number.to_string().into_bytes())
}

fn take(read: &mut Read, event: &Envelope) {
    let number = String::from_utf8_lossy(&event.payload).parse().expect("a number");
    read.entry(event.meta.aggregate_id.to_string()).or_default().push(number);
}

/// One transaction: a few aggregates are changed, and their events written in one or two parts. An aggregate's row is
/// locked until the end, as an application's UPDATE does.
async fn transaction(store: &PostgresStore, random: &mut Rng, long: bool) -> Result<u64> {
    let mut aggregates: Vec<String> =
        (0..random.u64(1..=3)).map(|_| format!("{:02}", random.u64(..AGGREGATES))).collect();
    if long {
        // Aggregates of its own, or it would hold up the others, which is not the point.
        aggregates.iter_mut().for_each(|aggregate| aggregate.insert_str(0, "long"));
    }
    aggregates.sort();
    aggregates.dedup();
    let mut open = store.begin().await?;
    let mut written = 0;
    for aggregate in aggregates {
        let count = random.i64(1..=12);
        let last: i64 = store
            .query(
                "INSERT INTO @.parcel (id, last) VALUES ($1, $2)
                     ON CONFLICT (id) DO UPDATE SET last = parcel.last + excluded.last RETURNING last",
            )
            .bind(aggregate.clone())
            .bind(count)
            .fetch_one(&mut *open)
            .await
            .expect("the application's table")
            .get(0);
        let events: Vec<_> = (last - count + 1..=last).map(|number| event(&aggregate, number)).collect();
        store.append(&mut open, &events).await?;
        written += events.len() as u64;
        let wait = if long { random.u64(100..400) } else { random.u64(0..4) };
        tokio::time::sleep(Duration::from_millis(wait)).await;
    }
    if random.u8(..10) == 0 {
        store.rollback(open).await?;
        return Ok(0);
    }
    store.commit(open).await?;
    Ok(written)
}

/// Reads pages of any size, sometimes only a part of one, and goes on until the writers are done and nothing is left.
/// A slow reader finds wide windows.
async fn reader(store: PostgresStore, done: &AtomicBool, mut random: Rng, pause: u64) -> Result<Read> {
    let (mut read, mut after) = (Read::new(), Position::BEGINNING);
    loop {
        let finished = done.load(Ordering::SeqCst);
        let page = store.read(&after, random.usize(1..1_000)).await?;
        let kept = if random.bool() { page.events.len() } else { random.usize(..=page.events.len()) };
        page.events[..kept].iter().for_each(|event| take(&mut read, event));
        let nothing = page.events.is_empty() && page.end == after;
        after = match kept {
            all if all == page.events.len() => page.end,
            0 => after,
            kept => page.resume[kept - 1].clone(),
        };
        if nothing && finished {
            return Ok(read);
        }
        if nothing {
            tokio::time::sleep(Duration::from_millis(random.u64(0..=pause))).await;
        }
    }
}

/// What a reader without snapshots does.
async fn naive_reader(store: PostgresStore, done: &AtomicBool) -> Read {
    let (mut read, mut last) = (Read::new(), 0_i64);
    loop {
        let finished = done.load(Ordering::SeqCst);
        let rows = store
            .query(
                "SELECT position, aggregate_id, payload::text FROM @.event_log WHERE position > $1
                  ORDER BY position LIMIT 1000",
            )
            .bind(last)
            .fetch_all(&store.shared.pool)
            .await
            .expect("the log can be read");
        for row in &rows {
            last = row.get(0);
            let number: String = row.get(2);
            read.entry(row.get(1)).or_default().push(number.parse().expect("a number"));
        }
        if rows.is_empty() && finished {
            return read;
        }
        if rows.is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// How many events are missing, twice, and behind a later one of their aggregate.
fn faults(read: &Read, expected: &HashMap<String, u64>) -> (u64, u64, u64) {
    let (mut lost, mut twice, mut disordered) = (0, 0, 0);
    for (aggregate, last) in expected {
        let numbers = read.get(aggregate).cloned().unwrap_or_default();
        let mut distinct = numbers.clone();
        distinct.sort_unstable();
        distinct.dedup();
        lost += last - distinct.len() as u64;
        twice += (numbers.len() - distinct.len()) as u64;
        disordered += numbers.windows(2).filter(|pair| pair[0] > pair[1]).count() as u64;
    }
    (lost, twice, disordered)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_see_each_event_once_and_in_order() -> Result<()> {
    readers_of(fresh().await?, 52_000).await
}

/// So many small partitions that those made after commits don't always come in time, and the rest becomes one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_of_a_log_with_partitions_do_too() -> Result<()> {
    let store = fresh_with_partitions(2_000).await?;
    readers_of(store.clone(), 12_000).await?;
    store.keep_partitions().await?;
    let mut own = store.own().await?;
    let found = store.ranges(&mut own).await?;
    assert!(found.ranges.len() > 3, "{found:?}");
    Ok(())
}

async fn readers_of(store: PostgresStore, events: u64) -> Result<()> {
    store
        .query("CREATE TABLE @.parcel (id text PRIMARY KEY, last bigint NOT NULL)")
        .execute(store.pool())
        .await
        .expect("a table");
    let seed = fastrand::u64(..);
    let (done, ending) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));

    let mut readers = Vec::new();
    // Quick ones that stay at the end of the log, and slow ones that lag behind by thousands.
    for (number, pause) in [(1, 2), (2, 30), (3, 1_500), (4, 4_000)] {
        let (store, done) = (store.clone(), done.clone());
        readers.push(tokio::spawn(async move { reader(store, &done, Rng::with_seed(seed ^ number), pause).await }));
    }
    let naive = tokio::spawn({
        let (store, done) = (store.clone(), done.clone());
        async move { naive_reader(store, &done).await }
    });
    let mut writers = Vec::new();
    for number in 0..=WRITERS {
        let (store, ending) = (store.clone(), ending.clone());
        writers.push(tokio::spawn(async move {
            let mut random = Rng::with_seed(seed.rotate_left(7) ^ number);
            let long = number == WRITERS;
            let mut written = 0;
            while if long { !ending.load(Ordering::SeqCst) } else { written < events / WRITERS } {
                written += transaction(&store, &mut random, long).await?;
            }
            Ok::<_, crate::Error>(())
        }));
    }
    let long = writers.pop().expect("the one with long transactions");
    for writer in writers {
        writer.await.expect("no panic")?;
    }
    // The readers go on until the last long transaction is over, too.
    ending.store(true, Ordering::SeqCst);
    long.await.expect("no panic")?;
    done.store(true, Ordering::SeqCst);

    let expected: HashMap<String, u64> = store
        .query("SELECT id, last FROM @.parcel")
        .fetch_all(store.pool())
        .await
        .expect("the application's table")
        .iter()
        .map(|row| (row.get(0), row.get::<i64, _>(1).unsigned_abs()))
        .collect();
    let total: u64 = expected.values().sum();
    assert!(total >= events - WRITERS, "{total} events are too few");
    for (number, reader) in readers.into_iter().enumerate() {
        let found = faults(&reader.await.expect("no panic")?, &expected);
        assert_eq!(found, (0, 0, 0), "reader {number} of seed {seed}: lost, twice, out of order, of {total} events");
    }
    let (lost, _, disordered) = faults(&naive.await.expect("no panic"), &expected);
    assert!(lost > 0, "the schedule of seed {seed} is harmless: a reader that goes by position lost nothing");
    assert!(lost + disordered < total, "it read nothing, so this shows nothing");
    Ok(())
}
