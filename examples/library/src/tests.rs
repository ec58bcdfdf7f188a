//! The wiring: which handlers there are, what they listen to, and how they are run, compared with a file in review.

use std::{fs, path::Path};

use crate::{
    app::{App, GROUPS},
    database::Database,
};

/// A deleted `#[event_handler]` compiles, and does nothing; this is what notices. After an intended change:
/// `UPDATE_SNAPSHOTS=1 cargo test -p library the_wiring`.
#[tokio::test]
async fn the_wiring_is_the_one_that_was_reviewed() {
    let app = App::new(Database::in_memory().await.expect("a database")).expect("an application");
    let found = app.events.describe();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("wiring.txt");
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(&path, &found).expect("the file can be written");
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(found, expected, "after an intended change: UPDATE_SNAPSHOTS=1 cargo test -p library the_wiring");
}

#[tokio::test]
async fn start_up_has_nothing_to_warn_of() {
    let app = App::new(Database::in_memory().await.expect("a database")).expect("an application");
    assert_eq!(app.events.warnings(), [] as [&str; 0]);
}

#[tokio::test]
async fn every_group_can_be_run_alone() {
    let app = App::new(Database::in_memory().await.expect("a database")).expect("an application");
    for group in GROUPS {
        let processor = app.events.processor().groups([group]).start().await.expect("a processor");
        processor.shutdown().await.expect("a clean end");
    }
}
