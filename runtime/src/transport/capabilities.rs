//! What a backend can do, as data: start-up, the consumer, the conformance suite and the README's table read it.

/// Within what an aggregate's events keep their order on the way to one handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ordering {
    /// Across any number of processes that share the subscription.
    AcrossProcesses,
    /// Across processes that stay. While they come and go, one event may come before an earlier one that was given back.
    AcrossStayingProcesses,
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
    /// What a process holds unsettled stays with it while others come and go. Where it need not, a delivery that waits for
    /// another attempt can come to a second process meanwhile.
    pub holds: bool,
    /// It is known how often a message was delivered before, or may have been, also to processes that died: an event that
    /// takes its process down is found by that.
    pub counts: bool,
    /// The broker drops a second publish of one event id, for a time.
    pub deduplicates: bool,
    /// What is given up on is kept on the broker, with the reason.
    pub dead_letters: bool,
    /// What belongs to a handler can be [removed](super::Transport::forget).
    pub forgets: bool,
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
            holds: false,
            counts: false,
            deduplicates: false,
            dead_letters: false,
            forgets: false,
            several_processes: false,
            message_bytes: None,
        }
    }
}

/// A table of what transports can do, in Markdown: as it stands in the README.
///
/// ```
/// use domain_events::transport::{MemoryTransport, Transport, capability_table};
///
/// let table = capability_table([MemoryTransport::new().capabilities()]);
/// assert!(table.lines().nth(2).is_some_and(|row| row.starts_with("| `memory` | at least once |")));
/// ```
#[must_use]
pub fn capability_table(transports: impl IntoIterator<Item = Capabilities>) -> String {
    let mut table = "| transport | delivery | a publish is confirmed | kept for handlers that are away | new handlers get \
                     what came before | outlives the broker's crash | order per aggregate | processes share a handler | \
                     what a process holds stays with it | what takes its process down is found | \
                     a second publish is dropped | dead letters on the broker | largest message |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|\n"
        .to_owned();
    for transport in transports {
        table += &transport.row();
    }
    table
}

impl Capabilities {
    fn row(&self) -> String {
        let yes = |can: bool| if can { "yes" } else { "no" };
        let delivery = if self.redelivers { "at least once" } else { "at most once" };
        let ordering = match self.ordering {
            Ordering::AcrossProcesses => "across processes",
            Ordering::AcrossStayingProcesses => "across processes, while none comes or goes",
            Ordering::WithinProcess => "within one process",
            Ordering::None => "no",
        };
        let largest = self.message_bytes.map_or("16 MiB or more".to_owned(), |bytes| match bytes / 1024 {
            kib if kib < 1024 => format!("{kib} KiB"),
            kib => format!("{} MiB", kib / 1024),
        });
        let cells = [
            &format!("`{}`", self.name),
            delivery,
            yes(self.confirms),
            yes(self.keeps_for_absent),
            yes(self.replays),
            yes(self.outlives_broker),
            ordering,
            yes(self.shares),
            yes(self.holds),
            yes(self.counts),
            yes(self.deduplicates),
            yes(self.dead_letters),
            &largest,
        ];
        format!("| {} |\n", cells.join(" | "))
    }
}
