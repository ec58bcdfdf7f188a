//! What one connection's life has taken in and not settled: the border between the tasks that read and the consumer that
//! receives and settles. Counts what is unsettled by shard, so that a shard is given up when nothing of it is in work.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use foldhash::HashMap;
use tokio::sync::Notify;

use super::{lease::READABLE, reply::Id};
use crate::{
    error::{Error, Result},
    transport::record::{Delivery, Incoming, Tag},
};

/// The most entries one read takes in.
const READ: usize = 256;

/// How long a shard that is to be given up may take until nothing of it is in work; else it stays a while.
const DRAIN: Duration = Duration::from_secs(5);
const STAY: Duration = Duration::from_secs(30);

/// See the module.
pub(super) struct Feed {
    inner: Mutex<Inner>,
    window: usize,
    tags: Arc<AtomicU64>,
    /// For who receives: there is something, or it is over.
    pub(super) ready: Notify,
    /// For the reader: there is room, or a shard.
    pub(super) room: Notify,
    /// For the keeper: a shard can be given up.
    pub(super) drained: Notify,
}

#[derive(Default)]
struct Inner {
    queue: VecDeque<Delivery>,
    unsettled: HashMap<Tag, Unsettled>,
    shards: BTreeMap<u16, Shard>,
    /// What the reader reads at the moment: such a shard can't be given up.
    reading: Vec<u16>,
    renewed: Option<Instant>,
    stay_until: Option<Instant>,
    failure: Option<Error>,
}

struct Shard {
    phase: Phase,
    unsettled: usize,
}

enum Phase {
    /// What a former owner left unsettled comes first.
    Catching(Id),
    Live,
    /// To be given up: nothing is read any more.
    Leaving(Instant),
}

/// A delivery that is not settled.
#[derive(Clone)]
pub(super) struct Unsettled {
    pub(super) shard: u16,
    pub(super) id: Id,
    message: Arc<Incoming>,
    redelivered: u32,
}

/// What the reader should do next.
pub(super) enum Plan {
    /// Take what is unsettled of a shard, behind this entry.
    CatchUp { shard: u16, after: Id, count: usize },
    /// Read new entries of these shards, so many of each.
    Read { shards: Vec<u16>, count: usize },
}

/// An entry that was read.
pub(super) struct Taken {
    pub(super) id: Id,
    pub(super) message: Incoming,
    pub(super) redelivered: u32,
}

