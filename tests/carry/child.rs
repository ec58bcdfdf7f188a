//! Processes to be killed: this program again, as a relay or a worker on the data of the test that started it.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use domain_events::{
    DomainEvents, EventId, RunningConsumer, SqliteStore, handler, handler::HandlerDef, prelude::*, transport::connect,
};

use crate::{
    library::{CardAddedToLibraryEvent, CardRemovedFromLibraryEvent, LIMIT},
    stage::published,
};

const ROLE: &str = "DOMAIN_EVENTS_TESTS_ROLE";
const FOLDER: &str = "DOMAIN_EVENTS_TESTS_FOLDER";
const URL: &str = "DOMAIN_EVENTS_TESTS_URL";
const FAULT: &str = "DOMAIN_EVENTS_FAULT";

/// How long a relay holds the log without a sign of life.
const LEASE: Duration = Duration::from_millis(500);

/// The curator whose event takes the process down.
pub(crate) const POISON: &str = "poison";

/// A folder that processes share, and the broker between them.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) folder: PathBuf,
    pub(crate) url: String,
}

impl Place {
    pub(crate) fn new(url: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("domain-events-killed-{}", EventId::generate()));
        fs::create_dir_all(&folder).unwrap();
        Self { folder, url: url.to_owned() }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// What a handler has written down, in order.
    pub(crate) fn noted(&self, handler: &str) -> Vec<String> {
        let journal = fs::read_to_string(self.file("journal")).unwrap_or_default();
        let prefix = format!("{handler} ");
        journal.lines().filter_map(|line| line.strip_prefix(&prefix)).map(str::to_owned).collect()
    }

    fn note(&self, line: &str) {
        let mut journal = OpenOptions::new().create(true).append(true).open(self.file("journal")).unwrap();
        journal.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// Whether a worker has said that it is connected.
    pub(crate) fn is_ready(&self) -> bool {
        fs::read_to_string(self.file("journal")).is_ok_and(|journal| journal.lines().any(|line| line == "ready"))
    }

    /// The publishing side's runtime, on a file.
    pub(crate) async fn site(&self) -> DomainEvents<SqliteStore> {
        let store = SqliteStore::open(self.file("site.db")).await.unwrap();
        events(store).lease(LEASE).build().unwrap()
    }

    /// The worker's runtime, on a file of its own.
    pub(crate) async fn worker(&self, handlers: &[&'static HandlerDef]) -> DomainEvents<SqliteStore> {
        let store = SqliteStore::open(self.file("worker.db")).await.unwrap();
        let table = "create table if not exists booked (card text, curator text)";
        sqlx::query(table).execute(store.pool()).await.unwrap();
        let services = Services::new().with(Arc::new(Self { folder: self.folder.clone(), url: self.url.clone() }));
        let builder = events(store).services(services);
        handlers.iter().fold(builder, |builder, handler| builder.handler(handler)).build().unwrap()
    }

    /// What the transactional handler has written, in order.
    pub(crate) async fn booked(&self, worker: &DomainEvents<SqliteStore>) -> Vec<String> {
        let rows = sqlx::query_scalar("select card || ' ' || curator from booked order by rowid");
        rows.fetch_all(worker.store().pool()).await.unwrap()
    }

    /// Starts this program again in a role.
    pub(crate) fn child(&self, role: &str, fault: &str) -> Child {
        let log = OpenOptions::new().create(true).append(true).open(self.file("log")).unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "child::a_process_to_be_killed", "--nocapture"])
            .env(ROLE, role)
            .env(FOLDER, &self.folder)
            .env(URL, &self.url)
            .envs((!fault.is_empty()).then_some((FAULT, fault)))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        Child { process: command.spawn().unwrap(), log: self.file("log") }
    }

    /// Lets a worker's process end well.
    pub(crate) fn enough(&self) {
        fs::write(self.file("enough"), "").unwrap();
    }

