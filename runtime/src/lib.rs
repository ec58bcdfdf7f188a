//! Domain events for Rust.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod aggregate;
mod clock;
mod error;
pub mod event;
pub mod handler;
pub mod prelude;
mod registration;
pub mod store;

#[doc(hidden)]
pub mod __private;

pub use aggregate::{AggregateRoot, PendingEvent, PendingEvents};
pub use clock::{Clock, EnteredClock};
pub use domain_events_macros::{DomainEvent, FromServices, aggregate_root, event_handler, handler};
pub use error::{Error, ErrorKind, Result};
pub use event::{AggregateId, DomainEvent, Envelope, EventId, EventMeta};
pub use handler::{Attempt, Backoff, FromServices, HandlerError, HandlerOptions, OnDead, Service, Services, Start};
