//! 3 · Who wants to know: handlers, how they are registered, wired to their services, and called.

mod checks;
mod decode;
mod definition;
mod describe;
mod guarded;
mod inject;
mod making;
mod middleware;
mod options;
mod outcome;
mod registration;
mod registry;
mod services;
mod verdict;

pub(crate) use checks::Declared;
pub(crate) use decode::{Undeliverable, decode};
pub use definition::HandlerDef;
#[doc(hidden)]
pub use definition::{Begun, Build, HandledEvent, HandlerFuture, Instance, Invocation, build, output, place, run};
pub(crate) use definition::{Call, MetaSource};
pub(crate) use describe::Describe;
pub(crate) use guarded::{guarded, outcome};
pub use inject::{Attempt, Dependency, Inject};
pub(crate) use making::{Attempted, BURST, Ended, LOG, MOST, Making, Sharing, Together, UnderWay, timer};
pub(crate) use middleware::{call, panic_message};
pub use options::{Backoff, HandlerOptions, OnDead, Start};
pub(crate) use outcome::passed_over;
pub use outcome::{HandlerError, HandlerOutput, Verdict};
pub use registration::Modules;
pub(crate) use registration::PROBE;
#[doc(hidden)]
pub use registration::{AGGREGATES, EVENTS, HANDLERS};
pub(crate) use registry::{Connection, Entry, Registry, Resolution, Route, TransactionOffer, Wired};
pub use services::{FieldFromServices, FromServices, MissingService, Service, ServiceScope, Services, Shared};
pub(crate) use verdict::{CRASHED, INTERRUPTED, Next, Outcome, next};
