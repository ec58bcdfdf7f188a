//! Guides, in the order one needs them.

#[doc = include_str!("events.md")]
pub mod events {}

#[doc = include_str!("handlers.md")]
pub mod handlers {}

#[doc = include_str!("delivery.md")]
pub mod delivery {}

#[doc = include_str!("transports.md")]
pub mod transports {}

#[doc = include_str!("linking.md")]
pub mod linking {}

#[cfg(feature = "testkit")]
#[doc = include_str!("testing.md")]
pub mod testing {}
