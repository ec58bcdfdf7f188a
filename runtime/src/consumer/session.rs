//! One subscription: takes deliveries in, has them handled, tells the broker what became of them; from the first connection
//! until it is told to stop.
//!
//! What is settled goes in one batch after the other: while one is on its way, the next one grows.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::watch;

use super::{
    Context,
    arrival::Arrival,
    attempt::Attempt,
    intake::{Taken, take},
    lanes::{Item, Job, Lanes},
    parking::{self, Letter, Parking},
    recent::Recent,
    settling::settle,
};
use crate::{
    error::Result,
    event::{DeadReason, EventId},
    handler::{Attempted, BURST, Ended, Next, OnDead, Sharing, UnderWay, Wired, next},
    store::Store,
    transport::{
        BoxFuture, Inbound, Link,
        record::{Epitaph, Fate, Settlement, Subscription, Tag},
    },
};

/// How long a delivery waits whose store failed.
const STORE_PAUSE: Duration = Duration::from_millis(200);
/// The most deliveries that are settled at a time.
const TOGETHER: usize = 256;

/// A handler's subscription to a broker.
pub(super) struct Session<S> {
    pub(super) context: Arc<Context<S>>,
    pub(super) wired: Arc<Wired>,
    pub(super) subscription: Subscription,
    pub(super) link: Link,
    pub(super) stop: watch::Receiver<bool>,
    pub(super) paused: watch::Receiver<bool>,
}

/// What is remembered while the subscription is connected.
struct State<S: Store> {
    lanes: Lanes,
    recent: Recent,
    parking: Parking,
    running: UnderWay<Attempt<S>>,
    sharing: Sharing,
    settlements: Vec<Settlement>,
    /// Handled events among the settlements, for the inbox.
    handled: Vec<EventId>,
}

impl<S: Store> Session<S> {
    /// Runs until told to stop.
    pub(super) async fn run(mut self) {
        let Some(inbound) = self.connect().await else { return };
        self.serve(&*inbound).await;
        let grace = self.context.config.grace;
        match tokio::time::timeout(grace, inbound.close()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(handler = %self.wired.name, %error, "can't sign off from the broker"),
            Err(_) => tracing::warn!(handler = %self.wired.name, "the broker did not answer the sign-off in time"),
        }
    }

    /// Connects, however long the broker is away; `None` if told to stop before.
    async fn connect(&mut self) -> Option<Arc<dyn Inbound>> {
        loop {
            let transport = Arc::clone(&self.context.transport);
            let subscription = self.subscription.clone();
            let connected = async move {
                transport.ensure(&subscription).await?;
                transport.subscribe(&subscription).await
            };
            let connected = tokio::select! {
                connected = connected => connected,
                () = stopped(&mut self.stop) => return None,
            };
            match connected {
                Ok(inbound) => {
                    self.link.up();
                    return Some(inbound);
                }
                Err(error) => {
                    let wait = self.link.down(&error);
                    tokio::select! {
                        () = tokio::time::sleep(wait) => {}
                        () = stopped(&mut self.stop) => return None,
                    }
                }
            }
        }
    }

