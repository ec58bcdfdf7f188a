//! What can happen to a SQLite file under a running processor.
#![expect(clippy::unwrap_used, reason = "a test that can't be set up has failed")]

#[path = "sqlite/refused.rs"]
mod refused;
#[path = "faults/trouble.rs"]
mod trouble;
#[path = "faults/warnings.rs"]
mod warnings;
