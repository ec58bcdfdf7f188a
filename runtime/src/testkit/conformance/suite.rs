//! What every case starts from: the backend's data, a runtime on it, and words for a case that does not apply.

use std::{
    future::Future,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use uuid::Uuid;

use super::{
    StoreHarness,
    cast::{self, Parcel, ParcelMovedEvent},
    journal::{Entry, Journal},
    stage::{Act, Seen, Stage},
};
use crate::{
    builder::Builder,
    domain_events::DomainEvents,
    error::Result,
    event::Envelope,
    handler::HandlerDef,
    store::{Capabilities, EventLog, Store},
    testkit::recorded::read_all,
};

/// The longest that anything a case waits for may take: generous, since the machine may be busy.
pub(super) const LIMIT: Duration = Duration::from_secs(120);

/// Short, so that a killed holder's subscriptions are soon free; long enough for a busy machine to renew in time.
pub(super) const LEASE: Duration = Duration::from_millis(700);

/// What a case needs of a store, and what it means to lack it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Need {
    Durable,
    Transactions,
    SeveralProcesses,
    ConcurrentWriters,
}

/// One case at work on one backend.
pub struct Suite<H> {
    pub(super) harness: H,
    case: &'static str,
    /// The full name of the test that is a child process when it is told to.
    pub(super) child_test: String,
    pub(super) capabilities: Capabilities,
    scratch: Scratch,
}

/// A folder that goes with the case.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    pub(super) fn new() -> Self {
        Self(scratch_folder())
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // After a failure it stays, for whoever looks into it.
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

/// A folder of its own for one case.
pub(super) fn scratch_folder() -> PathBuf {
    let folder = std::env::temp_dir().join(format!("domain-events-{}", Uuid::now_v7()));
    std::fs::create_dir_all(&folder).expect("a folder can be made for temporary files");
    folder
}

impl<H: StoreHarness> Suite<H> {
    pub(super) async fn new(harness: H, case: &'static str, child_test: String) -> Self {
        let capabilities = harness.open().await.capabilities();
        Self { harness, case, child_test, capabilities, scratch: Scratch::new() }
    }

    /// Whether the store can't do what the case is about; then says so, with the reason.
    pub(super) fn lacks(&self, need: Need) -> bool {
        let Capabilities { name, durable, transactional, several_processes, concurrent_writers, .. } =
            self.capabilities;
        let (has, reason) = match need {
            Need::Durable => (durable, "nothing in it outlives the process"),
            Need::Transactions => (transactional, "it has no tables of the application's in its transactions"),
            Need::SeveralProcesses => (several_processes, "one process uses it at a time"),
            Need::ConcurrentWriters => {
                (concurrent_writers, "one transaction writes at a time, so none can be overtaken")
            }
        };
        if !has {
            self.not_applicable(name, reason);
        }
        !has
    }

    #[expect(clippy::print_stdout, reason = "a case that did not run must be seen, in a test's output")]
    fn not_applicable(&self, name: &str, reason: &str) {
        println!("{} is not applicable to {name}: {reason}", self.case);
    }

