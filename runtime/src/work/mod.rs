//! 5 · In the user's transaction: events are written beside the state change, last before the commit, and leave their
//! aggregates only after it.

mod appended;
mod outbound;
mod transaction;
mod unit_of_work;

pub use appended::Appended;
pub(crate) use outbound::{Cause, Outbound};
pub(crate) use transaction::transaction_offer;
pub use unit_of_work::UnitOfWork;
