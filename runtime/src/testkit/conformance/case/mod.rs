//! The cases, named after their rules; the numbers are those of the table in the parent module.

mod atomic;
mod contract;
#[cfg(unix)]
mod crash;
#[cfg(unix)]
mod fault_points;
mod foreign;
mod gaps;
mod inbox;
mod isolation;
mod parking;
mod processors;
#[cfg(unix)]
mod processors_killed;
mod replay;
#[cfg(unix)]
mod restart;
mod restore;
mod retention;
mod shared;
mod values;

pub use atomic::*;
pub use contract::*;
#[cfg(unix)]
pub use crash::*;
#[cfg(unix)]
pub use fault_points::*;
pub use foreign::*;
pub use gaps::*;
pub use inbox::*;
pub use isolation::*;
pub use parking::*;
pub use processors::*;
#[cfg(unix)]
pub use processors_killed::*;
pub use replay::*;
#[cfg(unix)]
pub use restart::*;
pub use restore::*;
pub use retention::*;
pub use shared::*;
pub use values::*;
