//! Servers of the tests' own: each on a free port of the loopback, in a folder for temporary files, gone with its process.

#[cfg(feature = "nats")]
mod nats;
pub(crate) mod process;

#[cfg(feature = "nats")]
pub use nats::NatsServer;
