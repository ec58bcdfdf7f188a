//! What a child process does: each role is a small program that the parent kills, freezes or waits for.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use super::{
    StoreHarness,
    cast::{self, Parcel},
    journal::Journal,
    stage::{Act, Seen, Stage},
    suite::{LIMIT, log, runtime_on, until_true},
};
use crate::{
    domain_events::DomainEvents,
    error::Result,
    handler::HandlerDef,
    store::{EventLog, Store, record::DeadReason},
    testkit::wait_until_settled,
};

/// The parcels and steps of the role [`Role::Everything`].
pub(super) const PARCELS: [&str; 3] = ["p1", "p2", "p3"];
pub(super) const STEPS: u64 = 4;

/// How many events each writer of [`Role::Load`] commits, over all its lives.
pub(super) const WRITERS: usize = 4;
pub(super) const LOAD: u64 = 60;

/// The delivery that takes its process down in [`Role::Poison`].
pub(super) const POISON: (&str, u64) = ("p2", 2);

/// A small program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Appends, delivers, retries, redrives, shuts down: it comes by every fault point.
    Everything,
    /// Delivers what is there, until nothing is left; one delivery aborts the process.
    Poison,
    /// Delivers until it is killed; the second step of a parcel takes until the file `go` is there.
    Hold,
    /// Several writers and a processor at once, until each writer has written its share.
    Load,
    /// Delivers what is there to the transactional handler, until nothing is left.
    Ledger,
}

impl Role {
    const ALL: [(Self, &str); 5] = [
        (Self::Everything, "everything"),
        (Self::Poison, "poison"),
        (Self::Hold, "hold"),
        (Self::Load, "load"),
        (Self::Ledger, "ledger"),
    ];

    pub(super) fn as_str(self) -> &'static str {
        Self::ALL.into_iter().find(|(role, _)| *role == self).map_or("", |(_, name)| name)
    }

    pub(super) fn parse(name: &str) -> Self {
        let found = Self::ALL.into_iter().find(|(_, known)| *known == name);
        found.unwrap_or_else(|| panic!("there is no role `{name}`")).0
    }
}

pub(super) async fn play<H: StoreHarness>(role: Role, harness: &H, journal: &Path) {
    match role {
        Role::Everything => everything(harness, journal).await,
        Role::Poison => poison(harness, journal).await,
        Role::Hold => hold(harness, journal).await,
        Role::Load => load(harness, journal).await,
        Role::Ledger => ledger(harness, journal).await,
    }
}

/// The handlers of [`Role::Everything`]: every kind there is.
pub(super) fn everybody<H: StoreHarness>() -> Vec<&'static HandlerDef> {
    let mut handlers = vec![&cast::FIRST, &cast::SECOND, &cast::PATIENT, &cast::ONCE];
    handlers.extend(H::ledger());
    handlers
}

/// What they do: one fails once, one gives up on one event until it is mended.
pub(super) fn ups_and_downs(journal: &Path) -> impl Fn(&Seen) -> Act + Send + Sync + use<> {
    let mended = mended(journal);
    move |seen| match (seen.handler.as_str(), seen.step, seen.attempt) {
        ("patient", 2, 1) => Act::Fail("not at the first try"),
        ("second", 3, _) if seen.aggregate == "p2" && !mended.exists() => Act::Permanent("broken"),
        _ => Act::Done,
    }
}

fn mended(journal: &Path) -> PathBuf {
    journal.with_file_name("mended")
}

async fn everything<H: StoreHarness>(harness: &H, journal: &Path) {
    let stage = Arc::new(Stage::new(ups_and_downs(journal)).with_journal(Journal::open(journal)));
    let events = runtime_on(harness.open().await, &stage, &everybody::<H>(), |builder| builder);
    let running = events.processor().start().await.expect("a processor starts");
    let log = Journal::open(journal);
    for step in 1..=STEPS {
        for parcel in PARCELS {
            write::<H>(&events, &log, parcel, step).await.expect("an event can be committed");
        }
    }
    finish(&events, journal).await;
    running.shutdown().await.expect("the processor stops");
}

