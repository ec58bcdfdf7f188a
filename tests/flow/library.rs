//! A very small library: one aggregate, two events, and handlers that do what a test's diary says.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use domain_events::{
    Builder, DomainEvents, MemoryStore, Result,
    handler::HandlerDef,
    prelude::*,
    store::{Store, record::DeadLetter},
    testkit,
};

/// The longest any test waits.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

#[aggregate_root]
pub(crate) struct Card {
    #[aggregate(id)]
    id: String,
    events: PendingEvents,
}

#[derive(Debug, Clone, PartialEq, DomainEvent)]
#[event(aggregate = Card)]
pub(crate) struct CardAddedToLibraryEvent {
    #[event(aggregate_id)]
    pub(crate) card_id: String,
    pub(crate) curator_id: String,
}

#[derive(Debug, Clone, PartialEq, DomainEvent)]
#[event(aggregate = Card)]
pub(crate) struct CardRemovedFromLibraryEvent {
    #[event(aggregate_id)]
    pub(crate) card_id: String,
    pub(crate) curator_id: String,
}

impl Card {
    pub(crate) fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), events: PendingEvents::default() }
    }

    pub(crate) fn add_to_library(&mut self, curator: &str) {
        self.raise(CardAddedToLibraryEvent { card_id: self.id.clone(), curator_id: curator.into() });
    }

    pub(crate) fn remove_from_library(&mut self, curator: &str) {
        self.raise(CardRemovedFromLibraryEvent { card_id: self.id.clone(), curator_id: curator.into() });
    }
}

type Rule = Box<dyn Fn(&str, u32) -> Result<(), HandlerError> + Send + Sync>;

/// What the handlers were given, as `handler card curator`, and what they are to answer.
pub(crate) struct Diary {
    rule: Mutex<Rule>,
    lines: Mutex<Vec<String>>,
}

impl Diary {
    pub(crate) fn new() -> Arc<Self> {
        Self::with_rule(|_, _| Ok(()))
    }

    /// The rule is given the line and the attempt.
    pub(crate) fn with_rule(rule: impl Fn(&str, u32) -> Result<(), HandlerError> + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { rule: Mutex::new(Box::new(rule)), lines: Mutex::default() })
    }

    pub(crate) fn set_rule(&self, rule: impl Fn(&str, u32) -> Result<(), HandlerError> + Send + Sync + 'static) {
        *self.rule.lock().unwrap() = Box::new(rule);
    }

    fn note(&self, line: String, attempt: u32) -> Result<(), HandlerError> {
        let answer = {
            let rule = self.rule.lock().unwrap();
            // A rule that panics must not poison the next test step.
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| rule(&line, attempt)))
        };
        self.lines.lock().unwrap().push(line);
        answer.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// For handlers that take no part in the rule; begin with the handler's name.
    pub(crate) fn write(&self, line: String) {
        self.lines.lock().unwrap().push(line);
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// What one handler was given, without its name.
    pub(crate) fn of(&self, handler: &str) -> Vec<String> {
        let prefix = format!("{handler} ");
        self.lines().iter().filter_map(|line| line.strip_prefix(&prefix)).map(str::to_owned).collect()
    }
}

macro_rules! noted {
    ($handler:literal, $event:ident, $attempt:ident, $diary:ident) => {
        $diary.note(format!(concat!($handler, " {} {}"), $event.card_id, $event.curator_id), $attempt.0)
    };
}

#[event_handler(CardAddedToLibraryEvent, group = "search", max_attempts = 3, backoff = "5ms..20ms", timeout = "300ms")]
pub(crate) async fn index(
    event: &CardAddedToLibraryEvent,
    attempt: Attempt,
    diary: Service<Diary>,
) -> Result<(), HandlerError> {
    noted!("index", event, attempt, diary)?;
    if event.curator_id == "sleeper" {
        std::future::pending::<()>().await;
    }
    Ok(())
}

#[event_handler(CardAddedToLibraryEvent, group = "notifications", max_attempts = 3, backoff = "5ms..20ms")]
pub(crate) async fn notify(
    event: &CardAddedToLibraryEvent,
    attempt: Attempt,
    diary: Service<Diary>,
) -> Result<(), HandlerError> {
    noted!("notify", event, attempt, diary)
}

#[event_handler(CardAddedToLibraryEvent, group = "feeds", start = "now")]
pub(crate) async fn feed(
    event: &CardAddedToLibraryEvent,
    attempt: Attempt,
    diary: Service<Diary>,
) -> Result<(), HandlerError> {
    noted!("feed", event, attempt, diary)
}

/// What `notify` is called after a rename.
#[event_handler(CardAddedToLibraryEvent, group = "letters", alias = "notifications.notify")]
pub(crate) async fn write_letter(
    event: &CardAddedToLibraryEvent,
    attempt: Attempt,
    diary: Service<Diary>,
) -> Result<(), HandlerError> {
    noted!("write_letter", event, attempt, diary)
}

/// A type with fields, for two events.
#[derive(FromServices)]
pub(crate) struct Statistics {
    diary: Service<Diary>,
}

#[event_handler(CardAddedToLibraryEvent, group = "statistics")]
impl Statistics {
    async fn handle(&self, event: &CardAddedToLibraryEvent, attempt: Attempt) -> Result<(), HandlerError> {
        let diary = &self.diary;
        noted!("statistics", event, attempt, diary)
    }
}

/// A runtime on a new memory store with these handlers and this diary.
pub(crate) fn library(diary: &Arc<Diary>, handlers: &[&'static HandlerDef]) -> DomainEvents {
    on(MemoryStore::new(), diary, handlers).build().unwrap()
}

pub(crate) fn on<S: Store>(store: S, diary: &Arc<Diary>, handlers: &[&'static HandlerDef]) -> Builder<S> {
    let services = Services::new().with::<Diary>(Arc::clone(diary));
    let builder = DomainEvents::builder()
        .store(store)
        .without_linked()
        .services(services)
        .event::<CardAddedToLibraryEvent>()
        .event::<CardRemovedFromLibraryEvent>();
    handlers.iter().fold(builder, |builder, handler| builder.handler(handler))
}

pub(crate) async fn save<S: Store>(events: &DomainEvents<S>, card: &mut Card) -> Result<()> {
    let mut work = events.begin().await?;
    work.record(card);
    work.commit().await
}

/// Commits one event per curator, each in a unit of work of its own.
pub(crate) async fn add<S: Store>(events: &DomainEvents<S>, card: &str, curators: &[&str]) {
    let mut card = Card::new(card);
    for curator in curators {
        card.add_to_library(curator);
        save(events, &mut card).await.unwrap();
    }
}

/// Delivers what there is; returns the dead letters.
pub(crate) async fn settle<S: Store>(events: &DomainEvents<S>) -> Vec<DeadLetter> {
    let running = events.processor().start().await.unwrap();
    let dead = testkit::wait_until_settled(events, LIMIT).await;
    running.shutdown().await.unwrap();
    dead
}

/// Waits until a condition holds.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    let begun = std::time::Instant::now();
    while !condition() {
        assert!(begun.elapsed() < LIMIT, "waited {LIMIT:?} in vain until {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
