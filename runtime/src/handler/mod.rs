//! 3 · Who wants to know: handlers, how they are registered, wired to their services, and called.

mod definition;
mod inject;
mod options;
mod outcome;
mod services;

pub use definition::HandlerDef;
pub(crate) use definition::MetaSource;
#[doc(hidden)]
pub use definition::{HandledEvent, HandlerFuture, Instance, Invocation, build, output, run};
pub(crate) use inject::DependencyKind;
pub use inject::{Attempt, Dependency, Inject};
pub use options::{Backoff, HandlerOptions, OnDead, Start};
pub use outcome::{HandlerError, HandlerOutput, Verdict};
pub use services::{FieldFromServices, FromServices, MissingService, Service, ServiceScope, Services, Shared};
