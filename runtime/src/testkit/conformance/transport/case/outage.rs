//! 13: a broker that is killed, frozen, or not there yet.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use crate::testkit::conformance::{
    Parcel, cast,
    stage::Stage,
    suite::{calm, save},
    transport::{
        Broker, TransportHarness, TransportSuite,
        suite::{Need, check_first_order, connected, insist, message, shut_down, until_handled, until_so},
    },
};

/// All arrives within this time after the last publish, however long the broker was away.
const ARRIVAL: Duration = Duration::from_secs(60);

/// Killed, and started again on the same data; or frozen for a while.
#[derive(Clone, Copy)]
enum Outage {
    Kill,
    Freeze(Duration),
}

impl Outage {
    async fn befall(self, broker: &dyn Broker) {
        match self {
            Self::Kill => tokio::task::block_in_place(|| {
                broker.kill();
                broker.restart();
            }),
            Self::Freeze(time) => {
                tokio::task::block_in_place(|| broker.freeze());
                tokio::time::sleep(time).await;
                tokio::task::block_in_place(|| broker.thaw());
            }
        }
    }
}

/// 100 tasks publish 10,000 messages; the broker is killed with SIGKILL at a third and at the half of them, and started again
/// on the same data. All arrive within 60 s.
pub async fn case_13_a_killed_broker_loses_nothing<H: TransportHarness>(suite: TransportSuite<H>) {
    if suite.lacks(&[Need::Confirms, Need::OutlivesBroker, Need::KeepsForAbsent]) {
        return;
    }
    let Some((suite, broker)) = suite.alone().await else { return };
    through(&suite, &*broker, Outage::Kill, 100, 100).await;
}

/// The same with a broker that answers nobody for two times three seconds; 20 tasks, 2,000 messages.
pub async fn case_13_a_frozen_broker_loses_nothing<H: TransportHarness>(suite: TransportSuite<H>) {
    if suite.lacks(&[Need::Confirms, Need::KeepsForAbsent]) {
        return;
    }
    let Some((suite, broker)) = suite.alone().await else { return };
    through(&suite, &*broker, Outage::Freeze(Duration::from_secs(3)), 20, 100).await;
}

async fn through<H: TransportHarness>(
    suite: &TransportSuite<H>,
    broker: &dyn Broker,
    outage: Outage,
    tasks: u64,
    each: u64,
) {
    let stage = suite.journalled(|_| crate::testkit::conformance::stage::Act::Done);
    let events = suite.runtime(&stage, &[&cast::SHARED]);
    let consumers = suite.consumers(&events, suite.in_order(2)).await;
    let count = Arc::new(AtomicUsize::new(0));
    let mut publishers = tokio::task::JoinSet::new();
    for task in 0..tasks {
        let (transport, count) = (suite.open().await, Arc::clone(&count));
        publishers.spawn(async move {
            let messages: Vec<_> = (1..=each).map(|step| message(&format!("p{task}"), step)).collect();
            insist(&*transport, &messages, 5, |confirmed| {
                count.fetch_add(confirmed, Ordering::SeqCst);
            })
            .await;
        });
    }
    let all = usize::try_from(tasks * each).unwrap_or(usize::MAX);
    for part in [all / 3, all / 2] {
        until_so("a part is published", || count.load(Ordering::SeqCst) >= part).await;
        outage.befall(broker).await;
    }
    publishers.join_all().await;
    arrived(&stage, "shared", all).await;
    shut_down(consumers).await;
    if suite.keeps_order() {
        check_first_order(&suite.journal(), "shared");
    }
}

