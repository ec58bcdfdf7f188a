//! Servers of the tests' own: each on a free port of the loopback, in a folder for temporary files, gone with its process.

pub(crate) mod process;
#[cfg(feature = "redis")]
mod redis;

#[cfg(feature = "redis")]
pub use redis::RedisServer;
