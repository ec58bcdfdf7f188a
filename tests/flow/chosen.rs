//! A store that is chosen when the program starts: one code base, whichever database it is.

use domain_events::{
    DomainEvents, ErrorKind, PostgresStore, SqlStore, SqlTransaction, SqliteStore, handler,
    prelude::*,
    store::EventLog,
    testkit::{self, conformance::PostgresHarness},
};

use crate::library::{Card, CardAddedToLibraryEvent, Diary, add, on, save, settle};

const CREATE: &str = "create table counted (curator text)";
const COUNT: &str = "insert into counted (curator) values ($1)";

#[event_handler(CardAddedToLibraryEvent, group = "ledger")]
async fn count(event: &CardAddedToLibraryEvent, transaction: &mut SqlTransaction) -> Result<(), sqlx::Error> {
    match transaction {
        SqlTransaction::Sqlite(sqlite) => {
            sqlx::query(COUNT).bind(&event.curator_id).execute(&mut **sqlite).await?;
        }
        SqlTransaction::Postgres(postgres) => {
            sqlx::query(COUNT).bind(&event.curator_id).execute(&mut **postgres).await?;
        }
    }
    Ok(())
}

#[event_handler(CardAddedToLibraryEvent, group = "ledger")]
async fn for_sqlite_alone(_: &CardAddedToLibraryEvent, connection: &mut sqlx::SqliteConnection) {
    let _ = connection;
}

async fn sqlite() -> SqlStore {
    SqliteStore::in_memory().await.unwrap().into()
}

async fn postgres(harness: &PostgresHarness) -> SqlStore {
    PostgresStore::connect(harness.url()).await.unwrap().into()
}

async fn create(store: &SqlStore) {
    let mut transaction = store.begin().await.unwrap();
    match &mut transaction {
        SqlTransaction::Sqlite(sqlite) => drop(sqlx::query(CREATE).execute(&mut **sqlite).await.unwrap()),
        SqlTransaction::Postgres(postgres) => drop(sqlx::query(CREATE).execute(&mut **postgres).await.unwrap()),
    }
    transaction.commit().await.unwrap();
}

async fn counted(events: &DomainEvents<SqlStore>) -> Vec<String> {
    const COUNTED: &str = "select curator from counted order by curator";
    match events.store() {
        SqlStore::Sqlite(store) => sqlx::query_scalar(COUNTED).fetch_all(store.pool()).await.unwrap(),
        SqlStore::Postgres(store) => sqlx::query_scalar(COUNTED).fetch_all(store.pool()).await.unwrap(),
    }
}

/// What an application does with its transactions.
async fn transactions_are_the_chosen_databases_own(store: SqlStore) {
    create(&store).await;
    let events = on(store, &Diary::new(), &[handler!(count)]).build().unwrap();
    add(&events, "c1", &["alice"]).await;

    // In a transaction that the application has already.
    let mut card = Card::new("c2");
    card.add_to_library("bob");
    let mut transaction: SqlTransaction = match events.store() {
        SqlStore::Sqlite(store) => store.pool().begin().await.unwrap().into(),
        SqlStore::Postgres(store) => store.pool().begin().await.unwrap().into(),
    };
    let appended = events.append(&mut transaction, &mut card).await.unwrap();
    transaction.commit().await.unwrap();
    appended.committed();

    // Rolled back, and so not there.
    let mut transaction = events.store().begin().await.unwrap();
    card.add_to_library("carol");
    events.append(&mut transaction, &mut card).await.unwrap();
    transaction.rollback().await.unwrap();
    let mut transaction = events.store().begin().await.unwrap();
    events.append(&mut transaction, &mut card).await.unwrap();
    drop(transaction);

    assert_eq!(settle(&events).await, []);
    assert_eq!(counted(&events).await, ["alice", "bob"]);
    save(&events, &mut card).await.unwrap();
    assert_eq!(settle(&events).await, []);
    assert_eq!(counted(&events).await, ["alice", "bob", "carol"]);
    assert_eq!(testkit::recorded_envelopes(&events).await.len(), 3);
}

#[tokio::test]
async fn its_transactions_are_sqlites() {
    transactions_are_the_chosen_databases_own(sqlite().await).await;
}

#[tokio::test]
async fn its_transactions_are_postgresqls() {
    let harness = PostgresHarness::connect().await;
    transactions_are_the_chosen_databases_own(postgres(&harness).await).await;
}

#[tokio::test]
async fn a_transaction_of_the_other_database_is_refused() {
    let harness = PostgresHarness::connect().await;
    let (here, there) = (sqlite().await, postgres(&harness).await);
    let events = on(here, &Diary::new(), &[]).build().unwrap();
    let mut card = Card::new("c1");
    card.add_to_library("alice");
    let mut foreign = there.begin().await.unwrap();
    let error = events.append(&mut foreign, &mut card).await.expect_err("another database's");
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("not one of the store `sqlite`"), "{error}");
    assert_eq!(card.pending_events().len(), 1);
}

#[tokio::test]
async fn a_handler_for_one_of_them_is_told_what_to_take_instead() {
    let error = on(sqlite().await, &Diary::new(), &[handler!(for_sqlite_alone)]).build().expect_err("a mistake");
    let text = error.to_string();
    let part = "takes `&mut SqliteConnection`, but the store `sqlite` gives `&mut SqlTransaction`";
    assert!(text.contains(part), "`{part}` is not in:\n{text}");
    assert!(text.contains("take that, or"), "{text}");
}

#[tokio::test]
async fn a_url_says_which_it_is() {
    let harness = PostgresHarness::connect().await;
    let at = async |url: &str| SqlStore::connect(url).await.map(|store| store.capabilities().name);
    assert_eq!(at("sqlite::memory:").await.unwrap(), "sqlite");
    assert_eq!(at(harness.url()).await.unwrap(), "postgres");
    assert_eq!(at(&harness.url().replacen("postgres:", "postgresql:", 1)).await.unwrap(), "postgres");
    for wrong in ["mysql://app:hush@host/library", "hush", "", "app:hush@host/library", "POSTGRES://app:hush@host/x"] {
        let error = at(wrong).await.expect_err(wrong);
        assert_eq!(error.kind(), ErrorKind::Configuration, "{wrong}");
        assert!(error.to_string().contains("write `postgres://user@host/database`"), "{error}");
        assert!(!error.to_string().contains("hush"), "{error}");
    }
}
