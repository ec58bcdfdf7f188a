//! One event beside one business row in one transaction, against the same two plain INSERTs, on SQLite: WAL, and every
//! commit waits for the disk (`synchronous = FULL`) on both sides.

use std::{
    str::FromStr,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use domain_events::{DomainEvents, SqliteStore};
use domain_events_bench::{Card, Folder, compare, criterion, event};
use sqlx::{
    SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

static NEXT: AtomicU64 = AtomicU64::new(0);

fn next_card() -> String {
    format!("card-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

const CARD: &str = "INSERT INTO card (id, url) VALUES (?, ?)";
const URL: &str = "https://example.com/articles/2026/why-domain-events-matter-in-practice?ref=library";

/// What one would write: the same two rows, the second one into a table with the same columns and the same keys.
async fn plain(folder: &Folder) -> SqlitePool {
    let file = folder.file("plain.db");
    let options = SqliteConnectOptions::from_str(&format!("sqlite://{}", file.display()))
        .expect("a file")
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.expect("a database");
    sqlx::query("CREATE TABLE card (id TEXT PRIMARY KEY, url TEXT NOT NULL) STRICT").execute(&pool).await.expect("DDL");
    sqlx::query(
        "CREATE TABLE event (position INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
             aggregate_type TEXT NOT NULL, aggregate_id TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL,
             occurred_at TEXT NOT NULL, recorded_at TEXT NOT NULL, payload TEXT NOT NULL) STRICT",
    )
    .execute(&pool)
    .await
    .expect("DDL");
    pool
}

async fn plain_append(pool: &SqlitePool) {
    let card = next_card();
    let event = event(&card);
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await.expect("a transaction");
    sqlx::query(CARD).bind(&card).bind(URL).execute(&mut *transaction).await.expect("a row");
    let payload = serde_json::json!({
        "card_id": event.card_id, "curator_id": event.curator_id, "card_type": event.card_type,
        "url": event.url, "note": event.note, "occurred_at": event.occurred_at,
    });
    sqlx::query(
        "INSERT INTO event (id, aggregate_type, aggregate_id, name, version, occurred_at, recorded_at, payload)
         VALUES (?, 'Card', ?, 'CardAddedToLibraryEvent', 1, ?, ?, ?)",
    )
    .bind(uuid::Uuid::now_v7().hyphenated())
    .bind(&card)
    .bind(event.occurred_at.to_rfc3339())
    .bind(chrono::Utc::now().to_rfc3339())
    .bind(payload.to_string())
    .execute(&mut *transaction)
    .await
    .expect("a row");
    transaction.commit().await.expect("a commit");
}

async fn our_append(events: &DomainEvents<SqliteStore>) {
    let id = next_card();
    let mut card = Card::new(id.clone());
    card.add_to_library();
    let mut work = events.begin().await.expect("a unit of work");
    sqlx::query(CARD).bind(&id).bind(URL).execute(work.connection()).await.expect("a row");
    work.record(&mut card);
    work.commit().await.expect("a commit");
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let folder = Folder::new();
    let (pool, events) = runtime.block_on(async {
        let store = SqliteStore::open(folder.file("ours.db")).await.expect("a store");
        let events = DomainEvents::builder().without_linked().store(store).build().expect("no wiring to get wrong");
        let mut work = events.begin().await.expect("a unit of work");
        sqlx::query("CREATE TABLE card (id TEXT PRIMARY KEY, url TEXT NOT NULL) STRICT")
            .execute(work.connection())
            .await
            .expect("DDL");
        work.commit().await.expect("a commit");
        (plain(&folder).await, events)
    });

    let mut criterion = criterion(Duration::from_secs(2));
    compare(
        &mut criterion,
        "append one event beside one row (SQLite)",
        "<= 1.25",
        ("plain INSERTs", |bencher| {
            bencher.to_async(&runtime).iter_custom(async |count| {
                let started = Instant::now();
                for _ in 0..count {
                    plain_append(&pool).await;
                }
                started.elapsed()
            });
        }),
        ("domain-events append", |bencher| {
            bencher.to_async(&runtime).iter_custom(async |count| {
                let started = Instant::now();
                for _ in 0..count {
                    our_append(&events).await;
                }
                started.elapsed()
            });
        }),
    );

    runtime.block_on(async {
        let cards: (i64,) =
            sqlx::query_as("SELECT count(*) FROM card").fetch_one(events.store().pool()).await.expect("rows");
        let logged: (i64,) =
            sqlx::query_as("SELECT count(*) FROM event_log").fetch_one(events.store().pool()).await.expect("rows");
        assert_eq!(cards, logged, "one event for each card");
    });
}
