//! Behind a PgBouncer in transaction mode. That everything works there is the conformance suite's to show
//! (`postgres_pooled`); here is what it leaves behind, and what happens without the option.

use std::{collections::BTreeSet, sync::Arc};

use domain_events::{
    ErrorKind, PostgresStore,
    store::{EventLog, postgres::PostgresOptions},
    testkit::{
        conformance::{Parcel, PgBouncer, PostgresHarness, PostgresServer},
        wait_until_settled,
    },
};
use sqlx::{Connection, PgConnection, Row};

use crate::kit::{Journal, LIMIT, runtime, save};

/// A client of the proxy with a transaction open: it has one of the server's sessions for itself.
async fn occupy(url: &str) -> PgConnection {
    let options = url.parse::<sqlx::postgres::PgConnectOptions>().unwrap().extra_float_digits(None);
    let mut client = PgConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql("begin").execute(&mut client).await.unwrap();
    client
}

async fn end(client: &mut PgConnection) {
    sqlx::raw_sql("rollback").execute(client).await.unwrap();
}

/// The URL of a harness's database through a proxy.
fn behind(proxy: &PgBouncer, harness: &PostgresHarness) -> String {
    proxy.url(harness.url().rsplit('/').next().unwrap())
}

/// What a session of the server carries on to its next client, beside what PgBouncer itself sets.
const LEFT_BEHIND: &str = "
    select pg_backend_pid(), array(
        select 'prepared ' || name from pg_prepared_statements where name <> ''
         union all
        select 'listens ' || c from pg_listening_channels() c
         union all
        select 'locks ' || objid from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()
         union all
        select 'set ' || name || ' = ' || setting from pg_settings
         where source = 'session'
           and name not in ('client_encoding', 'DateStyle', 'TimeZone', 'application_name', 'standard_conforming_strings')
         union all
        select 'cursor ' || name from pg_cursors where name <> ''
         union all
        select 'temporary ' || relname from pg_class where relpersistence = 't')";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_left_behind_in_the_servers_sessions() {
    const SESSIONS: usize = 4;
    let server = Arc::new(PostgresServer::private());
    let proxy = PgBouncer::before(&server, &[&format!("default_pool_size = {SESSIONS}")]);
    let harness = PostgresHarness::private_pooled(Arc::clone(&server), proxy).await;
    let url = harness.pooled_url().unwrap().to_owned();
    let (one, other) = (
        runtime(&harness, &Arc::new(Journal::default())).await,
        runtime(&harness, &Arc::new(Journal::default())).await,
    );
    let running = [one.processor().start().await.unwrap(), other.processor().start().await.unwrap()];
    let mut parcel = Parcel::new("p1");
    for step in 1..=50 {
        parcel.step(step);
        save(&one, &mut parcel).await.unwrap();
    }
    assert_eq!(wait_until_settled(&one, LIMIT).await.len(), 0);
    for running in running {
        running.shutdown().await.unwrap();
    }

    let (mut sessions, mut clients) = (BTreeSet::new(), Vec::new());
    for _ in 0..SESSIONS {
        let mut client = occupy(&url).await;
        let row = sqlx::query(LEFT_BEHIND).persistent(false).fetch_one(&mut client).await.unwrap();
        let left: Vec<String> = row.get(1);
        assert!(left.is_empty(), "left behind in a session of the server: {left:?}");
        sessions.insert(row.get::<i32, _>(0));
        clients.push(client);
    }
    assert_eq!(sessions.len(), SESSIONS, "every session of the server was looked at");
}

#[tokio::test]
async fn without_the_option_the_first_connection_says_what_to_do() {
    for (settings, says) in [
        // As PgBouncer comes; taught to let the driver's parameters pass; and taught to ignore all the store asks for.
        (&[][..], "a proxy refuses this connection (unsupported startup parameter: extra_float_digits)"),
        (
            &["ignore_startup_parameters = extra_float_digits"][..],
            "a proxy refuses this connection (unsupported startup parameter: options)",
        ),
        (
            &["ignore_startup_parameters = extra_float_digits, options"][..],
            "is behind a proxy that gives a connection to another client after each transaction",
        ),
    ] {
        let harness = PostgresHarness::connect().await;
        let proxy = PgBouncer::before(PostgresServer::shared(), settings);
        let error = PostgresStore::connect(&behind(&proxy, &harness)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration, "{settings:?}: {error}");
        for part in [says, "PostgresOptions::transaction_pooling()"] {
            assert!(error.to_string().contains(part), "{settings:?}: `{part}` is not in: {error}");
        }
    }
}

#[tokio::test]
async fn a_proxy_that_pools_by_session_is_none() {
    let settings = ["pool_mode = session", "ignore_startup_parameters = extra_float_digits, options"];
    let harness = PostgresHarness::connect().await;
    let proxy = PgBouncer::before(PostgresServer::shared(), &settings);
    let store = PostgresStore::connect(&behind(&proxy, &harness)).await.unwrap();
    store.head().await.unwrap();
}

/// Makes a store use two sessions of the server one after the other; its answers.
async fn on_two_sessions(options: PostgresOptions) -> [domain_events::Result<()>; 2] {
    let harness = PostgresHarness::connect().await;
    let settings = ["default_pool_size = 2", "ignore_startup_parameters = extra_float_digits, options"];
    let proxy = PgBouncer::before(PostgresServer::shared(), &settings);
    let url = behind(&proxy, &harness);
    // The tables are there, so that nothing but the calls below is asked of the proxy with the option.
    PostgresStore::connect(harness.url()).await.unwrap();
    let (mut one, mut other) = (occupy(&url).await, occupy(&url).await);
    end(&mut one).await;
    let opened = PostgresStore::connect_with(&url, options.own_connections(1)).await;
    let store = opened.unwrap();
    let first = store.head().await.map(drop);
    sqlx::raw_sql("begin").execute(&mut one).await.unwrap();
    end(&mut other).await;
    [first, store.head().await.map(drop)]
}

#[tokio::test]
async fn without_it_a_statement_is_missing_in_the_next_session() {
    // Without notifications nobody looks at the proxy when it is opened.
    let [first, second] = on_two_sessions(PostgresOptions::new().notifications(false)).await;
    first.unwrap();
    let error = second.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
    assert!(error.to_string().contains("PostgresOptions::transaction_pooling()"), "{error}");
}

#[tokio::test]
async fn with_it_any_session_will_do() {
    let [first, second] = on_two_sessions(PostgresOptions::new().transaction_pooling()).await;
    first.unwrap();
    second.unwrap();
}