    /// A runtime with these handlers, on a handle of its own.
    pub(super) async fn runtime(&self, stage: &Arc<Stage>, handlers: &[&'static HandlerDef]) -> DomainEvents<H::Store> {
        self.runtime_with(stage, handlers, |builder| builder).await
    }

    /// The same, with settings.
    pub(super) async fn runtime_with(
        &self,
        stage: &Arc<Stage>,
        handlers: &[&'static HandlerDef],
        settings: impl FnOnce(Builder<H::Store>) -> Builder<H::Store>,
    ) -> DomainEvents<H::Store> {
        runtime_on(self.harness.open().await, stage, handlers, settings)
    }

    /// The file that several processes write into.
    pub(super) fn journal_path(&self) -> PathBuf {
        self.scratch.0.join("journal")
    }

    /// A stage whose actors also write into the journal.
    pub(super) fn journalled(&self, script: impl Fn(&Seen) -> Act + Send + Sync + 'static) -> Arc<Stage> {
        Arc::new(Stage::new(script).with_journal(Journal::open(&self.journal_path())))
    }

    pub(super) fn journal(&self) -> Vec<Entry> {
        Journal::read(&self.journal_path())
    }

    /// Gives a sign to those who wait for this file beside the journal.
    pub(super) fn signal(&self, file: &str) {
        std::fs::write(self.scratch.0.join(file), "").expect("a signal can be written");
    }

    pub(super) fn scratch(&self) -> &Path {
        &self.scratch.0
    }
}

/// A runtime with these handlers and nothing else.
pub(super) fn runtime_on<S: Store>(
    store: S,
    stage: &Arc<Stage>,
    handlers: &[&'static HandlerDef],
    settings: impl FnOnce(Builder<S>) -> Builder<S>,
) -> DomainEvents<S> {
    let mut builder = DomainEvents::builder()
        .store(store)
        .without_linked()
        .services(cast::services(stage))
        .event::<ParcelMovedEvent>()
        .lease(LEASE);
    for handler in handlers {
        builder = builder.handler(handler);
    }
    settings(builder).build().expect("the suite's own wiring is right")
}

/// A stage on which everything succeeds.
pub(super) fn calm() -> Arc<Stage> {
    stage(|_| Act::Done)
}

pub(super) fn stage(script: impl Fn(&Seen) -> Act + Send + Sync + 'static) -> Arc<Stage> {
    Arc::new(Stage::new(script))
}

/// Commits one event per step, each in a transaction of its own.
pub(super) async fn commit<S: Store>(events: &DomainEvents<S>, parcel: &str, steps: impl IntoIterator<Item = u64>) {
    let mut aggregate = Parcel::new(parcel);
    for step in steps {
        aggregate.step(step);
        save(events, &mut aggregate).await.expect("an event can be committed");
    }
}

/// Commits what is pending on an aggregate.
pub(super) async fn save<S: Store>(events: &DomainEvents<S>, parcel: &mut Parcel) -> Result<()> {
    let mut work = events.begin().await?;
    work.record(parcel);
    work.commit().await
}

/// The log: aggregate id and step of each event.
pub(super) async fn log<S: EventLog>(store: &S) -> Vec<(String, u64)> {
    read_all(store).await.iter().map(|envelope| (envelope.meta.aggregate_id.to_string(), step_of(envelope))).collect()
}

/// The step in an envelope of the suite's event.
pub(super) fn step_of(envelope: &Envelope) -> u64 {
    use crate::event::DomainEvent;
    ParcelMovedEvent::decode(&envelope.payload).map_or(0, |event| event.step)
}

/// Waits until a condition holds: `Err` is how things stand, for the message when the limit is over.
pub(super) async fn until<F>(what: &str, mut condition: impl FnMut() -> F)
where
    F: Future<Output = Result<(), String>>,
{
    let begun = Instant::now();
    while let Err(state) = condition().await {
        assert!(begun.elapsed() < LIMIT, "waited {LIMIT:?} in vain until {what}; now: {state}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The same for a condition that needs no store.
pub(super) async fn until_true(what: &str, condition: impl Fn() -> bool) {
    until(what, || {
        let holds = condition();
        async move { if holds { Ok(()) } else { Err("not yet".to_owned()) } }
    })
    .await;
}

/// Where a subscription stands.
pub(super) async fn subscription<S: Store>(store: &S, handler: &str) -> crate::store::record::SubscriptionState {
    let name = cast::full(handler);
    let states = store.subscriptions().await.expect("the subscriptions can be read");
    let known: Vec<_> = states.iter().map(|state| state.id.to_string()).collect();
    states
        .into_iter()
        .find(|state| *state.id.handler == *name)
        .unwrap_or_else(|| panic!("there is no subscription `{name}`; there are: {known:?}"))
}
