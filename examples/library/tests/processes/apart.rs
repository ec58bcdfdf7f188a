//! Web and workers without a database in common, on each broker that is installed: nothing is changed but
//! `EVENTS_TRANSPORT`.

use domain_events::testkit::server::{NatsServer, RabbitServer, RedisServer};
use serde_json::Value;

use crate::{
    books::Books,
    inspector::count_in_file,
    program::{Api, Program, wait_until},
    site::Site,
};

const FIRST: [&str; 2] = ["analytics", "notifications"];
const SECOND: [&str; 3] = ["feeds", "recommendations", "search"];

#[test]
fn on_redis_a_killed_worker_loses_nothing_and_doubles_nothing() {
    outlives_a_killed_worker(&RedisServer::private().url("library"));
}

#[test]
fn on_nats_a_killed_worker_loses_nothing_and_doubles_nothing() {
    let server = NatsServer::private();
    outlives_a_killed_worker(&format!("{}?prefix=library", server.url()));
}

#[test]
fn on_rabbitmq_a_killed_worker_loses_nothing_and_doubles_nothing() {
    outlives_a_killed_worker(&RabbitServer::shared().url("library_apart"));
}

#[test]
fn on_redis_pubsub_those_who_listen_hear_everything() {
    let server = RedisServer::private();
    let (site, broker) = (Site::new(2), server.pubsub_url("library"));
    let workers = [site.worker(0, "first.db", &FIRST, &broker), site.worker(1, "second.db", &SECOND, &broker)];
    let web = site.web(Some(&broker));
    let mut library = Books::open(Api::of(&web));
    begin(&mut library, &site);
    library.begin_collection("To read");
    library.settle();
    for program in workers.into_iter().chain([web]) {
        assert_eq!(program.terminate(), Some(0));
    }
}

/// So that every handler has something to do, and what it makes of it does not depend on which is the first.
fn begin(library: &mut Books, site: &Site) {
    library.add("linus", 0..1);
    library.add("ada", 0..5);
    library.add("bob", 0..2);
    library.add("linus", 1..2);
    library.keep("eve", "linus/0");
    library.settle();
    let taste = || count_in_file(&site.file("second.db"), "select count(*) from taste");
    wait_until("recommendations know all cards", || taste() == 10);
}

fn outlives_a_killed_worker(broker: &str) {
    let site = Site::new(2);
    // Whoever takes in comes first: that makes the subscriptions.
    let first = site.worker(0, "first.db", &FIRST, broker);
    let second = site.worker(1, "second.db", &SECOND, broker);
    let web = site.web(Some(broker));
    let mut library = Books::open(Api::of(&web));
    begin(&mut library, &site);
    let collection = library.begin_collection("To read");
    library.settle();

    // Nobody counts and nobody is told, while the others go on.
    assert_eq!(first.terminate(), Some(0));
    library.add("ada", 5..25);
    library.add("bob", 2..22);
    let first = site.worker(0, "first.db", &FIRST, broker);
    let activity = || Api::of(&first).get("/curators/bob/activity")["cards_added"].as_u64();
    wait_until("it is in the middle of its work", || activity() > Some(2));
    first.kill();
    library.give_up("linus", 1);
    library.put_into(&collection, "ada/0");
    library.put_into(&collection, "ada/1");
    library.take_out_of(&collection, "ada/1");

    // Its successor has its database, and so knows what it had handled.
    let first = site.worker(0, "first.db", &FIRST, broker);
    library.settle();
    healthy([&web, &first, &second]);
    // Nothing comes a second time: neither what was unsettled, nor with what is new.
    assert_eq!(first.terminate(), Some(0));
    let first = site.worker(0, "first.db", &FIRST, broker);
    library.add("ada", 25..26);
    library.begin_collection("To read again");
    library.settle();
    for program in [first, second, web] {
        assert_eq!(program.terminate(), Some(0));
    }
}

/// Nothing is given up on, every connection stands, and no password is shown.
fn healthy(programs: [&Program; 3]) {
    for program in programs {
        let health = Api::of(program).get("/health");
        assert_eq!(
            (&health["status"], &health["dead_letters"]),
            (&Value::from("ok"), &Value::Array(vec![])),
            "{health}"
        );
        assert!(health["transport"].as_str().is_some_and(|broker| broker.contains("(library")), "{health}");
        assert!(!health.to_string().contains("guest"), "RabbitMQ's password: {health}");
    }
}

#[test]
fn the_demo_plays_on_every_broker() {
    let (redis, nats) = (RedisServer::private(), NatsServer::private());
    let brokers =
        [redis.url("library"), redis.pubsub_url("library"), nats.url(), RabbitServer::shared().url("library_demo")];
    for broker in brokers {
        let demo = Program::output_in(&[("EVENTS_TRANSPORT", &broker)], &["demo"]);
        assert_eq!(demo.status.code(), Some(0), "{broker}: {demo:?}");
        let text = String::from_utf8(demo.stdout).expect("text");
        assert!(text.contains("✓ Everything was delivered: 23 deliveries, none lost, none given up."), "{text}");
        assert!(text.contains("a real broker, ") && text.contains("(library_demo_"), "{text}");
    }
}

#[test]
fn a_wrong_broker_or_neighbour_is_one_clear_line_without_a_password() {
    let web = ["web", "--memory"];
    for (broker, arguments, code, message) in [
        ("pigeon://ada:hush@loft", &web[..1], 1, "`EVENTS_TRANSPORT`: no transport has the scheme `pigeon`"),
        ("ada:hush@localhost", &web[..1], 1, "`EVENTS_TRANSPORT`: the transport's address has no scheme"),
        ("nats://ada:hush@localhost?prefx=a", &web[..1], 1, "has no option `prefx`"),
        ("pigeon://ada:hush@loft", &["demo"], 1, "no transport has the scheme `pigeon`"),
        ("nats://ada:hush@localhost", &["worker"], 2, "set `LIBRARY_WEB=http://host:port`"),
        ("nats://ada:hush@localhost", &web, 2, "`--memory` is for web and worker in one process"),
    ] {
        let output = Program::output_in(&[("EVENTS_TRANSPORT", broker)], arguments);
        let stderr = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(code), "{broker} {arguments:?}: {stderr}");
        assert!(stderr.contains(message), "{broker} {arguments:?}: {stderr}");
        assert_eq!(stderr.lines().count(), code as usize, "{broker} {arguments:?}: {stderr}");
        assert!(!stderr.contains("hush") && output.stdout.is_empty(), "{broker} {arguments:?}: {stderr}");
    }
}
