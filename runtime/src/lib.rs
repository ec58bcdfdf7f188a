//! Domain events for Rust: annotate plain domain types, keep every event in the transaction that raised it, and have it
//! delivered to its handlers at least once, in order per aggregate, with nothing lost.
//!
//! Three annotations and one runtime:
//!
//! - [`#[derive(DomainEvent)]`](derive@DomainEvent), [`#[aggregate_root]`](macro@aggregate_root) and
//!   [`#[event_handler(..)]`](macro@event_handler) write the boilerplate, the serialization and the registration, and
//!   check at compile time what can be checked then;
//! - [`DomainEvents`] checks and wires everything at start-up, begins units of work, appends and dispatches;
//! - its [`Processor`] takes committed events to their handlers.
//!
//! ```standalone_crate
//! use domain_events::{DomainEvents, prelude::*};
//!
//! #[derive(DomainEvent)]
//! #[event(aggregate = Card)]
//! struct CardAddedToLibraryEvent {
//!     #[event(aggregate_id)]
//!     card_id: String,
//! }
//!
//! #[aggregate_root]
//! struct Card {
//!     #[aggregate(id)]
//!     id: String,
//!     events: PendingEvents,
//! }
//!
//! #[event_handler(CardAddedToLibraryEvent)]
//! async fn notify_followers(event: &CardAddedToLibraryEvent) {
//!     println!("{} was added to a library", event.card_id);
//! }
//!
//! #[tokio::main]
//! async fn main() -> domain_events::Result<()> {
//!     let events = DomainEvents::builder().build()?;
//!     let mut card = Card { id: "rust-book".into(), events: PendingEvents::default() };
//!     card.raise(CardAddedToLibraryEvent { card_id: card.id.clone() });
//!     let mut work = events.begin().await?;
//!     work.record(&mut card);
//!     work.commit().await?;
//!     events.processor().drain().await
//! }
//! ```
//!
//! # Guides
//!
//! [Events and aggregates](docs::events) · [Handlers](docs::handlers) · [Delivery](docs::delivery) ·
//! [Transports](docs::transports) · [Transports](docs::transports) · [Linking](docs::linking) · Testing (`docs::testing`, feature `testkit`)
//!
//! # Features
//!
//! - `sqlite`: `SqliteStore`, on sqlx with SQLite built in.
//! - `postgres`: `PostgresStore`, on sqlx with TLS by rustls; with `sqlite` also `SqlStore`, either of the two.
//! - `redis`, `nats`, `rabbitmq`, `kafka`: that [transport], for handlers in processes or services without a shared
//!   database; `kafka-tls` for a Kafka that asks for TLS.
//! - `testkit`: given/when/then, waiting, recorded events, the conformance suites of stores and transports.
//!
//! Without any: the macros, the runtime, and [`MemoryStore`].

pub mod admin;
pub mod aggregate;
mod builder;
mod clock;
mod config;
pub mod consumer;
#[cfg(any(doc, doctest))]
pub mod docs;
mod domain_events;
mod error;
pub mod event;
mod fault;
pub mod handler;
pub mod prelude;
pub mod processor;
pub mod relay;
pub mod store;
#[cfg(feature = "testkit")]
pub mod testkit;
pub mod transport;
mod wake;
mod work;

#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
mod readme {}

#[doc(hidden)]
pub mod __private;

pub use admin::Admin;
pub use aggregate::{AggregateRoot, PendingEvent, PendingEvents};
pub use builder::Builder;
pub use clock::{Clock, EnteredClock};
pub use config::UnknownEvents;
pub use consumer::{Consumer, RunningConsumer};
pub use domain_events::DomainEvents;
pub use domain_events_macros::{DomainEvent, FromServices, aggregate_root, event_handler, handler};
pub use error::{Error, ErrorKind, Result};
pub use event::{AggregateId, DomainEvent, Envelope, EventId, EventMeta};
pub use handler::{
    Attempt, Backoff, FromServices, HandlerError, HandlerOptions, Modules, OnDead, Service, Services, Start,
};
pub use processor::{Processor, RunningProcessor, shutdown_signal};
pub use relay::{Relay, RunningRelay};
pub use store::MemoryStore;
#[cfg(feature = "postgres")]
pub use store::PostgresStore;
#[cfg(feature = "sqlite")]
pub use store::SqliteStore;
#[cfg(all(feature = "postgres", feature = "sqlite"))]
pub use store::{SqlStore, SqlTransaction};
pub use work::{Appended, DispatchReport, HandlerOutcome, UnitOfWork};
