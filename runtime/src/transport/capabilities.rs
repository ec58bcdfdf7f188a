//! What a backend can do, as data: start-up, the consumer, the conformance suite and the README's table read it.

/// Within what an aggregate's events keep their order on the way to one handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ordering {
    /// Across any number of processes that share the subscription.
    AcrossProcesses,
    /// As long as one process takes them in.
    WithinProcess,
    /// Not at all.
    None,
}

/// What a transport can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// The backend's name: `memory`, `redis`, `redis+pubsub`, `nats`, `nats+core`, `amqp`, `kafka`.
    pub name: &'static str,
    /// A publish that returns `Ok` is kept by the broker.
    pub confirms: bool,
    /// What was taken and not settled is delivered again: at least once. Otherwise at most once.
    pub redelivers: bool,
    /// A subscription that exists gets what was published while nobody took it in.
    pub keeps_for_absent: bool,
    /// A new subscription can begin with what was published before it existed.
    pub replays: bool,
    /// What is kept outlives a broker that is killed and started again on its data.
    pub outlives_broker: bool,
    /// Within what the order of an aggregate holds.
    pub ordering: Ordering,
    /// Several processes share a subscription: each message goes to one of them.
    pub shares: bool,
    /// The broker drops a second publish of one event id, for a time.
    pub deduplicates: bool,
    /// What is given up on is kept on the broker, with the reason.
    pub dead_letters: bool,
    /// The broker can be reached by other processes.
    pub several_processes: bool,
    /// The most bytes of a message that the broker takes with its default settings, if less than 16 MiB.
    pub message_bytes: Option<usize>,
}

impl Capabilities {
    /// A transport that can do none of it.
    #[must_use]
    pub const fn none(name: &'static str) -> Self {
        Self {
            name,
            confirms: false,
            redelivers: false,
            keeps_for_absent: false,
            replays: false,
            outlives_broker: false,
            ordering: Ordering::None,
            shares: false,
            deduplicates: false,
            dead_letters: false,
            several_processes: false,
            message_bytes: None,
        }
    }
}
