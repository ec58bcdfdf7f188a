//! What the deployment's files say, done: exactly these commands in exactly this environment, with ports, addresses and
//! files of this machine in the place of the platform's.

use std::{collections::BTreeMap, fs, path::Path};

use domain_events::testkit::server::NatsServer;
use serde_json::json;

use crate::{
    program::{Api, Program, wait_until},
    site::free_ports,
};

#[test]
fn the_processes_of_fly_toml_bring_an_event_from_web_to_every_worker() {
    let (nats, folder) = (NatsServer::private(), tempfile::tempdir().expect("a folder"));
    let fly = file("fly.toml");
    let (commands, mut environment) = (section(&fly, "processes"), section(&fly, "env"));
    let broker = environment
        .insert("EVENTS_TRANSPORT".to_owned(), format!("{}?prefix=library", nats.url()))
        .expect("it has a broker");
    assert!(broker.starts_with("nats://"), "{broker}");

    // Each process has a machine of its own there, and is found by its name; here it has a port.
    let ports: BTreeMap<_, _> = commands.keys().cloned().zip(free_ports(commands.len())).collect();
    for (process, port) in &ports {
        let listens = argument(&commands[process], "--listen").replace("[::]:", "");
        let there = format!("http://{process}.process.library.internal:{listens}");
        environment.values_mut().for_each(|value| *value = value.replace(&there, &format!("http://127.0.0.1:{port}")));
    }
    assert!(environment.values().all(|value| !value.contains(".internal")), "nobody is there: {environment:?}");

    let start = |process: &String| {
        let database =
            argument(&commands[process], "--database").replace("/data", &folder.path().display().to_string());
        let address = format!("127.0.0.1:{}", ports[process]);
        let local: Vec<_> = commands[process]
            .replace(&argument(&commands[process], "--listen"), &address)
            .replace(&argument(&commands[process], "--database"), &database)
            .split_whitespace()
            .map(str::to_owned)
            .collect();
        let local: Vec<_> = local.iter().map(String::as_str).collect();
        assert_eq!(local[0], "library");
        Program::start_in(&environment, &local[1..])
    };
    // In no order: a platform starts them all at the same time.
    let programs: BTreeMap<_, _> = commands.keys().map(|process| (process, start(process))).collect();
    for program in programs.values() {
        let api = Api::of(program);
        let healthy = |health: serde_json::Value| {
            let links = health["consumer"].as_array().into_iter().flatten().chain([&health["relay"]]);
            health["status"] == "ok" && links.filter(|link| !link.is_null()).all(|link| link["connected"] == true)
        };
        wait_until("every check is passed", || healthy(api.get("/health")));
    }

    let api = Api::of(&programs[&"web".to_owned()]);
    for id in ["ada", "grace"] {
        api.send("POST", "/curators", Some(json!({ "id": id, "name": id, "public": true })));
    }
    api.send("PUT", "/curators/ada/followers/grace", None);
    let card = api.send("POST", "/cards", Some(json!({ "url": "https://example.com/" })));
    api.send("PUT", &format!("/curators/ada/library/{}", card["id"].as_str().expect("an id")), None);
    api.send("POST", "/collections", Some(json!({ "curator": "grace", "name": "To read" })));
    let seen = |path: &str| api.ask("GET", path, None).map(|(_, answer)| answer).unwrap_or_default();
    let one_at = |path: &str| seen(path).as_array().is_some_and(|all| !all.is_empty());
    wait_until("analytics has counted", || seen("/curators/ada/activity")["cards_added"] == 1);
    wait_until("the profile shows it", || seen("/curators/grace")["collections"] == 1);
    for path in ["/curators/grace/feed", "/curators/grace/notifications", "/search?q=example"] {
        wait_until(path, || one_at(path));
    }
    for program in programs.into_values() {
        assert_eq!(program.terminate(), Some(0));
    }
}

#[test]
fn compose_yaml_starts_the_same_processes() {
    let local = file("compose.yaml");
    let commands = section(&file("fly.toml"), "processes");
    for (process, command) in &commands {
        let mut command = command.replace("[::]", "0.0.0.0");
        if process == "web" {
            // There on PostgreSQL.
            command = command.replace(" --database /data/library.db", "");
        }
        assert!(local.contains(&format!("\n    command: {command}\n")), "{process}: {command}");
        let port = argument(&command, "--listen").rsplit(':').next().expect("a port").to_owned();
        assert!(local.contains(&format!("http://{process}:{port}")), "{process} is asked by nobody");
    }
}

fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The texts in a table of a TOML file.
fn section(toml: &str, name: &str) -> BTreeMap<String, String> {
    let table = toml.lines().map(str::trim).skip_while(|line| *line != format!("[{name}]")).skip(1);
    let lines = table.take_while(|line| !line.starts_with('[')).filter_map(|line| line.split_once(" = "));
    let pairs = lines.map(|(key, value)| (key.to_owned(), value.trim_matches('"').to_owned()));
    let section: BTreeMap<_, _> = pairs.collect();
    assert!(!section.is_empty(), "there is no [{name}]");
    section
}

/// What stands behind an option.
fn argument(command: &str, option: &str) -> String {
    let mut words = command.split_whitespace().skip_while(|word| *word != option);
    words.nth(1).unwrap_or_else(|| panic!("`{command}` has no `{option}`")).to_owned()
}
