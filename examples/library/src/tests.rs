//! The application as a whole, in one process: its wiring, compared with a file in review, and what it does when a
//! service stays away.

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;

use crate::{
    app::{App, GROUPS},
    curators::CuratorId,
    database::{Database, Place, on_each_database},
    layout::Layout,
    notifications::{Inbox, Notification, NotificationError, NotificationService},
};

/// A deleted `#[event_handler]` compiles, and does nothing; this is what notices. After an intended change:
/// `UPDATE_SNAPSHOTS=1 cargo test -p library the_wiring`.
#[tokio::test]
async fn the_wiring_is_the_one_that_was_reviewed() {
    let database = Database::open(&Place::Memory).await.expect("a database");
    let app = App::new(database, Layout::Together).expect("an application");
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
    on_each_database(async |database| {
        let app = App::new(database, Layout::Together).expect("an application");
        assert_eq!(app.events.warnings(), [] as [&str; 0]);
    })
    .await;
}

#[tokio::test]
async fn every_group_can_be_run_alone() {
    on_each_database(async |database| {
        let app = App::new(database, Layout::Together).expect("an application");
        for group in GROUPS {
            let processor = app.events.processor().groups([group]).start().await.expect("a processor");
            processor.shutdown().await.expect("a clean end");
        }
    })
    .await;
}

/// Away until it is told to be back.
struct Gateway {
    inbox: Arc<Inbox>,
    back: Arc<AtomicBool>,
}

#[async_trait]
impl NotificationService for Gateway {
    async fn send(&self, notification: Notification) -> Result<(), NotificationError> {
        if self.back.load(Ordering::Relaxed) {
            return self.inbox.send(notification).await;
        }
        Err(NotificationError::Gateway(std::io::Error::other("the gateway is away")))
    }
}

#[tokio::test]
async fn a_service_that_stays_away_holds_up_nobody_and_what_it_missed_can_be_redriven() {
    on_each_database(async |database| {
        let back = Arc::new(AtomicBool::new(false));
        let gateway = |inbox| -> Arc<dyn NotificationService> { Arc::new(Gateway { inbox, back: back.clone() }) };
        let app = App::with_notifications(database, Layout::Together, gateway).expect("an application");
        let processor = app.events.processor().start().await.expect("a processor");
        let [ada, grace] = ["ada", "grace"].map(|id| id.parse::<CuratorId>().expect("a curator's id"));
        app.profiles.join(&ada, "Ada", true).await.expect("a curator");
        app.profiles.join(&grace, "Grace", true).await.expect("a curator");
        app.profiles.follow(&ada, &grace).await.expect("a follower");
        let card = app.library.create("https://example.com/".parse().expect("a web address")).await.expect("a card");
        app.library.add(&card, &ada).await.expect("a first time");

        // Its five attempts fail; every other handler has long done its part.
        let admin = app.events.admin();
        wait_until("it is given up", async || admin.dead_letters(None, 10).await.expect("a list").len() == 1).await;
        assert_eq!(app.counters.of(&ada).await.expect("the activity").cards_added, 1);
        assert_eq!(app.stories.of(&grace).await.expect("a feed").len(), 1);
        assert_eq!(app.index.find("example").await.expect("hits").len(), 1);
        assert_eq!(app.inbox.of(&grace).await.expect("an inbox").len(), 0);

        let letter = admin.dead_letters(None, 10).await.expect("a list").remove(0);
        assert_eq!((&*letter.handler, letter.attempts), ("notifications.notify_followers", 5));
        assert_eq!(letter.error, "the gateway is away");
        back.store(true, Ordering::Relaxed);
        admin.redrive(letter.id).await.expect("a dead letter");
        wait_until("Grace is told", async || app.inbox.of(&grace).await.expect("an inbox").len() == 1).await;
        assert_eq!(admin.dead_letters(None, 10).await.expect("a list"), []);
        processor.shutdown().await.expect("a clean end");
    })
    .await;
}

async fn wait_until(what: &str, holds: impl AsyncFn() -> bool) {
    let until = Instant::now() + Duration::from_secs(60);
    while !holds().await {
        assert!(Instant::now() < until, "not within a minute: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
