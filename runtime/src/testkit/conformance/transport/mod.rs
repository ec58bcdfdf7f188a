//! The transport conformance suite: whether a broker, as its backend uses it, keeps the promises of this crate.
//!
//! A backend joins with one line, [`conformance_transport!`](crate::conformance_transport), which expands to one test per
//! case. What it brings is a [`TransportHarness`]; which cases apply, the transport's own
//! [`Capabilities`](crate::transport::Capabilities) decide.
//!
//! | case | rule |
//! |---|---|
//! | 1, 3, 10, 12, 18 | what is published arrives, as it was, at whom it concerns, also at those who come later; who is gone can be forgotten |
//! | 2, 7, 14 | subscribers of one handler share its deliveries, and stand in for one another |
//! | 4, 16, 17 | a failed delivery comes again when it is due; one that is published twice is handled once |
//! | 5, 8 | order per aggregate, through failures and among subscribers that come and go |
//! | 6, 9, 11, 20 | subscribers and publishers that end in the middle of their work lose nothing |
//! | 13, 19 | a broker that is killed, frozen, or not there yet; wrong addresses and credentials |
//! | 15 | what can't be handled is a dead letter, and the rest goes on |

#[doc(hidden)]
pub mod case;
mod harness;
#[cfg(all(unix, feature = "kafka"))]
mod kafka;
mod memory;
#[cfg(all(unix, feature = "nats"))]
mod nats;
#[cfg(all(unix, any(feature = "redis", feature = "nats", feature = "rabbitmq", feature = "kafka")))]
mod own;
#[cfg(all(unix, feature = "rabbitmq"))]
mod rabbitmq;
#[cfg(all(unix, feature = "redis"))]
mod redis;
mod suite;

pub use harness::{Broker, TransportHarness};
#[cfg(all(unix, feature = "kafka"))]
pub use kafka::KafkaHarness;
pub use memory::MemoryTransportHarness;
#[cfg(all(unix, feature = "nats"))]
pub use nats::NatsHarness;
#[cfg(all(unix, feature = "rabbitmq"))]
pub use rabbitmq::RabbitHarness;
#[cfg(all(unix, feature = "redis"))]
pub use redis::RedisHarness;
pub use suite::TransportSuite;

use std::future::Future;

use super::run_case;

/// Names of backends that a run leaves out, with commas between them.
const SKIP: &str = "DOMAIN_EVENTS_SKIP";

/// Runs one case on fresh names. Called by [`conformance_transport!`](crate::conformance_transport).
#[expect(clippy::print_stdout, reason = "a case that did not run must be seen, in a test's output")]
pub fn run_transport<H, F, C>(
    backend: &'static str,
    case: &'static str,
    connect: impl FnOnce() -> F,
    body: impl FnOnce(TransportSuite<H>) -> C,
) where
    H: TransportHarness,
    F: Future<Output = H>,
    C: Future<Output = ()>,
{
    if is_skipped(backend, &std::env::var(SKIP).unwrap_or_default()) {
        println!("{case} was left out: {SKIP} names {backend}");
        return;
    }
    run_case(case, async { body(TransportSuite::new(connect().await, case).await).await });
}

/// Whether a list of names has this backend: by its own name, or by the broker's, which is its first word.
fn is_skipped(backend: &str, list: &str) -> bool {
    let broker = backend.split('_').next().unwrap_or_default();
    list.split(',').map(str::trim).any(|name| !name.is_empty() && (name == backend || name == broker))
}

/// Puts a transport through the conformance suite: a module of this name, with one test per case.
///
/// `connect` is a future that makes fresh names on a broker for one case: something that is a
/// [`TransportHarness`](crate::testkit::conformance::TransportHarness). A backend that the environment variable
/// `DOMAIN_EVENTS_SKIP` names (`kafka,nats`) is left out, and each of its cases says so.
///
/// ```no_run
/// # #![allow(unused)]
/// use domain_events::testkit::conformance::MemoryTransportHarness;
///
/// domain_events::conformance_transport!(memory, connect = MemoryTransportHarness::connect());
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! conformance_transport {
    ($backend:ident, connect = $connect:expr $(,)?) => {
        mod $backend {
            #[allow(unused_imports, reason = "the `connect` expression may name what stands around")]
            use super::*;

            $crate::conformance_transport!(@cases $backend ($connect)
                case_01_what_is_published_arrives
                case_02_fifty_subscribers_share_the_deliveries
                case_03_twenty_events_do_not_mix
                case_04_what_fails_comes_again
                case_04_deaths_of_its_holders_are_counted
                case_05_the_next_waits_for_the_one_before
                case_06_a_subscriber_that_comes_and_goes_loses_nothing
                case_07_those_who_stay_get_the_rest
                case_07_a_dropped_subscriber_is_replaced
                case_08_order_holds_through_failures
                case_08_order_holds_while_subscribers_come_and_go
                case_09_what_was_confirmed_arrives
                case_10_only_what_is_handled_is_delivered
                case_10_a_changed_subscription_is_followed
                case_10_applications_are_apart
                case_11_a_cancelled_receive_loses_nothing
                case_11_a_dropped_consumer_cuts_its_handlers_off
                case_11_a_dropped_subscriber_lets_go
                case_12_a_handler_can_be_forgotten
                case_12_what_comes_meanwhile_is_kept
                case_12_a_new_subscription_begins_where_it_says
                case_13_a_killed_broker_loses_nothing
                case_13_a_frozen_broker_loses_nothing
                case_13_the_relay_outlasts_its_broker
                case_13_a_broker_may_come_later
                case_14_two_groups_get_everything
                case_15_poison_is_a_dead_letter
                case_15_a_large_message_is_carried_or_refused
                case_15_dead_letters_are_redriven_and_discarded
                case_16_a_failed_delivery_waits_its_time
                case_16_a_held_delivery_stays_where_it_is
                case_17_what_is_published_twice_is_handled_once
                case_17_what_is_published_twice_is_delivered_once
                case_18_every_field_survives
                case_19_unconfirmed_is_an_error
                case_19_refused_credentials_are_told
                case_19_an_unknown_host_is_told
                case_20_a_shutdown_loses_nothing
            );
        }
    };
    (@cases $backend:ident ($connect:expr) $($case:ident)+) => {$(
        #[test]
        fn $case() {
            $crate::testkit::conformance::run_transport(
                ::core::stringify!($backend),
                ::core::stringify!($case),
                || async { $connect.await },
                $crate::testkit::conformance::transport_case::$case,
            );
        }
    )+};
}

#[cfg(test)]
mod tests {
    use super::is_skipped;

    #[test]
    fn a_backend_is_left_out_by_its_own_name_or_its_brokers() {
        assert!(is_skipped("kafka", "redis, kafka") && is_skipped("redis_pubsub", "redis"));
        assert!(!is_skipped("redis", "redis_pubsub") && !is_skipped("kafka", "") && !is_skipped("nats", "nat"));
    }
}
