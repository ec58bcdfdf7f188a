//! 12: killed again and again under load, and started again on the same data.

use std::collections::BTreeSet;

use super::fault_points::check_books;
use crate::testkit::conformance::{
    StoreHarness,
    role::{LOAD, Role, WRITERS, until_written},
    suite::{Need, Suite, log},
};

/// Four writers and a processor, killed three times wherever they are: nothing lost, nothing out of order.
pub async fn case_12_killed_again_and_again_under_load<H: StoreHarness>(suite: Suite<H>) {
    if suite.lacks(Need::SeveralProcesses) || suite.lacks(Need::Durable) {
        return;
    }
    let path = suite.journal_path();
    for _ in 0..3 {
        let lines = suite.journal().len();
        let mut child = suite.child(Role::Load, None);
        // At the end of a life some deliveries of the last one are made again, so progress is certain, not even.
        until_written(&path, lines + 90).await;
        child.kill();
    }
    suite.child(Role::Load, None).succeeds().await;
    let log = log(&suite.harness.open().await).await;
    let expected = WRITERS * usize::try_from(LOAD).unwrap_or(usize::MAX);
    assert_eq!(log.len(), expected, "every writer wrote its share in the end");
    check_books(&suite, &BTreeSet::new()).await;
}
