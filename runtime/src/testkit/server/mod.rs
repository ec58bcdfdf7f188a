//! Servers of the tests' own: each on a free port of the loopback, in a folder for temporary files, gone with its process.

#[cfg(feature = "kafka")]
mod kafka;
pub(crate) mod process;
#[cfg(feature = "redis")]
mod redis;

#[cfg(feature = "kafka")]
pub use kafka::KafkaMock;
#[cfg(feature = "redis")]
pub use redis::RedisServer;
#[cfg(feature = "rabbitmq")]
mod rabbitmq;

#[cfg(feature = "rabbitmq")]
pub use rabbitmq::RabbitServer;
