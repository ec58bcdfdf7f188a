//! What every case starts from: the backend's transport, a runtime, and words for a case that does not apply.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Broker, TransportHarness};
use crate::{
    consumer::RunningConsumer,
    domain_events::DomainEvents,
    event::{DomainEvent, Envelope, EventId, EventMeta, key_of},
    handler::HandlerDef,
    store::MemoryStore,
    testkit::conformance::{
        ParcelMovedEvent,
        cast::full,
        journal::{Entry, Journal},
        stage::{Act, Seen, Stage},
        suite::{LIMIT, Scratch, runtime_on, until, until_true},
    },
    transport::{
        Capabilities, Inbound, Ordering, Transport,
        message::{Mode, decode, encode},
        record::{Content, Delivery, Fate, Outgoing, Settlement, Subscription, Unconfirmed},
    },
};

/// What a case needs of a transport, and what it means to lack it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Need {
    Confirms,
    Redelivers,
    KeepsForAbsent,
    Replays,
    OutlivesBroker,
    Order,
    Shares,
    Holds,
    Counts,
    Deduplicates,
    DeadLetters,
    Forgets,
}

/// One case at work on one backend.
pub struct TransportSuite<H> {
    pub(super) harness: H,
    case: &'static str,
    pub(super) capabilities: Capabilities,
    scratch: Scratch,
}

impl<H: TransportHarness> TransportSuite<H> {
    pub(super) async fn new(harness: H, case: &'static str) -> Self {
        let capabilities = harness.capabilities().await;
        Self { harness, case, capabilities, scratch: Scratch::new() }
    }

    /// Whether the transport can't do what the case is about; then says so, with the reason.
    pub(super) fn lacks(&self, needs: &[Need]) -> bool {
        let can = &self.capabilities;
        let lacking = needs.iter().find_map(|need| {
            let (has, reason) = match need {
                Need::Confirms => (can.confirms, "it confirms nothing"),
                Need::Redelivers => (can.redelivers, "it delivers at most once"),
                Need::KeepsForAbsent => (can.keeps_for_absent, "it keeps nothing for those who are away"),
                Need::Replays => (can.replays, "a new subscription begins with what comes"),
                Need::OutlivesBroker => (can.outlives_broker, "nothing in it outlives the broker"),
                Need::Order => (self.keeps_order(), "it keeps no order"),
                Need::Holds => (can.holds, "a delivery that is held can move when processes come and go"),
                Need::Counts => (can.counts, "it does not count deliveries"),
                Need::Shares => (can.shares, "a subscription is not shared"),
                Need::Deduplicates => (can.deduplicates, "it does not notice an event that comes twice"),
                Need::DeadLetters => (can.dead_letters, "it keeps no dead letters"),
                Need::Forgets => (can.forgets, "it can't remove what belongs to a handler"),
            };
            (!has).then_some(reason)
        });
        lacking.is_some_and(|reason| self.not_applicable(reason))
    }

    /// Says that the case does not apply; always true.
    #[expect(clippy::print_stdout, reason = "a case that did not run must be seen, in a test's output")]
    pub(super) fn not_applicable(&self, reason: &str) -> bool {
        println!("{} is not applicable to {}: {reason}", self.case, self.capabilities.name);
        true
    }

    /// The same case on a broker of its own; `None`, said, where there is none to hurt.
    pub(super) async fn alone(self) -> Option<(Self, Arc<dyn Broker>)> {
        match self.harness.alone().await {
            Some((harness, broker)) => Some((Self { harness, ..self }, broker)),
            None => {
                self.not_applicable("it has no broker that could be killed");
                None
            }
        }
    }

    /// A transport as another process would open it.
    pub(super) async fn open(&self) -> Arc<dyn Transport> {
        self.harness.open().await
    }

    /// Whether an aggregate's events keep their order on the way to one subscriber.
    pub(super) fn keeps_order(&self) -> bool {
        self.capabilities.ordering != Ordering::None
    }

    /// How many subscribers a case about order may have: where order holds within a process only, one.
    pub(super) fn in_order(&self, subscribers: usize) -> usize {
        match self.capabilities.ordering {
            Ordering::AcrossProcesses | Ordering::AcrossStayingProcesses => subscribers,
            Ordering::WithinProcess | Ordering::None => 1,
        }
    }

