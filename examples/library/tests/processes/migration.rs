//! The way of the guide `domain_events::docs::transports`, step by step: an application under load goes from its database's
//! log to Redis, and from there to NATS or RabbitMQ, by nothing but processes that are started again.

use std::process::Command;

use domain_events::testkit::server::{NatsServer, RabbitServer, RedisServer};

use crate::{
    inspector::copy_of_file,
    load::{Load, every_card_had_its_effects},
    program::{Api, Program, wait_until},
    site::Site,
};

/// Into how many streams Redis' transport spreads events unless told otherwise.
const SHARDS: usize = 8;

#[test]
fn an_application_under_load_moves_to_redis_and_on_to_nats_and_loses_nothing() {
    let server = NatsServer::private();
    moves_to_redis_and_on_to(&format!("{}?prefix=library", server.url()));
}

#[test]
fn an_application_under_load_moves_to_redis_and_on_to_rabbitmq_and_loses_nothing() {
    moves_to_redis_and_on_to(&RabbitServer::shared().url("library_migration"));
}

fn moves_to_redis_and_on_to(new: &str) {
    let redis = RedisServer::private();
    let old = redis.url("library");
    let site = Site::new(2);
    let database = site.file("library.db");

    // On the log: web and a worker share the database.
    let web = site.web(None);
    let worker = Program::start(&["worker"], &database);
    let load = Load::begin(&Api::of(&web));
    load.goes_on(20);

    // 1. No new events: whoever wants something asks again.
    assert_eq!(web.terminate(), Some(0));
    // 2. All handlers reach the end of the log, so that they stand at one place.
    assert_eq!(worker.terminate(), Some(0));
    let drained = Program::output(&["drain", "--database", database.to_str().expect("a path")]);
    assert_eq!(drained.status.code(), Some(0), "{drained:?}");
    assert!(String::from_utf8_lossy(&drained.stdout).contains("is handled"), "{drained:?}");
    // 3. Workers get a database of their own, with what their handlers keep.
    copy_of_file(&database, &site.file("worker.db"));
    // 4. Workers first, then web.
    let worker = site.worker(0, "worker.db", &[], &old);
    let web = site.web(Some(&old));
    load.goes_on(60);

    // On to another broker. 1. The new subscriptions are made; there is nothing in them yet.
    assert_eq!(site.worker(1, "worker.db", &[], new).terminate(), Some(0));
    // 2. Web publishes to the new broker, from where it stopped on the old one.
    assert_eq!(web.terminate(), Some(0));
    let web = site.web(Some(new));
    load.goes_on(20);
    // 3. The old workers handle what the old broker still has; nothing is added to it any more.
    wait_until("the old broker is empty", || outstanding(&redis) == 0);
    assert_eq!(worker.terminate(), Some(0));
    // 4. Only now the new workers begin: no event overtakes an older one of its aggregate.
    let worker = site.worker(1, "worker.db", &[], new);
    load.goes_on(60);

    let cards = load.end();
    let api = Api::of(&web);
    every_card_had_its_effects(&api, cards);
    assert_eq!(api.get("/health")["status"], "ok");
    assert_eq!(Api::of(&worker).get("/health")["status"], "ok");
    assert_eq!(worker.terminate(), Some(0));
    assert_eq!(web.terminate(), Some(0));
}

/// How many deliveries all handlers together have to expect: what an operator sees with
/// `redis-cli xinfo groups library:stream:0`, and so on for each stream.
fn outstanding(redis: &RedisServer) -> u64 {
    let groups = (0..SHARDS).map(|shard| {
        let mut client = Command::new("redis-cli");
        client.args(["-p", &redis.port().to_string(), "xinfo", "groups", &format!("library:stream:{shard}")]);
        let output = client.output().expect("`redis-cli` is installed with the server");
        let text = String::from_utf8(output.stdout).expect("text");
        // A stream that never had an event is not there.
        let lines: Vec<_> = text.lines().collect();
        let named = |name| lines.windows(2).filter(move |pair| pair[0] == name);
        let numbers = named("lag").chain(named("pending")).map(|pair| pair[1].parse().unwrap_or(u64::MAX / 1024));
        numbers.sum::<u64>()
    });
    groups.sum()
}
