//! The cases, by what they are about.

mod arrive;
mod cancel;
mod forget;
mod outage;
mod poison;
mod refuse;
mod reopen;
mod reorder;
mod repeat;
mod share;

pub use arrive::*;
pub use cancel::*;
pub use forget::*;
pub use outage::*;
pub use poison::*;
pub use refuse::*;
pub use reopen::*;
pub use reorder::*;
pub use repeat::*;
pub use share::*;
