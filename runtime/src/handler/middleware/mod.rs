//! What stands around every call of a handler, outermost first: a span, a limit of time, a net for panics.

mod panic;
mod timeout;
mod trace;

use std::{future::Future, time::Duration};

use self::{panic::CatchPanic, timeout::Limit, trace::Traced};
use super::{
    definition::{HandlerFuture, Invocation},
    outcome::HandlerError,
    registry::{Entry, Wired},
};
use crate::event::AnyEvent;

pub(crate) use self::panic::panic_message;
use super::definition::MetaSource;

/// What one call is about, beside the handler.
pub(crate) struct Call<'a> {
    pub(crate) event: &'a AnyEvent,
    pub(crate) meta: &'a dyn MetaSource,
    /// From 1.
    pub(crate) attempt: u32,
    /// The connection of an open transaction, for a handler that takes it.
    pub(crate) transaction: Option<&'a mut (dyn std::any::Any + Send)>,
}

/// Calls a handler, and turns a panic and a call that takes too long into errors.
pub(crate) fn call<'a>(
    wired: &'a Wired,
    entry: &'a Entry,
    call: Call<'a>,
) -> impl Future<Output = Result<(), HandlerError>> + Send + use<'a> {
    let invocation = Invocation {
        event: call.event,
        meta: call.meta,
        attempt: call.attempt,
        bound: &entry.bound,
        instance: wired.instance.as_ref(),
        transaction: call.transaction,
    };
    let future = guarded((entry.handled.call)(invocation), wired.options.timeout);
    Traced::new(future, wired, entry, call.attempt)
}

fn guarded(future: HandlerFuture<'_>, limit: Duration) -> Limit<CatchPanic<'_>> {
    Limit::new(CatchPanic::new(future), limit)
}