/// Waits until so many events are handled; says what is missing when the time is over.
async fn arrived(stage: &Stage, handler: &str, count: usize) {
    let begun = Instant::now();
    loop {
        let handled = stage.handled(handler);
        if handled.len() >= count {
            return;
        }
        if begun.elapsed() > ARRIVAL {
            let mut highest = std::collections::BTreeMap::<&str, BTreeSet<u64>>::new();
            for (parcel, step) in handled.keys() {
                highest.entry(parcel).or_default().insert(*step);
            }
            let gaps: Vec<_> = highest
                .iter()
                .flat_map(|(parcel, steps)| {
                    (1..=100).filter(|step| !steps.contains(step)).map(move |step| (parcel, step))
                })
                .take(20)
                .collect();
            panic!("{} of {count} arrived within {ARRIVAL:?}; missing are {gaps:?}", handled.len());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The relay publishes the log; the broker is killed (frozen, where nothing outlives it) in the middle of it: the log arrives,
/// in order.
pub async fn case_13_the_relay_outlasts_its_broker<H: TransportHarness>(suite: TransportSuite<H>) {
    if suite.lacks(&[Need::Confirms, Need::KeepsForAbsent]) {
        return;
    }
    let outage =
        if suite.capabilities.outlives_broker { Outage::Kill } else { Outage::Freeze(Duration::from_millis(500)) };
    let Some((suite, broker)) = suite.alone().await else { return };
    let stage = suite.journalled(|_| crate::testkit::conformance::stage::Act::Done);
    let there = suite.runtime(&stage, &[&cast::SHARED]);
    let consumers = suite.consumers(&there, suite.in_order(2)).await;
    let here = suite.runtime(&calm(), &[&cast::FIRST]);
    let relay = here.relay(suite.open().await).start().await.expect("a relay starts");
    let mut parcels: Vec<_> = (0..20).map(|number| Parcel::new(format!("p{number}"))).collect();
    for step in 1..=100 {
        for parcel in &mut parcels {
            parcel.step(step);
            save(&here, parcel).await.expect("an event can be committed");
        }
        if step == 30 || step == 60 {
            outage.befall(&*broker).await;
        }
    }
    arrived(&stage, "shared", 2_000).await;
    relay.shutdown().await.expect("the relay ends");
    shut_down(consumers).await;
    if suite.keeps_order() {
        check_first_order(&suite.journal(), "shared");
    }
}

/// Relay and consumer are started while the broker is away: they say so, wait, and go on when it is there.
pub async fn case_13_a_broker_may_come_later<H: TransportHarness>(suite: TransportSuite<H>) {
    let kills = suite.capabilities.outlives_broker;
    let Some((suite, broker)) = suite.alone().await else { return };
    tokio::task::block_in_place(|| if kills { broker.kill() } else { broker.freeze() });
    let stage = calm();
    let there = suite.runtime(&stage, &[&cast::FIRST]);
    let consumer = suite.consumer(&there).await;
    let here = suite.runtime(&calm(), &[&cast::FIRST]);
    let relay = here.relay(suite.open().await).start().await.expect("a relay starts");
    let mut parcel = Parcel::new("p");
    parcel.step(1);
    save(&here, &mut parcel).await.expect("an event can be committed while the broker is away");
    if kills {
        until_so("the consumer says why it is not connected", || {
            consumer.health().iter().all(|health| !health.connected && health.error.is_some())
        })
        .await;
        until_so("the relay says so too", || !relay.health().connected && relay.health().error.is_some()).await;
    }
    tokio::task::block_in_place(|| if kills { broker.restart() } else { broker.thaw() });
    let replays = suite.capabilities.keeps_for_absent && suite.capabilities.replays;
    if !replays {
        // What was published before the consumer's subscription was there is gone; what comes now must arrive.
        connected(std::slice::from_ref(&consumer)).await;
        until_so("the relay is connected", || relay.health().connected).await;
    }
    parcel.step(2);
    save(&here, &mut parcel).await.expect("an event can be committed");
    if replays {
        until_handled(&stage, "first", 2).await;
    } else {
        until_so("the later event arrives", || stage.done("first", "p").contains(&2)).await;
    }
    relay.shutdown().await.expect("the relay ends");
    consumer.shutdown().await.expect("the consumer ends");
}
