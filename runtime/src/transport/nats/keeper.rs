//! The task behind a connected way out: says that this process lives, takes and gives shards, writes positions down, and
//! runs a reader for each shard. Ends with the first thing that is lost; then all of it is made anew.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use async_nats::Subscriber;
use futures_util::{StreamExt, future::try_join_all};
use tokio::{
    task::{AbortHandle, JoinSet},
    time::timeout,
};

use super::{
    balance::plan,
    connect::unavailable,
    desk::Standing,
    ledger::{Book, Ledger, Position},
    names,
    shard::{Room, Taken},
};
use crate::error::{Error, Result};

/// How long a shard that is to be given away may take to be settled before it is read on.
const SETTLING: Duration = Duration::from_secs(5);

/// How long it is left alone then.
const LEFT_ALONE: Duration = Duration::from_secs(30);

/// The most time between two looks at the document.
const LOOK: Duration = Duration::from_secs(1);

pub(super) struct Keeper {
    pub(super) room: Arc<Room>,
    pub(super) book: Book,
    pub(super) calls: Subscriber,
    /// What the connection before this one held: generation and position.
    pub(super) known: HashMap<u16, (u64, Position)>,
    readers: HashMap<u16, AbortHandle>,
    tasks: JoinSet<Error>,
    /// The last sign of life of each other process, and when it was seen.
    seen: HashMap<String, (u64, Instant)>,
    looked: Option<Instant>,
    beaten: Option<Instant>,
    leaving_since: HashMap<u16, Instant>,
    left_alone_until: Option<Instant>,
}

/// What a round came to.
struct Round {
    taken: Vec<Taken>,
    /// So many more are to be given away.
    give: usize,
    /// Others should look at the document.
    call: bool,
}

impl Keeper {
    pub(super) fn new(room: Arc<Room>, book: Book, calls: Subscriber, known: HashMap<u16, (u64, Position)>) -> Self {
        Self {
            room,
            book,
            calls,
            known,
            readers: HashMap::new(),
            tasks: JoinSet::new(),
            seen: HashMap::new(),
            looked: None,
            beaten: None,
            leaving_since: HashMap::new(),
            left_alone_until: None,
        }
    }

    /// Runs until something is lost, and tells `receive`.
    pub(super) async fn run(mut self) {
        let error = self.keep().await;
        self.tasks.shutdown().await;
        // The channel has room for one more than may be unsettled.
        let _ = self.room.items.send(Err(error)).await;
    }

    async fn keep(&mut self) -> Error {
        let room = self.room.clone();
        let mut ticks = tokio::time::interval(LOOK.min(room.options.lease / 4));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let lost =
            |error: &str| unavailable(&room.options, &format!("`{}`: the connection ended", room.handler), error);
        loop {
            // Each of these can be dropped without losing anything: the document says it all.
            tokio::select! {
                _ = ticks.tick() => {}
                call = self.calls.next() => if call.is_none() { return lost("the server closed it") },
                () = room.desk.changed.notified() => {}
                Some(ended) = self.tasks.join_next() => match ended {
                    Ok(error) => return error,
                    Err(error) if error.is_cancelled() => continue,
                    Err(error) => return lost(&error.to_string()),
                },
            }
            if let Err(error) = self.round().await {
                return error;
            }
        }
    }

    async fn round(&mut self) -> Result<()> {
        let lease = self.room.options.lease;
        // Before others take what this process can't be sure to hold any more.
        let looked = timeout(lease / 2, self.look()).await;
        let round = looked.unwrap_or_else(|_| Err(self.trouble("no sign of life could be given in time")))?;
        self.start(round.taken).await?;
        self.leave(round.give);
        self.room.acknowledge(self.room.desk.acknowledge_all()).await?;
        if round.call {
            self.call().await?;
        }
        Ok(())
    }

