//! Servers of the tests' own: each on a free port of the loopback, in a folder for temporary files, gone with its process.

#[cfg(feature = "kafka")]
mod kafka;
#[cfg(feature = "kafka")]
mod kafka_mock;
#[cfg(feature = "nats")]
mod nats;
#[cfg(any(feature = "postgres", feature = "redis", feature = "nats", feature = "rabbitmq", feature = "kafka"))]
pub(crate) mod process;
#[cfg(feature = "rabbitmq")]
mod rabbitmq;
#[cfg(feature = "redis")]
mod redis;
#[cfg(any(feature = "redis", feature = "nats", feature = "rabbitmq", feature = "kafka"))]
mod signal;

#[cfg(feature = "kafka")]
pub use kafka::KafkaServer;
#[cfg(feature = "kafka")]
pub use kafka_mock::KafkaMock;
#[cfg(feature = "nats")]
pub use nats::NatsServer;
#[cfg(feature = "rabbitmq")]
pub use rabbitmq::RabbitServer;
#[cfg(feature = "redis")]
pub use redis::RedisServer;