    async fn serve(&mut self, inbound: &dyn Inbound) {
        let window = self.subscription.window;
        let mut state = State {
            lanes: Lanes::default(),
            recent: Recent::new(window * 4),
            parking: Parking::new(),
            running: UnderWay::new(),
            sharing: Sharing::new(if self.wired.transactional { Duration::ZERO } else { BURST }),
            settlements: Vec::new(),
            handled: Vec::new(),
        };
        let parks = self.wired.options.on_dead == OnDead::Park;
        let mut receiving: Option<BoxFuture<'_, Result<Vec<Taken>>>> = None;
        let mut settling: Option<BoxFuture<'_, ()>> = None;
        let mut looking: Option<BoxFuture<'_, Result<Vec<Letter>>>> = None;
        let mut releasing: Option<BoxFuture<'_, Result<()>>> = None;
        // After a lost connection, or a failed look at the dead letters: when to try again.
        let (mut receive_at, mut look_at): (Option<Instant>, Option<Instant>) = (None, None);
        let mut cut_off_at: Option<Instant> = None;
        loop {
            let now = Instant::now();
            let stopping = *self.stop.borrow_and_update();
            let paused = *self.paused.borrow_and_update();
            if stopping {
                // What arrived and is not in the queues yet is given back with the rest.
                receiving = None;
                state.take_back();
                let until = *cut_off_at.get_or_insert(now + self.context.config.grace);
                if now >= until && !state.running.is_empty() {
                    tracing::warn!(handler = %self.wired.name, unfinished = state.running.len(),
                        "the grace time is over; what still runs is cut off, and left to the broker");
                    state.running.cut_off();
                }
                let nothing_runs = state.running.is_empty() || now >= until;
                if nothing_runs && settling.is_none() && (state.settlements.is_empty() || now >= until) {
                    self.give_back(&mut state, inbound).await;
                    return;
                }
            } else if !paused {
                self.launch(&mut state, now);
            }
            // Before the dead letters are known, nobody knows what has to wait for them.
            let knows = !parks || state.parking.knows();
            let room = window.saturating_sub(state.lanes.len());
            if !stopping && !paused && knows && receiving.is_none() && room > 0 && receive_at.is_none_or(|at| at <= now)
            {
                receiving = Some(Box::pin(take(inbound, &self.context, &self.wired, room)));
            }
            let may_look = parks && looking.is_none() && releasing.is_none() && !stopping;
            let look_due = look_at.max(state.parking.next_look()).filter(|_| may_look);
            if look_due.is_some_and(|at| at <= now) {
                let (transport, registry) = (Arc::clone(&self.context.transport), Arc::clone(&self.context.registry));
                let look = parking::look(transport, Arc::clone(&self.wired.name), registry);
                state.parking.begin_look();
                looking = Some(Box::pin(look));
            }
            if settling.is_none() && !state.settlements.is_empty() {
                let settlements = state.take_settlements();
                let handled = std::mem::take(&mut state.handled);
                settling = Some(Box::pin(settle(inbound, &self.context, &self.wired, settlements, handled)));
            }

            // Every arm is cancel-safe: the futures stay where they are, or are made to be asked again.
            let launch_at = state.lanes.next_due().into_iter().chain(state.running.left_until()).min();
            let timer = [launch_at.filter(|_| !stopping && !paused), receive_at, look_due, cut_off_at]
                .into_iter()
                .flatten()
                .filter(|at| *at > now)
                .min();
            tokio::select! {
                ended = state.running.next(), if !state.running.is_empty() => {
                    self.ended(&mut state, ended);
                    // Whatever else is over already goes into the same batch.
                    while let Some(ended) = state.running.try_next() {
                        self.ended(&mut state, ended);
                    }
                }
                taken = pending(receiving.as_mut()) => {
                    receiving = None;
                    receive_at = None;
                    match taken {
                        Ok(taken) => {
                            self.link.up();
                            self.admit(&mut state, taken);
                        }
                        Err(error) => receive_at = Some(Instant::now() + self.link.down(&error)),
                    }
                }
                () = pending(settling.as_mut()) => settling = None,
                looked = pending(looking.as_mut()) => {
                    looking = None;
                    look_at = None;
                    match looked {
                        Ok(found) => {
                            let free = state.parking.learn(found, |key| state.lanes.has(key));
                            if !free.is_empty() {
                                let (transport, handler) = (Arc::clone(&self.context.transport), Arc::clone(&self.wired.name));
                                releasing = Some(Box::pin(parking::release(transport, handler, free)));
                            }
                        }
                        Err(error) => look_at = Some(Instant::now() + self.link.down(&error)),
                    }
                }
                released = pending(releasing.as_mut()) => {
                    releasing = None;
                    // The next look finds what is left.
                    if let Err(error) = released {
                        look_at = Some(Instant::now() + self.link.down(&error));
                    }
                }
                () = sleep_until(timer), if timer.is_some() => {}
                changed = self.stop.changed(), if !stopping => if changed.is_err() { return },
                changed = self.paused.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Takes what arrived into the queues, or decides at once what needs no handler.
    fn admit(&self, state: &mut State<S>, taken: Vec<Taken>) {
        for taken in taken {
            match taken {
                Taken::Fresh(arrival, tag) => {
                    let id = arrival.envelope.meta.id;
                    if state.recent.contains(id) {
                        state.settle(tag, Fate::Done);
                    } else if state.parking.holds(&arrival) {
                        self.park(state, &arrival, tag);
                    } else {
                        state.lanes.admit(arrival, tag);
                    }
                }
                Taken::Handled(tag) => state.settle(tag, Fate::Done),
                Taken::Unreadable(message, tag, epitaph) => {
                    tracing::error!(target: "domain_events::delivery", handler = %self.wired.name,
                        origin = %message.origin, reason = %epitaph.reason, error = %epitaph.error, "dead letter");
                    state.settle(tag, Fate::Dead(message, epitaph));
                }
            }
        }
    }

    fn park(&self, state: &mut State<S>, arrival: &Arrival, tag: Tag) {
        let error = "an earlier event of its aggregate is a dead letter; redrive or discard that one first".to_owned();
        let epitaph = Epitaph { reason: DeadReason::Parked, error, attempts: 0 };
        state.parking.bury(arrival);
        state.settle(tag, Fate::Dead(Arc::clone(&arrival.message), epitaph));
    }

    /// Begins as many attempts as may run at a time.
    fn launch(&self, state: &mut State<S>, now: Instant) {
        state.lanes.wake(now);
        if state.running.left_until().is_some_and(|until| until <= now) {
            state.sharing.is_slow();
            state.take_back();
        }
        let one_writer = self.wired.transactional && !self.context.store.capabilities().concurrent_writers;
        let limit = if one_writer { 1 } else { usize::from(self.wired.options.concurrency) };
        while state.running.len() < limit {
            let Some(job) = state.lanes.start() else { break };
            // Several together, only where more wait than can run at a time.
            let more = match state.sharing.most() {
                most if job.attempts == 0 && state.lanes.len() > limit => state.lanes.start_fresh(most - 1),
                _ => Vec::new(),
            };
            if more.is_empty() {
                state.running.make(self.attempt(job));
            } else {
                state.running.make_in_one_burst([job].into_iter().chain(more).map(|job| self.attempt(job)));
            }
        }
    }

    fn attempt(&self, job: Job) -> Attempt<S> {
        let (context, wired) = (Arc::clone(&self.context), Arc::clone(&self.wired));
        Attempt { context, wired, arrival: job.arrival, key: job.key, number: job.attempts + 1 }
    }

    /// What follows attempts that have ended.
    fn ended(&self, state: &mut State<S>, ended: Ended<()>) {
        let Ended { attempts, left, shared, waits, .. } = ended;
        match attempts.len() {
            deliveries if deliveries > 0 && waits.is_none() => {
                state.sharing.went_well(deliveries, attempts.iter().map(|attempt| attempt.took).sum());
            }
            deliveries => state.sharing.went_wrong(if shared { deliveries.max(2) } else { 1 }),
        }
        for attempted in attempts {
            self.attempted(state, attempted);
        }
        left.into_iter().for_each(|key| state.lanes.give_back(key));
    }

    fn attempted(&self, state: &mut State<S>, attempted: Attempted<()>) {
        let Attempted { key, number: attempts, outcome, .. } = attempted;
        let now = Instant::now();
        match next(outcome, attempts, &self.wired.options) {
            Next::Settle => {
                if let Some(item) = state.lanes.finish(key) {
                    state.done(item);
                }
            }
            Next::Repeat | Next::Leave => state.lanes.again(key, attempts - 1, now + STORE_PAUSE),
            Next::Retry { wait, .. } => {
                let at = now.checked_add(wait).unwrap_or(now + Duration::from_secs(30 * 365 * 24 * 3600));
                state.lanes.again(key, attempts, at);
            }
            Next::Bury { reason, error } => {
                if let Some(item) = state.lanes.finish(key) {
                    self.bury(state, item, Epitaph { reason, error, attempts });
                }
                if self.wired.options.on_dead == OnDead::Park {
                    for Item { arrival, tags, .. } in state.lanes.clear(key) {
                        tags.into_iter().for_each(|tag| self.park(state, &arrival, tag));
                    }
                }
            }
        }
    }

    fn bury(&self, state: &mut State<S>, item: Item, epitaph: Epitaph) {
        let (handler, meta) = (&self.wired.name, &item.arrival.envelope.meta);
        let Epitaph { reason, error, attempts } = &epitaph;
        tracing::error!(target: "domain_events::delivery", %handler, event = %meta.name, event_id = %meta.id,
            aggregate_id = %meta.aggregate_id, %reason, attempts, %error, "dead letter");
        if self.wired.options.on_dead == OnDead::Park {
            state.parking.bury(&item.arrival);
        }
        let mut tags = item.tags.into_iter();
        if let Some(tag) = tags.next() {
            state.settle(tag, Fate::Dead(Arc::clone(&item.arrival.message), epitaph));
        }
        tags.for_each(|tag| state.settle(tag, Fate::Done));
    }

    /// Everything that is not done goes back to the broker.
    async fn give_back(&self, state: &mut State<S>, inbound: &dyn Inbound) {
        let mut back = std::mem::take(&mut state.settlements);
        for item in state.lanes.take_all() {
            back.extend(item.tags.into_iter().map(|tag| Settlement { tag, fate: Fate::Returned }));
        }
        if back.is_empty() {
            return;
        }
        let told = settle(inbound, &self.context, &self.wired, back, std::mem::take(&mut state.handled));
        if tokio::time::timeout(self.context.config.grace, told).await.is_err() {
            tracing::warn!(handler = %self.wired.name, "the broker did not answer in time; it delivers again");
        }
    }
}

impl<S: Store> State<S> {
    fn settle(&mut self, tag: Tag, fate: Fate) {
        self.settlements.push(Settlement { tag, fate });
    }

    fn done(&mut self, item: Item) {
        let id = item.arrival.envelope.meta.id;
        self.recent.insert(id);
        self.handled.push(id);
        item.tags.into_iter().for_each(|tag| self.settle(tag, Fate::Done));
    }

    /// What was to be made together, and is not begun, does not wait any more.
    fn take_back(&mut self) {
        for key in self.running.take_back() {
            self.lanes.give_back(key);
        }
    }

    fn take_settlements(&mut self) -> Vec<Settlement> {
        let rest = self.settlements.split_off(self.settlements.len().min(TOGETHER));
        std::mem::replace(&mut self.settlements, rest)
    }
}

/// Resolves once this is true, or nobody is left who could make it so; cancel-safe.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// The future's output, or never if there is none.
async fn pending<F: Future + Unpin>(future: Option<F>) -> F::Output {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(at: Option<Instant>) {
    if let Some(at) = at {
        tokio::time::sleep_until(at.into()).await;
    }
}