    /// Reads the document and brings it up to date.
    async fn look(&mut self) -> Result<Round> {
        let room = self.room.clone();
        if !self.book.read(&room.options).await? {
            return Err(self.trouble("its document was removed from the server"));
        }
        self.follow_events();
        let dead = self.dead();
        let standings = room.desk.standings();
        let due = self.beaten.is_none_or(|beaten| beaten.elapsed() >= room.options.lease / 3);
        let again = self.must_read_again(&standings);
        let (me, began) = (room.node.clone(), Instant::now());
        let mut beaten = false;
        let round = self
            .book
            .change(&room.options, |ledger| {
                beaten = due || standings.iter().any(|standing| is_news(ledger, standing));
                let before = ledger.nodes.len();
                ledger.nodes.retain(|node, state| dead.get(node) != Some(&state.beat));
                let edition = ledger.edition;
                let node = ledger.nodes.entry(me.to_string()).or_default();
                beaten |= node.edition != edition;
                node.beat += u64::from(beaten);
                node.edition = edition;
                let mut round = Round { taken: Vec::new(), give: 0, call: before != ledger.nodes.len() };
                for standing in &standings {
                    write_down(ledger, standing, &me).ok_or_else(|| {
                        unavailable(&room.options, &format!("`{}`", room.handler), "another process took a shard over")
                    })?;
                    if standing.leaving && standing.idle {
                        ledger.shards[usize::from(standing.shard)].owner = None;
                        round.call = true;
                    }
                }
                take(ledger, &me, &standings, &again, &mut round);
                Ok(round)
            })
            .await?;
        if beaten {
            self.beaten = Some(began);
        }
        for standing in standings.iter().filter(|standing| standing.leaving && standing.idle) {
            room.desk.forget(standing.shard);
            self.readers.remove(&standing.shard);
            self.leaving_since.remove(&standing.shard);
        }
        Ok(round)
    }

    fn follow_events(&self) {
        self.room.events.send_if_modified(|events| {
            let changed = events.len() != self.book.ledger.events.len()
                || self.book.ledger.events.iter().any(|event| !events.contains(event));
            if changed {
                *events = self.book.ledger.events.iter().cloned().collect();
            }
            changed
        });
    }

    /// The processes that gave no sign of life for a lease's time, with the last one they gave.
    fn dead(&mut self) -> HashMap<String, u64> {
        let (now, lease) = (Instant::now(), self.room.options.lease);
        // While nobody looked, nobody could be seen.
        if self.looked.is_none_or(|looked| now - looked > lease / 2) {
            self.seen.clear();
        }
        self.looked = Some(now);
        let nodes = &self.book.ledger.nodes;
        self.seen.retain(|node, _| nodes.contains_key(node));
        let mut dead = HashMap::new();
        for (node, state) in nodes.iter().filter(|(node, _)| **node != *self.room.node) {
            let seen = self.seen.entry(node.clone()).or_insert((state.beat, now));
            if seen.0 != state.beat {
                *seen = (state.beat, now);
            } else if now - seen.1 >= lease {
                dead.insert(node.clone(), state.beat);
            }
        }
        dead
    }

    /// Shards that are to be read anew: something was returned, or keeps too much from being acknowledged, or they were to
    /// be given away and took too long.
    fn must_read_again(&mut self, standings: &[Standing]) -> BTreeSet<u16> {
        let mut again = BTreeSet::new();
        for standing in standings {
            let late = self.leaving_since.get(&standing.shard).is_some_and(|since| since.elapsed() > SETTLING);
            if late && !standing.idle {
                self.left_alone_until = Some(Instant::now() + LEFT_ALONE);
                self.leaving_since.remove(&standing.shard);
                again.insert(standing.shard);
            } else if (standing.returned || standing.overdue) && !standing.leaving {
                again.insert(standing.shard);
            }
        }
        again
    }

