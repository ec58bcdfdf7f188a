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
    deliveries::State,
    intake::{Taken, take},
    lanes::Lanes,
    parking::{self, Letter, Parking},
    recent::Recent,
    settling::settle,
};
use crate::{
    error::Result,
    handler::{BURST, MOST, OnDead, Sharing, UnderWay, Wired},
    store::Store,
    transport::{
        BoxFuture, Inbound, Link,
        record::{Fate, Settlement, Subscription},
    },
};

/// A handler's subscription to a broker.
pub(super) struct Session<S> {
    pub(super) context: Arc<Context<S>>,
    pub(super) wired: Arc<Wired>,
    pub(super) subscription: Subscription,
    pub(super) link: Link,
    pub(super) stop: watch::Receiver<bool>,
    pub(super) paused: watch::Receiver<bool>,
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
            sharing: Sharing::new(if self.wired.transactional { Duration::ZERO } else { BURST }, MOST),
            settlements: Vec::new(),
            handled: Vec::new(),
            buried: Vec::new(),
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
            } else if paused {
                state.take_back();
            } else {
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
                let settled = state.take_settled();
                settling = Some(Box::pin(settle(inbound, &self.context, &self.wired, settled)));
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

    /// Everything that is not done goes back to the broker.
    async fn give_back(&self, state: &mut State<S>, inbound: &dyn Inbound) {
        for item in state.lanes.take_all() {
            let back = item.tags.into_iter().map(|tag| Settlement { tag, fate: Fate::Returned });
            state.settlements.extend(back);
        }
        if state.settlements.is_empty() {
            return;
        }
        let told = settle(inbound, &self.context, &self.wired, state.take_all_settled());
        if tokio::time::timeout(self.context.config.grace, told).await.is_err() {
            tracing::warn!(handler = %self.wired.name, "the broker did not answer in time; it delivers again");
        }
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
