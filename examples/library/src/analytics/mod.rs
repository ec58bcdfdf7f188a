//! Analytics: what each curator did, and how often. Profile statistics are counted here too: they are the same kind of
//! number, and a number is only worth showing if it is right.
//!
//! Counting is the one thing that can't be made idempotent by itself, so these handlers write in the transaction that
//! moves their position: every event counts exactly once, whatever crashes when.

pub mod api;
mod counters;
mod handlers;
#[cfg(test)]
mod tests;

pub use counters::{Activity, Counters};

/// The handlers a deployment runs together.
pub const GROUP: &str = "analytics";

/// The tables of this context.
pub const SCHEMA: &str = include_str!("schema.sql");
