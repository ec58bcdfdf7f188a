//! Servers of the tests' own: each on a free port of the loopback, in a folder for temporary files, gone with its process.

pub(crate) mod process;
#[cfg(feature = "rabbitmq")]
mod rabbitmq;

#[cfg(feature = "rabbitmq")]
pub use rabbitmq::RabbitServer;
