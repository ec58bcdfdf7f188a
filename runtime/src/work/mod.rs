//! 5 · From the aggregate to the log, in the user's transaction: events are written beside the state change, last before
//! the commit, and leave their aggregates only after it. Or, without the log, straight to the handlers.

mod appended;
mod dispatch;
mod outbound;
mod transaction;
mod unit_of_work;

pub use appended::Appended;
pub(crate) use dispatch::dispatch;
pub use dispatch::{DispatchReport, HandlerOutcome};
pub(crate) use outbound::{Cause, Outbound, append};
pub(crate) use transaction::transaction_offer;
pub use unit_of_work::UnitOfWork;
