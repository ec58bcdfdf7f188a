//! The store conformance suite: whether a backend keeps the promises of this crate, case by case.
//!
//! A backend joins with one line, which expands to one test per case, so that a failure has a name:
//!
//! ```no_run
//! # #![allow(unused)]
//! use domain_events::testkit::conformance::MemoryHarness;
//!
//! domain_events::conformance_store!(memory, connect = MemoryHarness::connect());
//! # fn main() {}
//! ```
//!
//! What a backend brings is a [`StoreHarness`]: how to open its data, once more and from another process, and a business
//! table beside the log. The store's own [`Capabilities`](crate::store::Capabilities) decide which cases apply; one that
//! does not apply prints its name and the reason. A server that is missing is a failure: say in `connect` how to
//! install it.
//!
//! | case | rule |
//! |---|---|
//! | 1 | business write and events commit together, or roll back together |
//! | 2, 3 | a late commit is not skipped, an open transaction delays nobody else |
//! | 4 | of two writers of one aggregate one loses, and learns both versions |
//! | 5 | two processors share, whatever their clocks say; a killed one is replaced; a frozen one is fenced |
//! | 6, 7, 8 | isolation, every way to fail, order through retry, park, redrive, discard |
//! | 9, 10, 11, 12 | crashes: by the event itself, between effect and position, at every step, under load |
//! | 13 | read the log, replay it for a new handler |
//! | 14, 15 | retention; dump and restore |
//! | 16 | values at their limits; events that no handler can be given |
//!
//! And the store's own contract, method by method, where the cases above would not show a breach.
//!
//! Not there yet: loading an aggregate as of a version or a time, and snapshots (case 13), since the crate does not load
//! aggregates from events yet. A database server killed and restarted under load (case 12) is no case of the suite, since
//! not every backend has one: the PostgreSQL store has tests of its own for that.
//!
//! # Child processes
//!
//! Crashes are real: the suite starts the current test binary again with the name of the test `conformance_child`, which
//! every use of the macro makes, and kills, freezes or waits for that process. In a plain run that test finds nothing to
//! do, checks that nobody asked for it, and returns. Unix only, since it is about signals.

mod case;
mod cast;
#[cfg(unix)]
mod child;
mod harness;
mod journal;
mod memory;
#[cfg(all(unix, feature = "postgres"))]
mod postgres;
#[cfg(unix)]
mod role;
#[cfg(feature = "sqlite")]
mod sqlite;
mod stage;
mod suite;
mod transport;

#[doc(hidden)]
pub use case::*;
pub use cast::{Parcel, ParcelMovedEvent};
#[cfg(unix)]
#[doc(hidden)]
pub use child::conformance_child;
pub use harness::StoreHarness;
pub use memory::MemoryHarness;
#[cfg(all(unix, feature = "postgres"))]
pub use postgres::{PgBouncer, PostgresHarness, PostgresServer};
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteHarness;
pub use stage::{Act, Seen, Stage};
#[doc(hidden)]
pub use suite::Suite;
#[cfg(all(unix, feature = "kafka"))]
pub use transport::KafkaHarness;
#[cfg(all(unix, feature = "nats"))]
pub use transport::NatsHarness;
#[cfg(all(unix, feature = "rabbitmq"))]
pub use transport::RabbitHarness;
#[cfg(all(unix, feature = "redis"))]
pub use transport::RedisHarness;
pub use transport::{Broker, MemoryTransportHarness, TransportHarness};
#[doc(hidden)]
pub use transport::{TransportSuite, case as transport_case, run_transport};

use std::{
    future::Future,
    sync::mpsc::{RecvTimeoutError, channel},
    time::Duration,
};

/// Longer than any single wait in a case: only a case that hangs outside of its waits comes here.
const CASE_LIMIT: Duration = Duration::from_secs(400);

/// How much longer a case may take to fail by itself. Only one whose threads are blocked takes longer.
const GRACE: Duration = Duration::from_secs(60);

