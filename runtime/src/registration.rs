//! The link-time registration: four slices, filled by the macros' expansions all over the program.
//!
//! Each slice has one element of our own, the probe: if it is missing, collection does not work for this target or
//! linker, and start-up says so instead of running without handlers. The names carry the major version, so that two
//! versions of this crate in one program don't mix.
#![expect(unsafe_code, reason = "linkme puts the elements into a section of the binary")]

use std::any::TypeId;

use linkme::distributed_slice;

use crate::{
    event::{AggregateDef, AggregateId, EventDef, PayloadError, Source},
    handler::{HandlerDef, HandlerOptions},
};

/// Every event of the program.
#[distributed_slice]
pub static EVENTS: [EventDef];

/// Every aggregate type of the program.
#[distributed_slice]
pub static AGGREGATES: [AggregateDef];

/// Every handler of the program.
#[distributed_slice]
pub static HANDLERS: [HandlerDef];

/// Every crate of the program that says `domain_events::module!()`.
#[distributed_slice]
pub static MODULES: [ModuleDef];

/// A crate that takes part: its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModuleDef {
    /// The crate's name, as in `use`.
    pub name: &'static str,
}

/// The source of our own elements.
pub(crate) const PROBE: Source = Source { module: "domain_events", file: file!(), line: line!() };

#[distributed_slice(EVENTS)]
static EVENT_PROBE: EventDef = EventDef {
    name: "domain_events.probe",
    version: 1,
    aliases: &[],
    aggregate: "domain_events.probe",
    source: PROBE,
    type_name: || "probe",
    type_id: TypeId::of::<()>,
    encode: |_| Ok(Vec::new()),
    decode: |_| Err(PayloadError::new("the probe is not an event")),
    aggregate_id: |_| AggregateId::from(""),
    occurred_at: |_| None,
};

#[distributed_slice(AGGREGATES)]
static AGGREGATE_PROBE: AggregateDef =
    AggregateDef { name: "domain_events.probe", source: PROBE, type_id: TypeId::of::<()> };

#[distributed_slice(HANDLERS)]
static HANDLER_PROBE: HandlerDef = HandlerDef {
    name: "probe",
    group: None,
    aliases: &[],
    source: PROBE,
    events: &[],
    instance: None,
    options: HandlerOptions::DEFAULT,
};

#[distributed_slice(MODULES)]
static MODULE_PROBE: ModuleDef = ModuleDef { name: "domain_events" };

/// Where an event stands in [`EVENTS`]: by its address, no name is hashed. `None` for one that was not linked in.
pub(crate) fn event_index(def: &'static EventDef) -> Option<usize> {
    let offset = std::ptr::from_ref(def).addr().checked_sub(EVENTS.as_ptr().addr())?;
    let index = offset / size_of::<EventDef>();
    (index < EVENTS.len()).then_some(index)
}
