//! What a file with events, aggregates or handlers needs: `use domain_events::prelude::*;`

pub use crate::{
    AggregateRoot, Attempt, DomainEvent, EventMeta, FromServices, HandlerError, PendingEvents, Service, Services,
    aggregate_root, event_handler,
};
pub use chrono::{DateTime, Utc};
