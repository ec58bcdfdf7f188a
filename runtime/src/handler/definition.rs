//! What the program knows of a handler: one static each, collected at link time, and the shape of its calls.

use std::{
    any::Any,
    fmt,
    future::Future,
    mem::MaybeUninit,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;

use super::{
    inject::Dependency,
    options::HandlerOptions,
    outcome::{HandlerError, HandlerOutput},
    registry::{Entry, Wired},
    services::{FromServices, MissingService, ServiceScope},
};
use crate::event::{AnyEvent, EventDef, EventMeta, Source};

/// A call of a handler that waits for something.
pub type HandlerFuture<'a> = Pin<Box<dyn Future<Output = Result<(), HandlerError>> + Send + 'a>>;

/// How far a call of a handler came at once: to its answer, or to where it has to wait.
#[must_use = "a handler that waits goes on only when it is polled"]
pub enum Begun<'a> {
    /// It is over.
    Answered(Result<(), HandlerError>),
    /// It has to be polled again when its waker says so.
    Waiting(HandlerFuture<'a>),
}

impl fmt::Debug for Begun<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered(answer) => f.debug_tuple("Answered").field(answer).finish(),
            Self::Waiting(_) => f.write_str("Waiting"),
        }
    }
}

/// A handler struct, built once at start-up.
pub type Instance = Arc<dyn Any + Send + Sync>;

/// Builds a handler struct out of the services, at start-up.
pub type Build = fn(&mut ServiceScope<'_>) -> Result<Instance, MissingService>;

/// One event a handler takes: which, what the parameters after it need, and how to call it.
#[derive(Debug)]
pub struct HandledEvent {
    /// The event's definition.
    pub event: &'static EventDef,
    /// One per parameter after the event, in order.
    pub dependencies: &'static [Dependency],
    /// Takes the parameters out of the call, and runs the handler until it has to wait.
    pub call: for<'a> fn(&mut Invocation<'a>, &mut Context<'_>) -> Begun<'a>,
}

/// One handler of the program.
pub struct HandlerDef {
    /// Its name within its group: the function's, or the handler struct's.
    pub name: &'static str,
    /// The group it runs in; `None` is the crate that defines it.
    pub group: Option<&'static str>,
    /// Former full names, `group.name`, whose position it takes over.
    pub aliases: &'static [&'static str],
    /// Where it was declared.
    pub source: Source,
    /// The events it takes, at least one.
    pub events: &'static [HandledEvent],
    /// How its struct is built; `None` for a function.
    pub instance: Option<Build>,
    /// Its options.
    pub options: HandlerOptions,
}

impl HandlerDef {
    /// The group it runs in.
    #[must_use]
    pub fn group(&self) -> &'static str {
        self.group.unwrap_or_else(|| self.source.crate_name())
    }

    /// The name of its subscription: `group.name`.
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.group(), self.name)
    }
}

impl fmt::Debug for HandlerDef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HandlerDef({}, {})", self.full_name(), self.source)
    }
}

/// Where a call's [`EventMeta`] comes from; in-process dispatch makes it only when a handler asks.
pub(crate) trait MetaSource: Sync {
    fn meta(&self) -> &EventMeta;
}

impl MetaSource for EventMeta {
    fn meta(&self) -> &EventMeta {
        self
    }
}

/// What a call is about, whichever handler it is of.
pub(crate) struct Call<'a> {
    pub(crate) event: &'a AnyEvent,
    pub(crate) meta: &'a dyn MetaSource,
    /// From 1.
    pub(crate) attempt: u32,
}

/// Everything one call of a handler is made from. Generated code takes the parameters out of it.
pub struct Invocation<'a> {
    pub(crate) about: &'a Call<'a>,
    pub(crate) wired: &'a Wired,
    pub(crate) entry: &'a Entry,
    /// The connection of an open transaction, for a handler that takes it.
    pub(crate) transaction: Option<&'a mut (dyn Any + Send)>,
}

