//! 3 · Who wants to know: handlers, how they are registered, wired to their services, and called.

mod definition;
mod inject;
mod options;
mod outcome;
mod services;

#[doc(hidden)]
pub use definition::{HandledEvent, HandlerFuture, Instance, Invocation, build, run};
pub use definition::HandlerDef;
pub(crate) use definition::MetaSource;
pub use inject::{Attempt, Dependency, Inject};
pub(crate) use inject::DependencyKind;
pub use options::{Backoff, HandlerOptions, OnDead, Start};
pub use outcome::{HandlerError, HandlerOutput, Verdict};
pub use services::{FieldFromServices, FromServices, MissingService, Service, ServiceScope, Services};
