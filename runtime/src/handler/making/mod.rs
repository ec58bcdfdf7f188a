//! Making deliveries: one task for each, or one for several where that pays.
//!
//! [`under_way`] are those that are being made, [`together`] are those of one task, in a [`burst`] or as their owner likes,
//! and [`sharing`] says how many that may be.

mod burst;
mod sharing;
mod together;
mod under_way;

use std::{
    future::Future,
    time::{Duration, Instant},
};

pub(crate) use burst::BURST;
pub(crate) use sharing::{MOST, Sharing};
pub(crate) use together::Together;
pub(crate) use under_way::{Ended, UnderWay};

use super::Outcome;

/// Under which name deliveries are told to `tracing`.
pub(crate) const LOG: &str = "domain_events::delivery";

/// Looks at the clock if a delivery is to be timed, or somebody is told how long it took.
pub(crate) fn timer(timed: bool) -> Option<Instant> {
    (timed || tracing::enabled!(target: LOG, tracing::Level::DEBUG)).then(Instant::now)
}

/// A delivery to be made.
pub(crate) trait Making: Send + 'static {
    /// What is known of the event afterwards.
    type Event: Send + 'static;

    /// The lane it is in: the deliveries of one are made in their order.
    fn key(&self) -> u64;

    /// Which attempt it is, from 1.
    fn number(&self) -> u32;

    /// Makes it. How long it `took` need be known only if it is `timed`: looking at the clock costs as much as a quick
    /// delivery.
    fn make(self, timed: bool) -> impl Future<Output = Attempted<Self::Event>> + Send;
}

/// How an attempt ended, and what it was about.
pub(crate) struct Attempted<E> {
    pub(crate) key: u64,
    pub(crate) number: u32,
    pub(crate) outcome: Outcome,
    /// The event, if it was found.
    pub(crate) event: Option<E>,
    /// Zero where nobody asked.
    pub(crate) took: Duration,
}

impl<E> Attempted<E> {
    /// One that did not come to its end.
    pub(crate) fn unmade(key: u64, number: u32, outcome: Outcome) -> Self {
        Self { key, number, outcome, event: None, took: Duration::ZERO }
    }
}
