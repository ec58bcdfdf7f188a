//! The link-time registration: three slices, filled by the macros' expansions all over the program.
//!
//! Each slice has one element of our own, the probe: if it is missing, collection does not work for this target or
//! linker, and start-up says so instead of running without handlers. The names carry the major version, so that two
//! versions of this crate in one program don't mix.
#![expect(unsafe_code, reason = "linkme puts the elements into a section of the binary")]

use linkme::distributed_slice;

use super::{definition::HandlerDef, options::HandlerOptions};
use crate::event::{AggregateDef, AggregateId, EventDef, PayloadError, Source};

/// Every event of the program.
#[distributed_slice]
pub static EVENTS: [EventDef];

/// Every aggregate type of the program.
#[distributed_slice]
pub static AGGREGATES: [AggregateDef];

/// Every handler of the program.
#[distributed_slice]
pub static HANDLERS: [HandlerDef];

/// The source of our own elements.
pub(crate) const PROBE: Source = Source { module: "domain_events", file: file!(), line: line!() };

#[distributed_slice(EVENTS)]
static EVENT_PROBE: EventDef = EventDef {
    name: "domain_events.probe",
    version: 1,
    aliases: &[],
    aggregate: "domain_events.probe",
    source: PROBE,
    encode: |_| Ok(Vec::new()),
    decode: |_| Err(PayloadError::new("the probe is not an event")),
    aggregate_id: |_| AggregateId::from(""),
    occurred_at: |_| None,
};

#[distributed_slice(AGGREGATES)]
static AGGREGATE_PROBE: AggregateDef = AggregateDef { name: "domain_events.probe", source: PROBE };

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

/// The crates a program expects to have been linked in: see [`modules!`](crate::modules).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Modules {
    /// The crate that made the list; it need not list itself.
    own: &'static str,
    names: Vec<String>,
}

impl Modules {
    /// Called by [`modules!`](crate::modules).
    #[doc(hidden)]
    #[must_use]
    pub fn of(module_path: &'static str, names: &[&'static str]) -> Self {
        let own = module_path.split("::").next().unwrap_or(module_path);
        Self { own, names: names.iter().map(|name| (*name).to_owned()).collect() }
    }

    /// Adds a crate by name, without linking it: it is an error at start-up if nothing else does.
    #[must_use]
    pub fn expect(mut self, name: impl Into<String>) -> Self {
        self.names.push(name.into());
        self
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    pub(crate) fn lists(&self, name: &str) -> bool {
        name == self.own || self.names().any(|listed| listed == name)
    }
}

/// Names the crates that a program is made of: links them in, and lets start-up check that each one is there.
///
/// The linker drops a crate that stands in `Cargo.toml` and that no code names, and its handlers with it, in silence.
/// `modules![cards, billing]` names them, so they are linked in; given to the builder, start-up fails for a listed
/// crate that registered nothing, and for a crate that registered something and is not listed.
///
/// ```
/// # extern crate std as cards;
/// use domain_events::modules;
///
/// let modules = modules![cards];
/// ```
#[macro_export]
macro_rules! modules {
    ($($module:ident),* $(,)?) => {{
        $(#[allow(unused_imports)] use $module as _;)*
        $crate::Modules::of(::core::module_path!(), &[$(::core::stringify!($module)),*])
    }};
}
