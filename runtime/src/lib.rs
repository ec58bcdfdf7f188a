//! Domain events for Rust.

pub mod admin;
pub mod aggregate;
mod builder;
mod clock;
mod config;
mod domain_events;
mod error;
pub mod event;
mod fault;
pub mod handler;
pub mod prelude;
pub mod processor;
pub mod store;
#[cfg(feature = "testkit")]
pub mod testkit;
mod wake;
mod work;

#[doc(hidden)]
pub mod __private;

pub use admin::Admin;
pub use aggregate::{AggregateRoot, PendingEvent, PendingEvents};
pub use builder::Builder;
pub use clock::{Clock, EnteredClock};
pub use config::UnknownEvents;
pub use domain_events::DomainEvents;
pub use domain_events_macros::{DomainEvent, FromServices, aggregate_root, event_handler, handler};
pub use error::{Error, ErrorKind, Result};
pub use event::{AggregateId, DomainEvent, Envelope, EventId, EventMeta};
pub use handler::{
    Attempt, Backoff, FromServices, HandlerError, HandlerOptions, Modules, OnDead, Service, Services, Start,
};
pub use processor::{Processor, RunningProcessor, shutdown_signal};
pub use store::MemoryStore;
#[cfg(feature = "sqlite")]
pub use store::SqliteStore;
pub use work::{Appended, DispatchReport, HandlerOutcome, UnitOfWork};
