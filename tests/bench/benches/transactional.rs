//! A backlog drained by one handler that writes in the store's transaction, on SQLite and on PostgreSQL, beside the same
//! handler without a transaction.
//!
//! The PostgreSQL server is one of the test kit's own, with its data safe from a crash of the machine.

use std::time::Instant;

use domain_events::{
    DomainEvents, PostgresStore, SqliteStore, event_handler, handler, handler::HandlerDef, store::Store,
    testkit::conformance::PostgresServer,
};
use domain_events_bench::{Card, CardAddedToLibraryEvent, Folder};

const EVENTS: u64 = 10_000;
const CARDS: u64 = 1_000;
const ROUNDS: usize = 3;

const TABLE: &str = "create table added (card text, curator text)";
const INSERT: &str = "insert into added (card, curator) values ($1, $2)";

#[event_handler(CardAddedToLibraryEvent)]
async fn in_sqlite(event: &CardAddedToLibraryEvent, tx: &mut sqlx::SqliteConnection) -> Result<(), sqlx::Error> {
    sqlx::query(INSERT).bind(&event.card_id).bind(&event.curator_id).execute(tx).await?;
    Ok(())
}

#[event_handler(CardAddedToLibraryEvent)]
async fn in_postgres(event: &CardAddedToLibraryEvent, tx: &mut sqlx::PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query(INSERT).bind(&event.card_id).bind(&event.curator_id).execute(tx).await?;
    Ok(())
}

#[event_handler(CardAddedToLibraryEvent)]
async fn plain(_: &CardAddedToLibraryEvent) {}

/// Seconds that one handler takes for the backlog.
async fn drain<S: Store>(store: S, handler: &'static HandlerDef) -> f64 {
    let events = DomainEvents::builder().without_linked().store(store).handler(handler).build().expect("the wiring");
    for batch in 0..EVENTS / 1_000 {
        let mut work = events.begin().await.expect("a unit of work");
        for number in 0..100 {
            let mut card = Card::new(format!("card-{}", (batch * 100 + number) % CARDS));
            (0..10).for_each(|_| card.add_to_library());
            work.record(&mut card);
        }
        work.commit().await.expect("a commit");
    }
    let started = Instant::now();
    events.processor().drain().await.expect("a processor");
    started.elapsed().as_secs_f64()
}

async fn on_sqlite(handler: &'static HandlerDef) -> f64 {
    let folder = Folder::new();
    let store = SqliteStore::open(folder.file("drain.db")).await.expect("a store");
    let mut transaction = domain_events::store::EventLog::begin(&store).await.expect("a transaction");
    sqlx::query(TABLE).execute(&mut *transaction).await.expect("a table");
    transaction.commit().await.expect("a commit");
    let pool = store.pool().clone();
    let seconds = drain(store, handler).await;
    let added: i64 = sqlx::query_scalar("select count(*) from added").fetch_one(&pool).await.expect("a count");
    assert!(added == 0 || added == EVENTS as i64, "each event has its effect once: {added}");
    seconds
}

async fn on_postgres(server: &PostgresServer, handler: &'static HandlerDef) -> f64 {
    let name = format!("drain_{}", uuid::Uuid::now_v7().simple());
    server.client("createdb", &[&name]);
    let store = PostgresStore::connect(&server.url(&name)).await.expect("a store");
    sqlx::query(TABLE).execute(store.pool()).await.expect("a table");
    let pool = store.pool().clone();
    let seconds = drain(store, handler).await;
    let added: i64 = sqlx::query_scalar("select count(*) from added").fetch_one(&pool).await.expect("a count");
    assert!(added == 0 || added == EVENTS as i64, "each event has its effect once: {added}");
    seconds
}

fn print(title: &str, mut plain: Vec<f64>, mut transactional: Vec<f64>) {
    plain.sort_by(f64::total_cmp);
    transactional.sort_by(f64::total_cmp);
    let (plain, transactional) = (plain[ROUNDS / 2], transactional[ROUNDS / 2]);
    println!(
        "| drain {EVENTS} events ({title}) | plain {:.0}/s | transactional {:.0}/s | {:.2} times as long |",
        EVENTS as f64 / plain,
        EVENTS as f64 / transactional,
        transactional / plain,
    );
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let server = PostgresServer::private();
    let mut figures: [Vec<f64>; 4] = Default::default();
    for _ in 0..ROUNDS {
        figures[0].push(runtime.block_on(on_sqlite(handler!(plain))));
        figures[1].push(runtime.block_on(on_sqlite(handler!(in_sqlite))));
        figures[2].push(runtime.block_on(on_postgres(&server, handler!(plain))));
        figures[3].push(runtime.block_on(on_postgres(&server, handler!(in_postgres))));
    }
    let [sqlite_plain, sqlite, postgres_plain, postgres] = figures;
    print("SQLite", sqlite_plain, sqlite);
    print("PostgreSQL", postgres_plain, postgres);
}
