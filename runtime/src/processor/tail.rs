//! The log, read once for all subscriptions of the process that stand at the same place, and decoded once.

use std::{
    collections::VecDeque,
    ops::Deref,
    sync::{Arc, OnceLock},
};

use tokio::sync::Mutex;

use super::{Context, key};
use crate::{
    error::Result,
    event::{AnyEvent, Envelope, EventDef, EventId},
    handler::{Registry, Resolution, Undeliverable, decode},
    store::{Store, record::Position},
};

/// How many pages are kept for subscriptions that come by a little later, or are a little slower: one that finds its
/// next page gone reads for itself from then on, until it has caught up. As long as they hold [`KEPT_BYTES`] at most.
const PAGES: usize = 32;
const KEPT_BYTES: usize = 16 * 1024 * 1024;
/// About how many bytes of payload a page should hold: large events make short pages.
const PAGE_BYTES: usize = 4 * 1024 * 1024;

/// One event out of the log.
pub(super) struct TailEvent {
    pub(super) envelope: Envelope,
    pub(super) key: u64,
    resolved: OnceLock<Resolution>,
    decoded: OnceLock<std::result::Result<(&'static EventDef, Arc<AnyEvent>), Undeliverable>>,
}

impl TailEvent {
    fn new(envelope: Envelope) -> Self {
        let key = key::of_event(&envelope.meta);
        Self { envelope, key, resolved: OnceLock::new(), decoded: OnceLock::new() }
    }

    pub(super) fn id(&self) -> EventId {
        self.envelope.meta.id
    }

    /// What its name and version lead to, looked up when the first handler asks.
    pub(super) fn resolution(&self, registry: &Registry) -> &Resolution {
        self.resolved.get_or_init(|| registry.resolve(&self.envelope.meta.name, self.envelope.meta.version))
    }

    /// The event itself, decoded when the first handler asks.
    pub(super) fn decode(
        &self,
        registry: &Registry,
    ) -> std::result::Result<(&'static EventDef, &Arc<AnyEvent>), &Undeliverable> {
        let decoded = self.decoded.get_or_init(|| decode(&self.envelope, registry));
        decoded.as_ref().map(|(def, event)| (*def, event))
    }
}

/// A stretch of the log, shared.
pub(super) struct TailPage {
    from: Position,
    events: Vec<(TailEvent, Position)>,
    pub(super) end: Position,
    /// Of payloads.
    bytes: usize,
}

/// A page as one subscription holds it. What holds its events is counted here, for that subscription alone: at a counter
/// in each event, all of them would wait for each other. Apart from that counter, for those who only read.
#[repr(align(128))]
pub(super) struct Held(Arc<TailPage>);

impl Held {
    pub(super) fn new(page: Arc<TailPage>) -> Arc<Self> {
        Arc::new(Self(page))
    }

    /// An event, and the position behind it; `None` behind the last one.
    pub(super) fn event(self: &Arc<Self>, index: usize) -> Option<(HeldEvent, &Position)> {
        let (_, resume) = self.0.events.get(index)?;
        Some((HeldEvent { page: Arc::clone(self), index }, resume))
    }
}

impl Deref for Held {
    type Target = TailPage;

    fn deref(&self) -> &TailPage {
        &self.0
    }
}

/// An event of a page that a subscription holds.
#[derive(Clone)]
pub(super) struct HeldEvent {
    page: Arc<Held>,
    index: usize,
}

impl HeldEvent {
    /// One that was fetched for itself.
    pub(super) fn alone(envelope: Envelope) -> Self {
        let events = vec![(TailEvent::new(envelope), Position::BEGINNING)];
        let page = TailPage { from: Position::BEGINNING, events, end: Position::BEGINNING, bytes: 0 };
        Self { page: Held::new(Arc::new(page)), index: 0 }
    }
}

impl Deref for HeldEvent {
    type Target = TailEvent;

    fn deref(&self) -> &TailEvent {
        // It was there when this was made, and a page stays as it is.
        &self.page.0.events[self.index].0
    }
}

/// The reader that all subscriptions of a node share.
pub(super) struct Tail<S> {
    context: Arc<Context<S>>,
    // Held while the store is read: those who ask for the same page meanwhile find it when they get the lock.
    state: Mutex<State>,
}

struct State {
    pages: VecDeque<Arc<TailPage>>,
    /// Where nothing was found, and how often the bell had rung then: asking again before the next ring is useless.
    empty: Option<(Position, u64)>,
    /// The next page's length.
    limit: usize,
}

impl<S: Store> Tail<S> {
    pub(super) fn new(context: Arc<Context<S>>) -> Self {
        let limit = context.config.batch.min(64);
        Self { context, state: Mutex::new(State { pages: VecDeque::new(), empty: None, limit }) }
    }

    /// Forgets the pages: after a crash of the store's server, what was read before may lead on to a place that the log
    /// does not have.
    pub(super) async fn forget(&self) {
        let mut state = self.state.lock().await;
        state.pages.clear();
        state.empty = None;
    }

    /// The events behind a position; `None` if there are none yet.
    pub(super) async fn read(&self, after: &Position) -> Result<Option<Arc<TailPage>>> {
        let mut state = self.state.lock().await;
        if let Some(page) = state.pages.iter().find(|page| page.from == *after) {
            return Ok(Some(Arc::clone(page)));
        }
        let rings = self.context.bell.rings();
        if state.empty.as_ref().is_some_and(|(position, seen)| position == after && *seen == rings) {
            return Ok(None);
        }

        let page = self.context.store.read(after, state.limit).await?;
        if page.events.is_empty() && page.end == *after {
            state.empty = Some((after.clone(), rings));
            return Ok(None);
        }
        state.limit = next_limit(&page.events, state.limit, self.context.config.batch);
        let bytes = page.events.iter().map(|event| event.payload.len()).sum();
        let events = page.events.into_iter().map(TailEvent::new).zip(page.resume).collect();
        let page = Arc::new(TailPage { from: after.clone(), events, end: page.end, bytes });
        state.pages.push_back(Arc::clone(&page));
        let mut bytes: usize = state.pages.iter().map(|page| page.bytes).sum();
        while state.pages.len() > PAGES || (bytes > KEPT_BYTES && state.pages.len() > 1) {
            bytes -= state.pages.pop_front().map_or(0, |page| page.bytes);
        }
        Ok(Some(page))
    }
}

/// Doubles the page while events are small; keeps it to about [`PAGE_BYTES`] when they are large.
fn next_limit(events: &[Envelope], limit: usize, max: usize) -> usize {
    let bytes: usize = events.iter().map(|event| event.payload.len()).sum();
    let average = bytes / events.len().max(1);
    (limit * 2).min(PAGE_BYTES / average.max(1)).clamp(1, max)
}