    /// Finds out how far the taken shards are, writes down what their owners died of, and reads them.
    async fn start(&mut self, taken: Vec<Taken>) -> Result<()> {
        if taken.is_empty() {
            return Ok(());
        }
        let room = self.room.clone();
        let found = taken.iter().map(|taken| {
            let generation = taken.shard.generation;
            let here = room.desk.stop(taken.index, generation);
            let before = || self.known.get(&taken.index).filter(|(before, _)| before + 1 == generation);
            let known = here.or_else(|| before().map(|(_, position)| position.clone()));
            room.find(taken, known.filter(|_| !taken.crashed))
        });
        let found = try_join_all(found).await?;
        // Before the first delivery: a message that ends the process at once must be found out too.
        let me = room.node.clone();
        self.book
            .change(&room.options, |ledger| {
                for (taken, found) in taken.iter().zip(&found) {
                    let shard = ledger.shards.get_mut(usize::from(taken.index));
                    let ours = shard.filter(|shard| {
                        shard.owner.as_deref() == Some(&*me) && shard.generation == taken.shard.generation
                    });
                    let shard = ours.ok_or_else(|| {
                        unavailable(&room.options, &format!("`{}`", room.handler), "another process took a shard over")
                    })?;
                    shard.position = found.position.clone();
                    shard.deaths = found.deaths.clone();
                }
                Ok(())
            })
            .await?;
        for (taken, found) in taken.into_iter().zip(found) {
            if let Some(reader) = self.readers.remove(&taken.index) {
                reader.abort();
            }
            self.known.remove(&taken.index);
            let (generation, last) = (taken.shard.generation, found.position.last);
            let left = room.desk.begin(taken.index, generation, &found.position, found.deaths);
            let read = room.clone().read(taken.index, generation, last, left);
            self.readers.insert(taken.index, self.tasks.spawn(read));
        }
        Ok(())
    }

    /// Begins to give shards away: nothing more of them is handed out.
    fn leave(&mut self, give: usize) {
        if self.left_alone_until.is_some_and(|until| Instant::now() < until) {
            return;
        }
        let standings = self.room.desk.standings();
        let leaving = standings.iter().filter(|standing| standing.leaving).count();
        let mut chosen: Vec<_> = standings.iter().filter(|standing| !standing.leaving).collect();
        // Those first that nobody has to wait for.
        chosen.sort_by_key(|standing| !standing.idle);
        for standing in chosen.into_iter().take(give.saturating_sub(leaving)) {
            self.room.desk.leave(standing.shard);
            if let Some(reader) = self.readers.remove(&standing.shard) {
                reader.abort();
            }
            self.leaving_since.insert(standing.shard, Instant::now());
            self.room.desk.changed.notify_one();
        }
    }

    async fn call(&self) -> Result<()> {
        let subject = names::wake_subject(self.room.options.prefix(), &self.room.handler);
        let called = self.room.client.publish(subject, self.room.node.to_string().into()).await;
        called.map_err(|error| self.trouble(&error.to_string()))
    }

    fn trouble(&self, error: &str) -> Error {
        unavailable(&self.room.options, &format!("`{}`", self.room.handler), error)
    }
}

/// Whether the document does not know yet how far a shard is.
fn is_news(ledger: &Ledger, standing: &Standing) -> bool {
    ledger.shards.get(usize::from(standing.shard)).is_some_and(|shard| shard.position != standing.position)
}

/// Writes down how far a shard is; `None` if it is not this process's any more.
pub(super) fn write_down(ledger: &mut Ledger, standing: &Standing, me: &str) -> Option<()> {
    let shard = ledger.shards.get_mut(usize::from(standing.shard))?;
    (shard.owner.as_deref() == Some(me) && shard.generation == standing.generation).then(|| {
        shard.position = standing.position.clone();
        shard.deaths = standing.deaths.clone();
    })
}

/// Takes what falls to this process, what it held before it lost its connection, and what it has to read again.
fn take(ledger: &mut Ledger, me: &str, standings: &[Standing], again: &BTreeSet<u16>, round: &mut Round) {
    let plan = plan(ledger, me);
    round.give = plan.give;
    for (index, shard) in ledger.shards.iter_mut().enumerate() {
        let Ok(number) = u16::try_from(index) else { break };
        let falls_to_me = plan.take.contains(&index);
        let held_before = shard.owner.as_deref() == Some(me) && !standings.iter().any(|held| held.shard == number);
        if falls_to_me || held_before || again.contains(&number) {
            let crashed = falls_to_me && shard.owner.is_some();
            shard.owner = Some(me.to_owned());
            shard.generation += 1;
            round.taken.push(Taken { index: number, shard: shard.clone(), crashed });
        }
    }
}
