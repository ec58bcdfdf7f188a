//! 7 · Carry it elsewhere: brokers, behind one small set of traits.
//!
//! A [`Transport`] is a broker's address and how to use it. The relay publishes through its [`Publisher`], a consumer takes
//! in through an [`Inbound`] per handler. The backends are leaves: they know these traits, the rows in [`record`] and the
//! event's ids, and nothing of handlers. What is in a message is [`message`]'s business, which backend an address means is
//! [`connect`]'s.
//!
//! All methods return boxed futures, so that one program can be told its broker at start-up.

#[cfg(any(feature = "redis", feature = "nats", feature = "rabbitmq", feature = "kafka"))]
mod address;
mod capabilities;
#[cfg(feature = "kafka")]
mod kafka;
mod link;
mod memory;
pub mod message;
#[cfg(feature = "nats")]
mod nats;
#[cfg(feature = "rabbitmq")]
mod rabbitmq;
pub mod record;
#[cfg(feature = "redis")]
mod redis;
mod url;

pub use capabilities::{Capabilities, Ordering, capability_table};
pub use link::Health;
pub(crate) use link::Link;
pub use memory::MemoryTransport;
pub use url::{Scheme, connect};

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use crate::error::{Error, ErrorKind, Result};
use record::{DeadMessage, Delivery, Outgoing, Settlement, Subscription, Unconfirmed};

/// A future in a box, as the methods here return it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A broker. Making one talks to nobody: a broker that is away delays what is asked of it, and ends nothing.
///
/// Errors of all methods: [`Unavailable`](crate::ErrorKind::Unavailable) where trying again can help;
/// [`Configuration`](crate::ErrorKind::Configuration) where somebody has to change something first (wrong credentials,
/// an unknown host, missing rights, something on the broker that was made with other settings). No message ever holds a
/// password.
pub trait Transport: fmt::Debug + Send + Sync + 'static {
    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// Where it leads, for people: scheme, host, port, prefix.
    fn address(&self) -> &str;

    /// Connects a way in.
    fn publisher(&self) -> BoxFuture<'_, Result<Box<dyn Publisher>>>;

    /// Makes sure that the broker has the subscription, and so keeps for it what is published from now on (where the
    /// backend [keeps](Capabilities::keeps_for_absent) anything), without taking anything in. Changes of the handler's
    /// events are followed. Idempotent.
    fn ensure<'a>(&'a self, subscription: &'a Subscription) -> BoxFuture<'a, Result<()>>;

    /// Connects a way out, after [`ensure`](Self::ensure).
    fn subscribe<'a>(&'a self, subscription: &'a Subscription) -> BoxFuture<'a, Result<Arc<dyn Inbound>>>;

    /// The dead letters of a handler, oldest first, at most `limit`; they stay where they are. Empty where the backend
    /// keeps none.
    fn dead_letters<'a>(&'a self, handler: &'a str, limit: usize) -> BoxFuture<'a, Result<Vec<DeadMessage>>>;

    /// Makes a dead letter a delivery of its handler again; `false` if there is none with this id.
    fn redrive<'a>(&'a self, handler: &'a str, id: &'a str) -> BoxFuture<'a, Result<bool>>;

    /// Removes a dead letter for good; `false` if there is none with this id.
    fn discard<'a>(&'a self, handler: &'a str, id: &'a str) -> BoxFuture<'a, Result<bool>>;

    /// Removes what the broker keeps of a handler that is gone from the code: its place, what it has not taken in, and its
    /// dead letters. Until then the broker goes on keeping for it. `false` if there is nothing of it. A handler of that name
    /// that comes later is a new one.
    ///
    /// # Errors
    ///
    /// [`Refused`](crate::ErrorKind::Refused) while a process takes in for it; one that died counts until its lease or its
    /// connection is over. [`Configuration`](crate::ErrorKind::Configuration) where the broker can't do it.
    fn forget<'a>(&'a self, handler: &'a str) -> BoxFuture<'a, Result<bool>>;
}

/// The refusal to forget a handler that somebody takes in for.
fn taken_in(handler: &str, place: &str, who: &str) -> Error {
    let message =
        format!("`{handler}` can't be forgotten at {place}: {who} takes in for it; stop all of its processes first");
    Error::new(ErrorKind::Refused, message)
}

/// A connected way in. After an error it is dropped and a new one made.
pub trait Publisher: Send {
    /// Publishes in this order, and returns when the broker has confirmed all of it (where it
    /// [confirms](Capabilities::confirms) at all). Keeps as many messages on the way as is good for the broker.
    fn publish<'a>(&'a mut self, messages: &'a [Outgoing]) -> BoxFuture<'a, Result<(), Unconfirmed>>;
}

/// A connected way out: the deliveries of one subscription to this process.
///
/// It keeps what is unsettled alive on the broker (acknowledgement deadlines, ownership of a partition) by itself, in the
/// background, until it is settled, closed or dropped. Dropped without [`close`](Self::close), it is as if the process
/// had died.
pub trait Inbound: Send + Sync {
    /// The next deliveries, at least one and at most `max`; waits for them. One call at a time. Cancel-safe: a call that
    /// is dropped loses nothing.
    ///
    /// # Errors
    ///
    /// The connection was lost, or could not be restored. The next call tries again, at once: the caller waits in between.
    /// What is unsettled comes again with new tags, and the old ones mean nothing any more.
    fn receive(&self, max: usize) -> BoxFuture<'_, Result<Vec<Delivery>>>;

    /// Settles deliveries, in any order and many at a time. Settling an old tag changes nothing. `Ok` means that the broker
    /// was told, or is within a moment; where it does not hear of it, or loses it, it delivers again.
    fn settle(&self, settlements: Vec<Settlement>) -> BoxFuture<'_, Result<()>>;

    /// Gives back what is unsettled, so that others have it at once, and ends. `receive` then returns an empty list.
    fn close(&self) -> BoxFuture<'_, Result<()>>;
}
