//! What the handlers did, as the framework tells it to whoever listens: its `tracing` events.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::watch;
use tracing::{Event, Subscriber, field::Field};
use tracing_subscriber::{
    Layer,
    filter::Targets,
    layer::{Context, SubscriberExt as _},
    util::SubscriberInitExt as _,
};

/// One attempt of one handler.
#[derive(Debug, Clone, Default)]
pub(super) struct Entry {
    /// `group.name`
    pub(super) handler: String,
    pub(super) attempt: u64,
    /// Why it failed, if it did.
    pub(super) error: Option<String>,
    /// From the commit to here.
    pub(super) after: Duration,
    message: String,
}

/// The entries so far, and the last commit.
#[derive(Debug, Default)]
struct Page {
    entries: Vec<Entry>,
    committed: Option<Instant>,
}

/// Collects what was done.
#[derive(Clone)]
pub(super) struct Journal {
    page: Arc<watch::Sender<Page>>,
}

impl Journal {
    /// Listens from now on.
    pub(super) fn listen() -> Self {
        let journal = Self { page: Arc::new(watch::Sender::default()) };
        let debug = tracing::Level::DEBUG;
        let told = Targets::new().with_target("domain_events::delivery", debug).with_target("library::cards", debug);
        tracing_subscriber::registry().with(journal.clone().with_filter(told)).init();
        journal
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        self.page.borrow().entries.len()
    }

    /// The entries behind `start`, as soon as this many deliveries are done, or when the time is up.
    pub(super) async fn handled(&self, start: usize, deliveries: usize, limit: Duration) -> Vec<Entry> {
        let mut page = self.page.subscribe();
        let done = page.wait_for(|page| {
            page.entries.iter().skip(start).filter(|entry| entry.error.is_none()).count() >= deliveries
        });
        let _ = tokio::time::timeout(limit, done).await;
        self.page.borrow().entries.get(start..).unwrap_or_default().to_vec()
    }
}

impl<S: Subscriber> Layer<S> for Journal {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let now = Instant::now();
        let mut entry = Entry::default();
        event.record(&mut entry);
        self.page.send_modify(|page| match entry.message.as_str() {
            "committed" => page.committed = Some(now),
            "handled" | "failed" => {
                entry.after =
                    page.committed.map_or(Duration::ZERO, |committed| now.saturating_duration_since(committed));
                page.entries.push(entry);
            }
            _ => {}
        });
    }
}

impl tracing::field::Visit for Entry {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "attempt" {
            self.attempt = value;
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "handler" => self.handler = format!("{value:?}"),
            "error" => self.error = Some(format!("{value:?}")),
            "message" => self.message = format!("{value:?}"),
            _ => {}
        }
    }
}
