//! The program on PostgreSQL, with nothing changed but `DATABASE_URL`.

use std::thread;

use domain_events::testkit::conformance::PostgresServer;
use serde_json::json;

use crate::{
    books::Books,
    inspector::{Inspector, Leases},
    program::{Api, Program, wait_until},
};

#[test]
fn a_worker_killed_in_the_middle_of_its_work_loses_nothing_and_doubles_nothing() {
    let server = PostgresServer::private();
    let url = server.url("postgres");
    // All three find an empty database, at the same time.
    let [web, first, second] = thread::scope(|scope| {
        [&["web", "--listen", "127.0.0.1:0"][..], &["worker"], &["worker"]]
            .map(|arguments| scope.spawn(|| Program::start_on(&url, arguments)))
            .map(|started| started.join().expect("it starts"))
    });
    let mut library = Books::open(Api::of(&web));
    let mut database = Inspector::of(&url);
    let leases = Leases::of(&url);

    // Both workers are at it.
    library.add("linus", 0..1);
    library.add("ada", 0..10);
    library.add("bob", 0..10);
    library.add("linus", 1..2);
    library.keep("eve", "linus/0");
    library.settle();
    wait_until("recommendations know all cards", || database.number("select count(*) from taste") == 23);
    let collection = library.begin_collection("To read");
    library.settle();
    wait_until("each worker has something to do", || {
        let holders = leases.holders();
        [&first, &second].iter().all(|worker| holders.values().any(|pid| *pid == worker.pid()))
    });

    // Ada's activity can't be written for now. So whoever counts cards stands in the middle of a transaction for each
    // one of hers, while Bob's, which come later, are counted, and all the other handlers have done their part.
    database.execute("begin");
    database.execute("select 1 from activity where curator_id = 'ada' for update");
    library.add("ada", 10..13);
    library.add("bob", 10..20);
    wait_until("Ada's cards are being counted", || database.number(HELD_UP) == 3);
    library.settle_but_for("/curators/ada/activity");
    let counting = leases.holders()["analytics.count_added_card"];
    let (victim, survivor) = if first.pid() == counting { (first, second) } else { (second, first) };
    assert_eq!(victim.pid(), counting);
    victim.kill();

    // Life goes on, and the one that is left takes over what the other one held.
    library.add("ada", 13..20);
    library.add("bob", 20..30);
    library.add("linus", 2..5);
    library.give_up("linus", 1);
    library.put_into(&collection, "ada/0");
    library.put_into(&collection, "ada/1");
    library.take_out_of(&collection, "ada/1");
    library.begin_collection("To read again");
    assert_eq!(library.look("/curators/ada/activity")["cards_added"], 10);
    database.execute("rollback");
    library.settle();
    wait_until("nothing is left to deliver", || leases.behind() == 0);
    assert!(leases.holders().values().all(|pid| *pid == survivor.pid()), "{:?}", leases.holders());

    // When it has finished what it was at, nobody can change anything any more.
    assert_eq!(survivor.terminate(), Some(0));
    library.check();
    assert_eq!(database.number("select count(*) from taste"), 55);
    assert_eq!(library.look("/health"), json!({ "status": "ok", "dead_letters": [] }));
    assert_eq!(web.terminate(), Some(0));
}

/// Sessions that are held up by the lock, or by others that are.
const HELD_UP: &str = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'";

#[test]
fn the_demo_plays_in_a_schema_of_its_own_and_leaves_nothing_behind() {
    let server = PostgresServer::shared();
    server.client("createdb", &["demo"]);
    let url = server.url("demo");
    let mut database = Inspector::of(&url);
    // Somebody's data, under the name of one of the demo's tables.
    database.execute("create table cards (title text)");
    database.execute("insert into cards values ('Queen of Hearts')");

    for parameters in ["", "?application_name=demo"] {
        let demo = Program::output_on(&format!("{url}{parameters}"), &["demo"]);
        assert_eq!(demo.status.code(), Some(0), "{demo:?}");
        let text = String::from_utf8(demo.stdout).expect("text");
        assert!(text.contains("✓ Everything was delivered: 23 deliveries, none lost, none given up."), "{text}");
        assert!(text.contains(", schema library_demo_"), "{text}");
    }
    assert_eq!(database.number("select count(*) from cards where title = 'Queen of Hearts'"), 1);
    assert_eq!(database.number("select count(*) from pg_tables where schemaname = 'public'"), 1);
    assert_eq!(database.number("select count(*) from pg_namespace where nspname like 'library%'"), 0);
}

#[test]
fn a_wrong_url_is_one_clear_line_without_a_password() {
    let server = PostgresServer::shared();
    let missing = server.url("no_such_database");
    for (url, code, message) in [
        ("mysql://ada:hush@localhost/library", 2, "`DATABASE_URL` is a `mysql:` URL; write `postgres://"),
        ("ada:hush@localhost/library", 2, "`DATABASE_URL` is not a URL; write `postgres://"),
        ("postgres://ada:hush@127.0.0.1:1/library", 1, "PostgreSQL at `127.0.0.1:1/library`: the connection failed"),
        (&missing, 1, "database \"no_such_database\" does not exist; create it, or name another one in the URL"),
    ] {
        for arguments in [&["web", "--listen", "127.0.0.1:0"][..], &["worker"], &["demo"]] {
            let output = Program::output_on(url, arguments);
            let stderr = String::from_utf8(output.stderr).expect("text");
            assert_eq!(output.status.code(), Some(code), "{url} {arguments:?}: {stderr}");
            assert!(stderr.contains(message), "{url} {arguments:?}: {stderr}");
            assert_eq!(stderr.lines().count(), code as usize, "{url} {arguments:?}: {stderr}");
            assert!(!stderr.contains("hush") && output.stdout.is_empty(), "{url} {arguments:?}: {stderr}");
        }
    }
}
