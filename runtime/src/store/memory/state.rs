//! What the store holds, and the rules that more than one of its traits relies on. Plain data, no waiting.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::Utc;

use super::{MemoryConnection, received::Received};
use crate::{
    error::{Error, ErrorKind, Result},
    event::{Envelope, EventId},
    store::{
        check::{conflict, duplicate, expected_version},
        record::{AggregateKey, DeadLetter, Lease, Node, NodeId, Parked, Position, SubscriptionId},
    },
};

#[derive(Default)]
pub(super) struct State {
    /// The position of the last event ever committed; trimming does not lower it.
    pub(super) last: i64,
    pub(super) log: BTreeMap<i64, Envelope>,
    pub(super) positions: HashMap<EventId, i64>,
    /// The last version of every aggregate that has versions; outlives its events.
    pub(super) versions: HashMap<AggregateKey, u64>,
    pub(super) subscriptions: BTreeMap<SubscriptionId, Subscription>,
    pub(super) parked: BTreeMap<(Arc<str>, i64), Parked>,
    /// In the order they came.
    pub(super) dead: Vec<DeadLetter>,
    pub(super) marks: HashMap<(Arc<str>, EventId), Mark>,
    /// By handler.
    pub(super) received: HashMap<Arc<str>, HashMap<EventId, Received>>,
    pub(super) nodes: BTreeMap<NodeId, (Node, Instant)>,
}

#[derive(Clone)]
pub(super) struct Subscription {
    pub(super) position: Position,
    /// Who holds the lease, and until when.
    pub(super) holder: Option<(NodeId, Instant)>,
    pub(super) fence: i64,
    pub(super) crashes: u32,
    pub(super) paused: bool,
    pub(super) revision: i64,
}

impl Subscription {
    pub(super) fn is_live(&self, now: Instant) -> bool {
        self.holder.as_ref().is_some_and(|(_, until)| *until > now)
    }

    fn is_held_by(&self, lease: &Lease) -> bool {
        self.fence == lease.fence && self.holder.as_ref().is_some_and(|(owner, _)| *owner == lease.owner)
    }
}

/// An event that a subscription was told to handle once.
pub(super) struct Mark {
    pub(super) position: i64,
    pub(super) done: bool,
}

impl State {
    /// The subscription, if this lease is still its latest.
    pub(super) fn held(&mut self, lease: &Lease) -> Option<&mut Subscription> {
        self.subscriptions.get_mut(&lease.subscription).filter(|subscription| subscription.is_held_by(lease))
    }

    pub(super) fn partitions<'a>(
        &'a mut self,
        handler: &'a str,
    ) -> impl Iterator<Item = (&'a SubscriptionId, &'a mut Subscription)> {
        self.subscriptions.iter_mut().filter(move |(id, _)| &*id.handler == handler)
    }

    /// Says that a person changed something about a handler's deliveries.
    pub(super) fn revise(&mut self, handler: &str) {
        self.partitions(handler).for_each(|(_, subscription)| subscription.revision += 1);
    }

    /// Whether these events can follow what is committed, and each other: called when they are appended, and again when
    /// they are committed, because another transaction may have been faster.
    pub(super) fn check<'a>(&self, events: impl Iterator<Item = &'a Envelope>) -> Result<()> {
        let mut ids = std::collections::HashSet::new();
        let mut versions = HashMap::new();
        for Envelope { meta, .. } in events {
            if self.positions.contains_key(&meta.id) || !ids.insert(meta.id) {
                return Err(duplicate(meta));
            }
            let Some(expected) = expected_version(meta) else { continue };
            let aggregate = AggregateKey::from(meta);
            let committed = self.versions.get(&aggregate).copied().unwrap_or(0);
            let last = versions.entry(aggregate).or_insert(committed);
            if *last != expected {
                return Err(conflict(meta, *last));
            }
            *last = expected + 1;
        }
        Ok(())
    }

    /// Publishes a transaction whole, or refuses it whole.
    pub(super) fn commit(&mut self, staged: MemoryConnection) -> Result<()> {
        self.check(staged.events.iter())?;
        for handled in &staged.handled {
            if self.held(&handled.lease).is_none() {
                let subscription = &handled.lease.subscription;
                let message = format!("the lease of `{subscription}` was lost; whoever holds it now handles the event");
                return Err(Error::new(ErrorKind::Conflict, message));
            }
        }
        for (handler, event) in &staged.received {
            if self.received.get(handler).and_then(|marks| marks.get(event)).is_some_and(|mark| mark.done) {
                let message = format!("event {event} was handled by `{handler}` in another transaction meanwhile");
                return Err(Error::new(ErrorKind::Conflict, message));
            }
        }
        let now = Utc::now();
        for mut event in staged.events {
            self.last += 1;
            event.meta.position = Some(self.last);
            event.meta.recorded_at = Some(now);
            if let Some(version) = event.meta.aggregate_version {
                self.versions.insert(AggregateKey::from(&event.meta), version);
            }
            self.positions.insert(event.meta.id, self.last);
            self.log.insert(self.last, event);
        }
        for (handler, event) in staged.received {
            self.received.entry(handler).or_default().insert(event, Received::now(true));
        }
        for handled in staged.handled {
            let handler = handled.lease.subscription.handler;
            self.marks.insert((handler, handled.event), Mark { position: handled.position, done: true });
        }
        Ok(())
    }
}

/// The end of a lease or a heartbeat; one too long for the clock runs for thirty years.
pub(super) fn after(now: Instant, ttl: Duration) -> Instant {
    const THIRTY_YEARS: Duration = Duration::from_secs(30 * 365 * 24 * 3600);
    now + ttl.min(THIRTY_YEARS)
}