    /// Takes that back, and starts another one.
    pub(crate) fn again(&self, role: &str) -> Child {
        fs::remove_file(self.file("enough")).unwrap();
        self.child(role, "")
    }
}

fn events(store: SqliteStore) -> domain_events::Builder<SqliteStore> {
    let builder = DomainEvents::builder().store(store).without_linked();
    builder.event::<CardAddedToLibraryEvent>().event::<CardRemovedFromLibraryEvent>()
}

/// A process; killed when dropped.
pub(crate) struct Child {
    process: std::process::Child,
    log: PathBuf,
}

impl Child {
    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.process.try_wait().unwrap()
    }

    pub(crate) async fn end(mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.ended() {
                return status;
            }
            assert!(begun.elapsed() < LIMIT, "the process does not end: {}", self.said());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What a child does; a plain run of the tests asks for none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_to_be_killed() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let place = Place { folder: std::env::var(FOLDER).unwrap().into(), url: std::env::var(URL).unwrap() };
    match role.as_str() {
        "relay" => {
            let events = place.site().await;
            let running = events.relay(connect(&place.url).unwrap()).start().await.unwrap();
            published(&events).await;
            running.shutdown().await.unwrap();
        }
        "worker" => {
            let events = place.worker(&staff()).await;
            let running = at_work(&place, &events).await;
            place.note("ready");
            let begun = Instant::now();
            while !place.file("enough").exists() && begun.elapsed() < LIMIT {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            running.shutdown().await.unwrap();
        }
        _ => panic!("there is no role `{role}`"),
    }
}

/// Takes in, connected.
pub(crate) async fn at_work(place: &Place, events: &DomainEvents<SqliteStore>) -> RunningConsumer {
    let running = events.consumer(connect(&place.url).unwrap()).start().unwrap();
    crate::library::until("the worker is connected", || running.health().iter().all(|health| health.connected)).await;
    running
}

/// A handler of every kind.
pub(crate) fn staff() -> Vec<&'static HandlerDef> {
    vec![handler!(tell), handler!(stumble), handler!(book), handler!(pay)]
}

fn line(event: &CardAddedToLibraryEvent) -> String {
    format!("{} {}", event.card_id, event.curator_id)
}

#[event_handler(CardAddedToLibraryEvent, group = "killed", max_attempts = 3, backoff = "5ms..20ms")]
pub(crate) async fn tell(event: &CardAddedToLibraryEvent, place: Service<Place>) {
    if event.curator_id == POISON {
        std::process::abort();
    }
    place.note(&format!("tell {}", line(event)));
}

#[event_handler(CardAddedToLibraryEvent, group = "killed", max_attempts = 3, backoff = "5ms..20ms")]
async fn stumble(event: &CardAddedToLibraryEvent, attempt: Attempt, place: Service<Place>) -> Result<(), HandlerError> {
    if event.curator_id == "2" && attempt.0 == 1 {
        return Err("not at the first try".into());
    }
    place.note(&format!("stumble {}", line(event)));
    Ok(())
}

#[event_handler(CardAddedToLibraryEvent, group = "killed", max_attempts = 3, backoff = "5ms..20ms")]
async fn book(event: &CardAddedToLibraryEvent, tx: &mut sqlx::SqliteConnection) -> Result<(), HandlerError> {
    let insert = sqlx::query("insert into booked (card, curator) values (?, ?)");
    insert.bind(&event.card_id).bind(&event.curator_id).execute(tx).await?;
    Ok(())
}

#[event_handler(CardAddedToLibraryEvent, group = "killed", once, max_attempts = 3, backoff = "5ms..20ms")]
async fn pay(event: &CardAddedToLibraryEvent, place: Service<Place>) {
    place.note(&format!("pay {}", line(event)));
}

/// Removes what a test left; that of a failed one stays, to look at.
pub(crate) fn sweep(folder: &Path) {
    let _ = fs::remove_dir_all(folder);
}