impl Feed {
    pub(super) fn new(window: usize, tags: Arc<AtomicU64>) -> Self {
        Self {
            inner: Mutex::default(),
            window: window.max(1),
            tags,
            ready: Notify::new(),
            room: Notify::new(),
            drained: Notify::new(),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tag(&self) -> Tag {
        Tag(self.tags.fetch_add(1, Ordering::Relaxed))
    }

    /// Ends this connection's life: whoever receives next is told.
    pub(super) fn fail(&self, error: Error) {
        self.inner().failure.get_or_insert(error);
        self.ready.notify_one();
    }

    /// The next deliveries, if there are any.
    pub(super) fn take(&self, max: usize) -> Result<Vec<Delivery>> {
        let mut inner = self.inner();
        if let Some(error) = inner.failure.take() {
            return Err(error);
        }
        let handed_out = inner.unsettled.len() - inner.queue.len();
        let count = max.min(inner.queue.len()).min(self.window.saturating_sub(handed_out));
        Ok(inner.queue.drain(..count).collect())
    }

    /// What is to be read next; nothing while the window is full, or the lease may be over before an answer is there.
    pub(super) fn plan(&self) -> Option<Plan> {
        let mut inner = self.inner();
        let free = self.window.saturating_sub(inner.unsettled.len());
        let readable = inner.renewed.is_some_and(|renewed| renewed.elapsed() < READABLE);
        if free == 0 || !readable {
            return None;
        }
        let catching = inner.shards.iter().find_map(|(shard, state)| match state.phase {
            Phase::Catching(after) => Some((*shard, after)),
            _ => None,
        });
        if let Some((shard, after)) = catching {
            inner.reading = vec![shard];
            return Some(Plan::CatchUp { shard, after, count: free.min(READ) });
        }
        let live = inner.shards.iter().filter(|(_, state)| matches!(state.phase, Phase::Live));
        let shards: Vec<_> = live.map(|(shard, _)| *shard).collect();
        if shards.is_empty() {
            return None;
        }
        // The server counts by stream. With little room all are asked for one each: which of them have something is not
        // known, and what is too much for the window waits here.
        let count = (free / shards.len()).clamp(1, READ);
        inner.reading.clone_from(&shards);
        Some(Plan::Read { shards, count })
    }

    /// So many deliveries may still be taken in.
    pub(super) fn free(&self) -> usize {
        self.window.saturating_sub(self.inner().unsettled.len())
    }

    /// Takes in what was read of a shard.
    pub(super) fn accept(&self, shard: u16, entries: Vec<Taken>) {
        let mut guard = self.inner();
        let inner = &mut *guard;
        let Some(state) = inner.shards.get_mut(&shard) else { return };
        for entry in entries {
            let (tag, message) = (self.tag(), Arc::new(entry.message));
            state.unsettled += 1;
            let unsettled = Unsettled { shard, id: entry.id, message: message.clone(), redelivered: entry.redelivered };
            inner.unsettled.insert(tag, unsettled);
            inner.queue.push_back(Delivery { tag, message, redelivered: entry.redelivered });
        }
        drop(guard);
        self.ready.notify_one();
    }

    /// The catching up of a shard has come to here; to its end if `over`.
    pub(super) fn caught_up(&self, shard: u16, after: Id, over: bool) {
        if let Some(state) = self.inner().shards.get_mut(&shard)
            && matches!(state.phase, Phase::Catching(_))
        {
            state.phase = if over { Phase::Live } else { Phase::Catching(after) };
        }
    }

    /// The reader has taken in what its plan brought.
    pub(super) fn read_over(&self) {
        let mut inner = self.inner();
        inner.reading.clear();
        let leaves = inner.shards.values().any(|state| matches!(state.phase, Phase::Leaving(_)));
        drop(inner);
        if leaves {
            self.drained.notify_one();
        }
    }

    /// An unsettled delivery; none for a tag of old.
    pub(super) fn unsettled(&self, tag: Tag) -> Option<Unsettled> {
        self.inner().unsettled.get(&tag).cloned()
    }

    /// The entries of what is done, by shard; nothing for tags of old.
    pub(super) fn entries(&self, done: &[Tag]) -> BTreeMap<u16, Vec<Id>> {
        let inner = self.inner();
        let mut entries = BTreeMap::<_, Vec<_>>::new();
        for unsettled in done.iter().filter_map(|tag| inner.unsettled.get(tag)) {
            entries.entry(unsettled.shard).or_default().push(unsettled.id);
        }
        entries
    }

    /// These are settled.
    pub(super) fn settled(&self, tags: &[Tag]) {
        let mut guard = self.inner();
        let inner = &mut *guard;
        let mut leaves = false;
        for tag in tags {
            let Some(unsettled) = inner.unsettled.remove(tag) else { continue };
            if let Some(state) = inner.shards.get_mut(&unsettled.shard) {
                state.unsettled -= 1;
                leaves |= state.unsettled == 0 && matches!(state.phase, Phase::Leaving(_));
            }
        }
        let waits = !inner.queue.is_empty();
        drop(guard);
        self.room.notify_one();
        if waits {
            self.ready.notify_one();
        }
        if leaves {
            self.drained.notify_one();
        }
    }

    /// These were not tried: they come again, before all others, unless the shard goes to another node.
    pub(super) fn returned(&self, tags: &[Tag]) {
        let mut guard = self.inner();
        let inner = &mut *guard;
        let mut again = Vec::new();
        for tag in tags {
            let Some(unsettled) = inner.unsettled.remove(tag) else { continue };
            // One that was not received yet comes anyway, under its new tag.
            inner.queue.retain(|delivery| delivery.tag != *tag);
            match inner.shards.get_mut(&unsettled.shard) {
                Some(Shard { phase: Phase::Leaving(_), unsettled }) => *unsettled -= 1,
                Some(_) => again.push(unsettled),
                None => {}
            }
        }
        again.sort_by_key(|unsettled| std::cmp::Reverse((unsettled.shard, unsettled.id)));
        for mut unsettled in again {
            let tag = self.tag();
            unsettled.redelivered = unsettled.redelivered.saturating_add(1);
            let message = unsettled.message.clone();
            inner.queue.push_front(Delivery { tag, message, redelivered: unsettled.redelivered });
            inner.unsettled.insert(tag, unsettled);
        }
        drop(guard);
        self.ready.notify_one();
        self.drained.notify_one();
    }

    /// The shards that nothing is in work of, to be given up: from now on they are not this node's.
    pub(super) fn take_drained(&self) -> Vec<u16> {
        let mut guard = self.inner();
        let Inner { shards, reading, .. } = &mut *guard;
        let drained = |shard: &u16, state: &mut Shard| {
            matches!(state.phase, Phase::Leaving(_)) && state.unsettled == 0 && !reading.contains(shard)
        };
        shards.extract_if(.., drained).map(|(shard, _)| shard).collect()
    }

    /// The lease was renewed by a call that was sent at `sent`: these shards are owned, so many of them too many. Returns
    /// whether the reader should plan anew; `None` if a shard was lost.
    pub(super) fn renewed(&self, sent: Instant, owned: &[u16], excess: usize) -> Option<bool> {
        let mut guard = self.inner();
        let inner = &mut *guard;
        if inner.shards.keys().any(|shard| !owned.contains(shard)) {
            return None;
        }
        inner.renewed = Some(sent);
        let mut changed = false;
        for shard in owned {
            inner.shards.entry(*shard).or_insert_with(|| {
                changed = true;
                Shard { phase: Phase::Catching(Id::ZERO), unsettled: 0 }
            });
        }
        changed |= inner.leave(excess);
        drop(guard);
        self.room.notify_one();
        Some(changed)
    }
}

impl Inner {
    /// Chooses the shards to give up, so many as are too many; takes back the choice where it was one too many.
    fn leave(&mut self, excess: usize) -> bool {
        let now = Instant::now();
        let mut leaving = 0;
        for state in self.shards.values_mut() {
            let Phase::Leaving(since) = state.phase else { continue };
            if now.duration_since(since) > DRAIN && state.unsettled > 0 {
                self.stay_until = Some(now + STAY);
                state.phase = Phase::Live;
            } else if leaving >= excess {
                state.phase = Phase::Live;
            } else {
                leaving += 1;
            }
        }
        if leaving >= excess || self.stay_until.is_some_and(|until| now < until) {
            return false;
        }
        let mut live: Vec<_> = self.shards.iter_mut().filter(|(_, state)| matches!(state.phase, Phase::Live)).collect();
        live.sort_by_key(|(_, state)| state.unsettled);
        for (_, state) in live.into_iter().take(excess - leaving) {
            state.phase = Phase::Leaving(now);
        }
        true
    }
}