// The lookups below can only fail if the wiring, which start-up checked, put a value of another type there: a
// defect of this crate. The panic is caught like a handler's own.
impl<'a> Invocation<'a> {
    /// The event, as the type the handler is registered for.
    #[must_use]
    pub fn event<E: Any>(&self) -> &'a E {
        match self.about.event.downcast_ref() {
            Some(event) => event,
            None => unreachable!("the event bound to this handler is of another type"),
        }
    }

    /// The handler's struct.
    #[must_use]
    pub fn instance<T: Any>(&self) -> &'a T {
        match self.wired.instance.as_ref().and_then(|instance| instance.downcast_ref()) {
            Some(instance) => instance,
            None => unreachable!("the instance bound to this handler is of another type"),
        }
    }

    pub(crate) fn bound<T: 'static>(&self, index: usize) -> &'a T {
        match self.entry.bound.get(index).and_then(|bound| bound.downcast_ref()) {
            Some(bound) => bound,
            None => unreachable!("the service bound to this parameter is of another type"),
        }
    }

    #[cfg_attr(
        not(any(feature = "postgres", feature = "sqlite")),
        expect(dead_code, reason = "only stores with SQL have transactions")
    )]
    pub(crate) fn transaction<C: 'static>(&mut self) -> &'a mut C {
        match self.transaction.take().and_then(|transaction| transaction.downcast_mut()) {
            Some(connection) => connection,
            None => unreachable!("the transaction bound to this parameter is of another type, or was taken before"),
        }
    }

    pub(crate) fn meta(&self) -> &'a EventMeta {
        self.about.meta.meta()
    }

    pub(crate) fn attempt(&self) -> u32 {
        self.about.attempt
    }
}

impl fmt::Debug for Invocation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invocation").field("attempt", &self.about.attempt).finish_non_exhaustive()
    }
}

pin_project! {
    /// A handler's future whose output has been brought into its one form. An `async` block around it would hold the
    /// handler's future twice.
    struct Answer<F: Future> {
        #[pin]
        future: F,
        convert: fn(F::Output) -> Result<(), HandlerError>,
    }
}

impl<F: Future> Future for Answer<F> {
    type Output = Result<(), HandlerError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        Poll::Ready((this.convert)(ready!(this.future.poll(cx))))
    }
}

/// Where a handler's future will be, and stay.
pub struct Place<F: Future>(Box<MaybeUninit<Answer<F>>>);

/// Makes a place for a handler's future. Called by generated code, before it makes the future: which so is written where
/// it stays, instead of being made and moved.
#[must_use]
pub fn place<F: Future>() -> Place<F> {
    Place(Box::new_uninit())
}

/// Runs a handler until it has to wait. Called by generated code, once per handler and event, so that a handler which
/// answers at once is one call through a pointer.
///
/// `convert` is [`output`]: a value, so that a wrong return type is blamed once, on the return type.
pub fn run<'a, F>(
    place: Place<F>,
    future: F,
    convert: fn(F::Output) -> Result<(), HandlerError>,
    cx: &mut Context<'_>,
) -> Begun<'a>
where
    F: Future<Output: 'a> + Send + 'a,
{
    let mut running = Box::into_pin(Box::write(place.0, Answer { future, convert }));
    match running.as_mut().project().future.poll(cx) {
        Poll::Ready(output) => Begun::Answered(convert(output)),
        Poll::Pending => Begun::Waiting(running),
    }
}

/// What brings a handler's answer into its one form.
#[must_use]
pub const fn output<T: HandlerOutput>() -> fn(T) -> Result<(), HandlerError> {
    T::into_result
}

/// Builds a handler's struct. Called by generated code.
///
/// # Errors
///
/// The service that is missing.
pub fn build<T: FromServices>(services: &mut ServiceScope<'_>) -> Result<Instance, MissingService> {
    T::from_services(services).map(|instance| Arc::new(instance) as Instance)
}