    /// A runtime with these handlers, that remembers nothing.
    pub(super) fn runtime(&self, stage: &Arc<Stage>, handlers: &[&'static HandlerDef]) -> DomainEvents<MemoryStore> {
        runtime_on(MemoryStore::new(), stage, handlers, |builder| builder)
    }

    /// So many consumers of a runtime, connected; each as a process of its own.
    pub(super) async fn consumers(&self, events: &DomainEvents<MemoryStore>, count: usize) -> Vec<RunningConsumer> {
        let mut consumers = Vec::new();
        for _ in 0..count {
            consumers.push(self.consumer(events).await);
        }
        connected(&consumers).await;
        consumers
    }

    /// One consumer, started.
    pub(super) async fn consumer(&self, events: &DomainEvents<MemoryStore>) -> RunningConsumer {
        events.consumer(self.open().await).start().expect("a consumer starts")
    }

    /// Publishes, and has it confirmed.
    pub(super) async fn publish(&self, messages: &[Outgoing]) {
        publish(&*self.open().await, messages).await;
    }

    pub(super) fn journal_path(&self) -> PathBuf {
        self.scratch.path().join("journal")
    }

    /// A stage whose actors also write down what they do, in order.
    pub(super) fn journalled(&self, script: impl Fn(&Seen) -> Act + Send + Sync + 'static) -> Arc<Stage> {
        Arc::new(Stage::new(script).with_journal(Journal::open(&self.journal_path())))
    }

    pub(super) fn journal(&self) -> Vec<Entry> {
        Journal::read(&self.journal_path())
    }
}

/// A subscription with one partition, by a node of its own.
pub(super) fn subscription(handler: &str, events: &[&str]) -> Subscription {
    Subscription {
        handler: full(handler).into(),
        events: events.iter().map(|event| (*event).to_owned()).collect(),
        partitions: 1,
        window: 512,
        from_now: false,
        node: EventId::generate().to_string().into(),
    }
}

/// The same subscription, by another process.
pub(super) fn by_another(subscription: &Subscription) -> Subscription {
    Subscription { node: EventId::generate().to_string().into(), ..subscription.clone() }
}

/// The envelope of one step of a parcel.
pub(super) fn envelope(parcel: &str, step: u64) -> Envelope {
    let event = ParcelMovedEvent { parcel_id: parcel.to_owned(), step, note: String::new() };
    let payload = DomainEvent::encode(&event).expect("the suite's event can be written");
    Envelope::new(EventMeta::of(&event), payload)
}

pub(super) fn encoded(envelope: &Envelope, mode: Mode) -> Outgoing {
    encode(envelope, "/conformance", mode).expect("the suite's source is a URI reference")
}

/// The message for one step of a parcel.
pub(super) fn message(parcel: &str, step: u64) -> Outgoing {
    encoded(&envelope(parcel, step), Mode::Structured)
}

/// The same under another event's name.
pub(super) fn message_of(event: &'static str, parcel: &str, step: u64) -> Outgoing {
    let mut envelope = envelope(parcel, step);
    envelope.meta.name = event.into();
    encoded(&envelope, Mode::Structured)
}

/// So many messages, spread over so many parcels: their steps are 1, 2, 3, ...
pub(super) fn messages(count: u64, parcels: u64) -> Vec<Outgoing> {
    (0..count).map(|number| message(&format!("p{}", number % parcels), number / parcels + 1)).collect()
}

/// Anything as a message of the suite's event, for this parcel.
pub(super) fn raw(parcel: &str, content: Content) -> Outgoing {
    let hash = key_of("Parcel", parcel);
    Outgoing::new(EventId::generate(), ParcelMovedEvent::NAME, format!("Parcel:{parcel}"), hash, content)
}

pub(super) async fn publish(transport: &dyn Transport, messages: &[Outgoing]) {
    let mut publisher = transport.publisher().await.expect("the broker lets us publish");
    for batch in messages.chunks(256) {
        publisher.publish(batch).await.expect("the broker confirms");
    }
}

/// Publishes until all is confirmed, through all failures that pass, in batches of so many; calls back for each batch.
pub(super) async fn insist(transport: &dyn Transport, messages: &[Outgoing], batch: usize, confirmed: impl Fn(usize)) {
    let begun = Instant::now();
    let mut done = 0;
    let mut publisher = None;
    while done < messages.len() {
        assert!(begun.elapsed() < LIMIT * 3, "only {done} of {} messages were confirmed", messages.len());
        let error = match &mut publisher {
            None => match transport.publisher().await {
                Ok(made) => {
                    publisher = Some(made);
                    continue;
                }
                Err(error) => error,
            },
            Some(publisher) => match publisher.publish(&messages[done..messages.len().min(done + batch)]).await {
                Ok(()) => {
                    let sent = batch.min(messages.len() - done);
                    done += sent;
                    confirmed(sent);
                    continue;
                }
                Err(Unconfirmed { confirmed: some, error }) => {
                    done += some;
                    confirmed(some);
                    error
                }
            },
        };
        assert!(error.is_temporary(), "a broker that is away for a while is `Unavailable`: {error:?}");
        publisher = None;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Waits until all consumers have a connection.
pub(super) async fn connected(consumers: &[RunningConsumer]) {
    until("all consumers are connected", || {
        let not_yet: Vec<_> = consumers.iter().flat_map(RunningConsumer::health).filter(|one| !one.connected).collect();
        async move { if not_yet.is_empty() { Ok(()) } else { Err(format!("{not_yet:?}")) } }
    })
    .await;
}

/// Waits until a handler has handled so many different events.
pub(super) async fn until_handled(stage: &Stage, handler: &str, events: usize) {
    until(&format!("`{handler}` has handled {events} events"), || {
        let handled = stage.handled(handler).len();
        async move { if handled >= events { Ok(()) } else { Err(format!("{handled}")) } }
    })
    .await;
}

pub(super) async fn shut_down(consumers: Vec<RunningConsumer>) {
    for consumer in consumers {
        consumer.shutdown().await.expect("a consumer ends");
    }
}

pub(super) async fn subscribe(transport: &dyn Transport, subscription: &Subscription) -> Arc<dyn Inbound> {
    transport.ensure(subscription).await.expect("a subscription can be made");
    transport.subscribe(subscription).await.expect("a subscription can be opened")
}

/// The next deliveries, at least one.
pub(super) async fn receive(inbound: &dyn Inbound, max: usize) -> Vec<Delivery> {
    let begun = Instant::now();
    loop {
        let left = LIMIT.saturating_sub(begun.elapsed());
        let received = tokio::time::timeout(left, inbound.receive(max)).await;
        match received.unwrap_or_else(|_| panic!("waited {LIMIT:?} in vain for a delivery")) {
            Ok(deliveries) => return deliveries,
            Err(error) => assert!(error.is_temporary(), "receiving failed for good: {error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Receives so many deliveries and settles them; at most once each.
pub(super) async fn collect(inbound: &dyn Inbound, count: usize) -> Vec<Delivery> {
    let mut collected = Vec::new();
    while collected.len() < count {
        let deliveries = receive(inbound, count - collected.len()).await;
        assert!(!deliveries.is_empty(), "the stream ended after {} of {count} deliveries", collected.len());
        inbound.settle(all(&deliveries, &Fate::Done)).await.expect("deliveries can be settled");
        collected.extend(deliveries);
    }
    collected
}

pub(super) fn all(deliveries: &[Delivery], fate: &Fate) -> Vec<Settlement> {
    deliveries.iter().map(|delivery| Settlement { tag: delivery.tag, fate: fate.clone() }).collect()
}

/// The event in a delivery.
pub(super) fn read(delivery: &Delivery) -> Envelope {
    decode(&delivery.message).unwrap_or_else(|error| panic!("{error}: {:?}", delivery.message))
}

/// Parcel and step of each delivery.
pub(super) fn steps(deliveries: &[Delivery]) -> Vec<(String, u64)> {
    let step = |delivery| crate::testkit::conformance::suite::step_of(&read(delivery));
    deliveries.iter().map(|delivery| (read(delivery).meta.aggregate_id.to_string(), step(delivery))).collect()
}

/// Checks that no event began for the first time before the one before it in its parcel was handled.
pub(super) fn check_first_order(entries: &[Entry], handler: &str) {
    let mut handled = std::collections::BTreeSet::new();
    for Entry { aggregate, step, what, .. } in entries.iter().filter(|entry| entry.handler == handler) {
        let before = (aggregate.clone(), step - 1);
        assert!(
            what != "begin" || *step == 1 || handled.contains(&before),
            "`{handler}` was given {aggregate}/{step} before {aggregate}/{} was done",
            step - 1
        );
        if what == "done" {
            handled.insert((aggregate.clone(), *step));
        }
    }
}

/// Waits until this is true.
pub(super) async fn until_so(what: &str, condition: impl Fn() -> bool) {
    until_true(what, condition).await;
}
