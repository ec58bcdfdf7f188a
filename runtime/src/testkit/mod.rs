//! Test tools, behind the feature `testkit`: for the tests of an application's domain, and of a store of one's own.
//!
//! | question | tool |
//! |---|---|
//! | does my aggregate raise the right events? | [`given`], [`when`], [`assert_raised!`](crate::assert_raised), [`assert_not_raised!`](crate::assert_not_raised) |
//! | what stands in the log? | [`recorded`], [`recorded_envelopes`] |
//! | have all handlers done their work? | [`wait_until_handled`], [`wait_until_settled`] |
//! | what happens tomorrow? | [`Clock::manual`](crate::Clock::manual), see below |
//! | does my store keep its promises? | [`conformance_store!`](crate::conformance_store) |
//!
//! # Time
//!
//! A [`Clock`](crate::Clock) made with `Clock::manual` stands still until the test moves it. There are two places to
//! put it: `clock.enter()` makes it the clock that events raised on this thread are stamped with, until the guard is
//! dropped; `builder.clock(clock.clone())` makes it the clock that decides when a retry is due.
//!
//! ```standalone_crate
//! use domain_events::{Clock, DomainEvents, prelude::*};
//! use std::time::Duration;
//!
//! #[derive(Debug, DomainEvent)]
//! #[event(aggregate = Card)]
//! struct CardArchivedEvent {
//!     #[event(aggregate_id)]
//!     card_id: String,
//! }
//!
//! #[aggregate_root]
//! struct Card {
//!     #[aggregate(id)]
//!     id: String,
//!     events: PendingEvents,
//! }
//!
//! let clock = Clock::manual("2026-01-31T12:00:00Z".parse()?);
//! let events = DomainEvents::builder().clock(clock.clone()).build()?; // retries follow the test's hand
//!
//! let _entered = clock.enter(); // and so do the events raised from here on
//! clock.advance(Duration::from_secs(3600));
//! let mut card = Card { id: "c1".into(), events: PendingEvents::default() };
//! card.raise(CardArchivedEvent { card_id: "c1".into() });
//! assert_eq!(card.pending_events()[0].occurred_at().to_rfc3339(), "2026-01-31T13:00:00+00:00");
//! # drop(events);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod conformance;
mod raised;
mod recorded;
mod scenario;
#[cfg(unix)]
pub mod server;
mod standing;
mod wait;

#[doc(hidden)]
pub use raised::{find, none, of_type};
pub use recorded::{recorded, recorded_envelopes};
pub use scenario::{Answer, Given, Outcome, given, when};
pub use wait::{NotHandled, try_wait_until_handled, wait_until_handled, wait_until_settled};