/// Runs one case on fresh data. Called by [`conformance_store!`](crate::conformance_store).
#[doc(hidden)]
pub fn run<H, F, C>(case: &'static str, module: &str, connect: impl FnOnce() -> F, body: impl FnOnce(Suite<H>) -> C)
where
    H: StoreHarness,
    F: Future<Output = H>,
    C: Future<Output = ()>,
{
    run_case(case, async { body(Suite::new(connect().await, case, child_test(module)).await).await });
}

/// One case, which ends in any event.
fn run_case(case: &'static str, body: impl Future<Output = ()>) {
    let (running, ended) = channel::<()>();
    std::thread::spawn(move || {
        if ended.recv_timeout(CASE_LIMIT + GRACE) == Err(RecvTimeoutError::Timeout) {
            eprintln!(
                "{case} did not end within {CASE_LIMIT:?}, and the runtime's clock stands: its threads are blocked"
            );
            std::process::exit(101);
        }
    });
    block_on(async {
        if tokio::time::timeout(CASE_LIMIT, body).await.is_err() {
            panic!("{case} did not end within {CASE_LIMIT:?}");
        }
    });
    drop(running);
}

/// The name under which the test harness knows a module's child: paths there begin behind the crate's name.
#[doc(hidden)]
#[must_use]
pub fn child_test(module: &str) -> String {
    let path = module.split_once("::").map_or(module, |(_, path)| path);
    format!("{path}::conformance_child")
}

fn block_on(future: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime can be made").block_on(future);
}

/// Puts a store through the conformance suite: a module of this name, with one test per case.
///
/// `connect` is a future that makes fresh, empty data for one case: something that is a
/// [`StoreHarness`](crate::testkit::conformance::StoreHarness). See [the suite](crate::testkit::conformance).
///
/// ```no_run
/// # #![allow(unused)]
/// use domain_events::testkit::conformance::MemoryHarness;
///
/// domain_events::conformance_store!(memory, connect = MemoryHarness::connect());
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! conformance_store {
    ($backend:ident, connect = $connect:expr $(,)?) => {
        mod $backend {
            #[allow(unused_imports, reason = "the `connect` expression may name what stands around")]
            use super::*;

            $crate::conformance_store!(@cases ($connect)
                case_01_events_and_business_writes_commit_together
                case_01_a_dropped_unit_of_work_rolls_back
                case_02_a_late_commit_is_not_skipped
                case_03_an_open_transaction_delays_nobody_else
                case_04_a_conflict_of_one_aggregate_keeps_all_out
                case_04_of_two_writers_of_one_aggregate_one_loses
                case_05_two_processors_deliver_each_event_once
                case_05_a_processor_leaves_alone_what_it_has_no_handler_for
                case_05_a_lost_lease_is_fenced
                case_05_clocks_that_jump_change_nothing
                case_06_a_failing_handler_stands_alone
                case_06_each_way_to_fail_has_its_own_end
                case_07_order_holds_through_retries
                case_08_parked_events_wait_for_redrive
                case_08_parked_events_wait_for_discard
                case_10_a_failure_in_a_shared_transaction_stands_alone
                case_13_the_log_reads_the_same_in_any_steps
                case_13_a_new_handler_replays_the_log
                case_14_retention_keeps_what_is_needed
                case_15_a_restored_dump_goes_on
                case_16_values_at_their_limits_survive
                case_16_what_cannot_be_kept_is_refused
                case_16_what_no_handler_can_be_given_is_a_dead_letter
                contract_a_claim_excludes_others_until_released
                contract_a_checkpoint_is_all_or_nothing
                contract_once_marks_outlive_the_attempt
                contract_a_handled_mark_follows_its_transaction
                contract_a_glance_says_who_has_something_to_do
                contract_an_alias_hands_everything_over
                contract_partitions_begin_at_the_least_position
                contract_a_change_is_announced
                contract_nodes_come_and_go
                contract_a_retired_handler_is_forgotten
                contract_the_inbox_remembers_what_was_handled
                contract_the_inbox_knows_what_was_begun_once
                contract_the_inbox_knows_how_often_was_begun
                contract_the_inbox_is_trimmed_in_steps
                contract_the_least_position_is_that_of_the_furthest_behind
            );
            #[cfg(unix)]
            $crate::conformance_store!(@cases ($connect)
                case_05_a_killed_processor_is_replaced
                case_05_a_frozen_processor_is_fenced
                case_09_an_event_that_kills_its_process_is_given_up
                case_10_a_killed_transactional_handler_has_its_effect_once
                case_10_a_shared_transaction_that_is_killed_is_made_again
                case_11_killed_before_an_append_commits
                case_11_killed_after_an_append_committed
                case_11_killed_after_a_claim
                case_11_killed_before_a_delivery
                case_11_killed_after_a_delivery
                case_11_killed_before_a_handlers_transaction_commits
                case_11_killed_after_a_handlers_transaction_committed
                case_11_killed_after_a_once_mark
                case_11_killed_before_a_checkpoint
                case_11_killed_after_a_checkpoint
                case_11_killed_before_a_retry
                case_11_killed_after_a_redrive
                case_11_killed_before_a_release
                case_12_killed_again_and_again_under_load
            );

            #[cfg(unix)]
            #[test]
            fn conformance_child() {
                let test = $crate::testkit::conformance::child_test(::core::module_path!());
                $crate::testkit::conformance::conformance_child(|| async { $connect.await }, &test);
            }
        }
    };
    (@cases ($connect:expr) $($case:ident)+) => {$(
        #[test]
        fn $case() {
            $crate::testkit::conformance::run(
                ::core::stringify!($case),
                ::core::module_path!(),
                || async { $connect.await },
                $crate::testkit::conformance::$case,
            );
        }
    )+};
}