/// Commits one event beside a business write, and notes before and after.
async fn write<H: StoreHarness>(
    events: &DomainEvents<H::Store>,
    journal: &Journal,
    parcel: &str,
    step: u64,
) -> Result<()> {
    let mut aggregate = Parcel::new(parcel);
    aggregate.step(step);
    journal.write(&format!("commit - {parcel} {step} 0"));
    let mut work = events.begin().await?;
    if events.store().capabilities().transactional {
        H::write_effect(work.connection(), &format!("business {parcel} {step}")).await?;
    }
    work.record(&mut aggregate);
    work.commit().await?;
    journal.write(&format!("committed - {parcel} {step} 0"));
    Ok(())
}

/// Waits until all is delivered, mends what was broken, redrives it, and waits again. A processor must be running.
pub(super) async fn finish<S: Store>(events: &DomainEvents<S>, journal: &Path) {
    let dead = wait_until_settled(events, LIMIT).await;
    std::fs::write(mended(journal), "").expect("a signal can be written");
    for letter in dead.iter().filter(|letter| letter.reason == DeadReason::Permanent) {
        events.admin().redrive(letter.id).await.expect("a dead letter can be redriven");
    }
    wait_until_settled(events, LIMIT).await;
}

async fn poison<H: StoreHarness>(harness: &H, journal: &Path) {
    let act = |seen: &Seen| match (seen.aggregate.as_str(), seen.step) {
        POISON => Act::Abort,
        _ => Act::Done,
    };
    let stage = Arc::new(Stage::new(act).with_journal(Journal::open(journal)));
    let events = runtime_on(harness.open().await, &stage, &[&cast::FIRST], |builder| builder);
    let running = events.processor().start().await.expect("a processor starts");
    wait_until_settled(&events, LIMIT).await;
    running.shutdown().await.expect("the processor stops");
}

async fn hold<H: StoreHarness>(harness: &H, journal: &Path) {
    let act = |seen: &Seen| if seen.step == 2 { Act::WaitFor("go") } else { Act::Done };
    let stage = Arc::new(Stage::new(act).with_journal(Journal::open(journal)));
    let events = runtime_on(harness.open().await, &stage, &[&cast::FIRST], |builder| builder);
    let running = events.processor().start().await.expect("a processor starts");
    // Killed long before; if the parent is gone, nobody waits for this process any more.
    tokio::time::sleep(LIMIT * 2).await;
    drop(running);
}

async fn load<H: StoreHarness>(harness: &H, journal: &Path) {
    // Slower than the writers, so that there is always something read and not handled when the process dies.
    let act = |seen: &Seen| if seen.handler == "first" { Act::Slow(Duration::from_millis(5)) } else { Act::Done };
    let stage = Arc::new(Stage::new(act).with_journal(Journal::open(journal)));
    let handlers: Vec<_> = [&cast::FIRST].into_iter().chain(H::ledger()).collect();
    let events = runtime_on(harness.open().await, &stage, &handlers, |builder| builder);
    let mut reached = BTreeMap::<String, u64>::new();
    for (parcel, step) in log(events.store()).await {
        reached.entry(parcel).and_modify(|last| *last = step.max(*last)).or_insert(step);
    }
    let running = events.processor().start().await.expect("a processor starts");
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let parcel = format!("w{writer}");
        let from = reached.get(&parcel).copied().unwrap_or(0) + 1;
        let (events, journal) = (events.clone(), Journal::open(journal));
        writers.spawn(async move {
            for step in from..=LOAD {
                write::<H>(&events, &journal, &parcel, step).await.expect("an event can be committed");
            }
        });
    }
    while let Some(writer) = writers.join_next().await {
        writer.expect("a writer ends");
    }
    wait_until_settled(&events, LIMIT).await;
    running.shutdown().await.expect("the processor stops");
}

async fn ledger<H: StoreHarness>(harness: &H, journal: &Path) {
    let stage = Arc::new(Stage::new(|_| Act::Done).with_journal(Journal::open(journal)));
    let handlers: Vec<_> = H::ledger().into_iter().collect();
    let events = runtime_on(harness.open().await, &stage, &handlers, |builder| builder.share_transactions(LIMIT));
    let running = events.processor().start().await.expect("a processor starts");
    wait_until_settled(&events, LIMIT).await;
    running.shutdown().await.expect("the processor stops");
}

/// Waits until the journal has so many lines.
pub(super) async fn until_written(journal: &Path, lines: usize) {
    let count = || std::fs::read_to_string(journal).map_or(0, |text| text.lines().count());
    until_true(&format!("the journal has {lines} lines"), || count() >= lines).await;
}
