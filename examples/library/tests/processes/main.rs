//! The real program in real processes on one database: web and workers apart, killed, stopped, and started wrongly.
//! Here on a SQLite file; in `postgres` on a server; in `apart` on a broker, with a file for each process; `migration` takes
//! a running application from one to the other, and `deploy` starts what the deployment's files say.

#![cfg(unix)]

mod apart;
mod books;
mod deploy;
mod inspector;
mod load;
mod migration;
mod postgres;
mod program;
mod site;

use std::{fs, net::TcpListener, path::Path};

use program::{Api, Program, wait_until};
use serde_json::json;

const CARDS: usize = 60;

#[test]
fn a_worker_killed_in_the_middle_loses_nothing_and_repeats_nothing_that_counts() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = folder.path().join("library.db");
    let web = Program::start(&["web", "--listen", "127.0.0.1:0"], &database);
    let api = Api::of(&web);
    api.curators();
    for number in 0..CARDS / 2 {
        api.add_card("ada", number);
    }
    let worker = Program::start(&["worker"], &database);
    wait_until("the worker is in the middle", || api.effects().iter().any(|effects| *effects > 0));
    worker.kill();
    for number in CARDS / 2..CARDS {
        api.add_card("ada", number);
    }

    // Its leases run out, and two others, with different handlers, go on where it stopped.
    let notifications = Program::start(&["worker", "--group", "notifications"], &database);
    let others = ["worker", "--group", "analytics", "--group", "feeds", "--group", "search"];
    let others = Program::start(&others, &database);
    wait_until("every card had all its effects", || api.effects().iter().all(|effects| *effects >= CARDS));

    // Exactly: the counter is transactional, the rest is idempotent.
    assert_eq!(api.effects(), [CARDS; 4]);
    assert_eq!(api.get("/health")["status"], "ok");
    assert_eq!(notifications.terminate(), Some(0));
    assert_eq!(others.terminate(), Some(0));
    assert_eq!(web.terminate(), Some(0));
}

#[test]
fn told_to_stop_it_drains_and_the_next_start_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let database = folder.path().join("library.db");
    for (round, signal) in ["TERM", "INT"].into_iter().enumerate() {
        let program = Program::start(&["--listen", "127.0.0.1:0"], &database);
        let api = Api::of(&program);
        if round == 0 {
            api.curators();
        }
        for number in 0..10 {
            api.add_card("ada", round * 10 + number);
        }
        assert_eq!(program.stop(signal), Some(0), "SIG{signal}");
    }

    let program = Program::start(&["--listen", "127.0.0.1:0"], &database);
    let api = Api::of(&program);
    wait_until("everything is handled", || api.effects().iter().all(|effects| *effects >= 20));
    assert_eq!(api.effects(), [20; 4]);
    assert_eq!(program.terminate(), Some(0));
}

#[test]
fn the_demo_delivers_everything() {
    let demo = Program::output(&["demo"]);
    assert_eq!(demo.status.code(), Some(0), "{demo:?}");
    let text = String::from_utf8(demo.stdout).expect("text");
    assert!(text.contains("✓ Everything was delivered: 23 deliveries, none lost, none given up."), "{text}");
}

#[test]
fn a_sqlite_url_is_a_file_too_and_an_option_wins_over_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let [by_url, by_option] = ["url.db", "option.db"].map(|name| folder.path().join(name));
    let url = format!("sqlite://{}", by_url.display());
    let program = Program::start_on(&url, &["--listen", "127.0.0.1:0"]);
    assert!(program.said().ends_with(&format!(" on {}", by_url.display())), "{}", program.said());
    Api::of(&program).curators();
    assert_eq!(program.terminate(), Some(0));
    assert!(by_url.exists());

    let option = by_option.to_str().expect("a path");
    let program = Program::start_on("postgres://127.0.0.1:1/nowhere", &["worker", "--database", option]);
    assert!(program.said().ends_with(&format!(" on {option}")), "{}", program.said());
    assert_eq!(program.terminate(), Some(0));
    assert!(by_option.exists());
}

#[test]
fn a_wrong_start_is_one_clear_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("a path").to_owned();
    let (fresh, no_database, no_folder) = (path("library.db"), path("notes.txt"), path("missing/library.db"));
    fs::write(&no_database, "this is no database, and long enough for SQLite to see it: ".repeat(20)).expect("a file");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();

    for (arguments, code, message) in [
        (vec!["--listen", &address, "--database", &fresh], 1, format!("can't listen on {address}")),
        (vec!["web", "--database", &no_database], 1, no_database.clone()),
        (vec!["worker", "--database", &no_folder], 1, no_folder.clone()),
        (vec!["worker", "--group", "mail"], 2, "there is no group `mail`".to_owned()),
        (vec!["fly"], 2, "there is no command `fly`".to_owned()),
    ] {
        let output = Program::output(&arguments);
        let stderr = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
        assert!(stderr.contains(&message), "{arguments:?}: {stderr}");
        assert_eq!(stderr.lines().count(), code as usize, "{arguments:?}: {stderr}");
    }
    assert!(!Path::new(&no_folder).exists());
}

impl Api {
    /// Grace follows Ada.
    fn curators(&self) {
        for id in ["ada", "grace"] {
            self.send("POST", "/curators", Some(json!({ "id": id, "name": id, "public": true })));
        }
        self.send("PUT", "/curators/ada/followers/grace", None);
    }

    fn add_card(&self, curator: &str, number: usize) {
        let card = self.send("POST", "/cards", Some(json!({ "url": format!("https://example.com/{number}") })));
        let id = card["id"].as_str().expect("an id");
        self.send("PUT", &format!("/curators/{curator}/library/{id}"), None);
    }

    /// How often each context acted: analytics, notifications, feeds, search.
    fn effects(&self) -> [usize; 4] {
        let length = |path| self.get(path).as_array().map_or(0, Vec::len);
        let counted =
            self.get("/curators/ada/activity")["cards_added"].as_u64().and_then(|count| count.try_into().ok());
        [
            counted.unwrap_or(0),
            length("/curators/grace/notifications"),
            length("/curators/grace/feed"),
            length("/search?q=example.com"),
        ]
    }
}
