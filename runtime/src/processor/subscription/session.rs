//! From one reading of the stored state to the next: the loop that reads, delivers and writes.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use tokio::sync::watch;

use super::{
    Orders, Subscription, patience,
    progress::Progress,
    waits::{Boxed, later, output, sleep_until},
};
use crate::{
    handler::{BURST, HandlerOptions, MOST, Sharing, UnderWay},
    processor::{
        delivery::{Attempt, Common},
        key,
        lanes::{Job, Lanes},
        tail::{Held, TailPage},
    },
    store::{
        Store,
        record::{Parked, ParkedState, Position},
    },
};

/// How long after the grace time deliveries that were cut off may take to end, and the last checkpoint to be written.
const LAST_WORD: Duration = Duration::from_secs(3);

/// How many deliveries are made one at a time after a crash. The guilty one is most likely among the first, since
/// what is done is written down after a moment; where it stands further on, the next crash finds it: from the first one
/// on, no more than so many are done before they are written down.
const CAREFUL: usize = 128;

/// The most deliveries in one burst.
const LONGEST_BURST: usize = 128;

/// How a session ended.
pub(super) enum End {
    Stopped,
    /// A delivery that was cut off goes on: it holds a thread and never comes to an `await`.
    Stuck,
    LeaseLost,
    /// A person did something: begin again from what is stored.
    Again {
        position: Position,
        crashes: u32,
    },
}

/// What is remembered between one reading of the stored state and the next.
pub(super) struct Session<'a, S: Store> {
    pub(super) subscription: &'a mut Subscription<S>,
    /// For the attempts.
    pub(super) common: Arc<Common<S>>,
    orders: Orders,
    pub(super) lanes: Lanes,
    pub(super) progress: Progress,
    /// A page whose events are being admitted, and how many were.
    page: Option<(Arc<Held>, usize)>,
    /// Where the next page begins.
    read_from: Position,
    /// There was nothing behind `read_from` when last looked.
    pub(super) caught_up: bool,
    /// The last position that is stored.
    kept: Position,
    /// Attempts under way.
    pub(super) running: UnderWay<Attempt<S>>,
    pub(super) sharing: Sharing,
    /// Attempts that begin when the next checkpoint is written, and those that wait for the one being written.
    pub(super) armed: Vec<Job>,
    pub(super) arming: Vec<Job>,
    /// After a crash: how many deliveries are still made one at a time, each made known before it is begun.
    pub(super) careful: Option<usize>,
    /// The warning that too much is parked was given.
    full: bool,
}

impl<'a, S: Store> Session<'a, S> {
    /// Reads the parked deliveries; `None` if the subscription is to end before that succeeds.
    pub(super) async fn begin(subscription: &'a mut Subscription<S>) -> Option<Self> {
        let (orders, rows) = patience::parked(subscription).await?;
        let options = &subscription.wired.options;
        let now = subscription.context.clock.now();
        let mut lanes = Lanes::default();
        for row in rows {
            let key = key::of_aggregate(&row.aggregate);
            if subscription.owns(key) {
                lanes.restore(key, after_crash(row, options, now));
            }
        }
        let crashes = subscription.claim.crashes;
        if crashes > 0 {
            tracing::warn!(subscription = %subscription.claim.lease.subscription, crashes,
                "its last holder ended without giving it back; delivering one event at a time for a while");
        }
        let lease = subscription.claim.lease.clone();
        let common = Arc::new(Common {
            context: Arc::clone(&subscription.context),
            wired: Arc::clone(&subscription.wired),
            lease: lease.clone(),
        });
        Some(Self {
            common,
            orders,
            lanes,
            progress: Progress::new(lease, if crashes > 0 { CAREFUL } else { usize::MAX }),
            page: None,
            read_from: subscription.claim.position.clone(),
            caught_up: false,
            kept: subscription.claim.position.clone(),
            running: UnderWay::new(),
            sharing: sharing(subscription),
            armed: Vec::new(),
            arming: Vec::new(),
            careful: (crashes > 0).then_some(CAREFUL),
            full: false,
            subscription,
        })
    }

    pub(super) async fn run(mut self) -> End {
        let mut bell = self.subscription.context.bell.listen();
        let mut orders: watch::Receiver<Orders> = self.subscription.orders.clone();
        let mut reading: Option<Boxed<Option<Arc<TailPage>>>> = None;
        let mut writing: Option<(Option<Position>, Boxed<bool>)> = None;
        // Until when what runs may go on; then, until when its end is waited for.
        let (mut drain_until, mut is_cut_off): (Option<Instant>, bool) = (None, false);
        loop {
            let now = *orders.borrow_and_update();
            if now.lost {
                return End::LeaseLost;
            }
            let held = Instant::now() < now.held_until;
            let draining = now.stop || now.revision != self.orders.revision;
            if draining {
                // Only a shutdown is in a hurry: a person's action waits for what runs, which has its own limit of time.
                if now.stop {
                    let grace = self.subscription.context.config.grace;
                    drain_until.get_or_insert_with(|| Instant::now() + grace);
                }
                self.take_back();
                let mut past = drain_until.is_some_and(|until| Instant::now() >= until);
                if past && !is_cut_off {
                    self.cut_off();
                    (drain_until, is_cut_off, past) = (Some(Instant::now() + LAST_WORD), true, false);
                }
                let idle = self.running.is_empty() && self.armed.is_empty() && self.arming.is_empty();
                if idle && let Some(last) = self.progress.window.last_done() {
                    let changes = self.lanes.leave(last, self.subscription.context.clock.now());
                    self.progress.apply(changes);
                }
                if past || (idle && writing.is_none() && self.progress.is_written()) {
                    if now.stop {
                        return if self.running.is_empty() { End::Stopped } else { End::Stuck };
                    }
                    return End::Again { position: self.kept, crashes: u32::from(self.careful.is_some()) };
                }
            } else if !self.orders.paused {
                self.admit();
                if held {
                    self.launch();
                }
                if reading.is_none() && self.wants_page() {
                    bell.clear();
                    reading = Some(Box::pin(patience::read(self.subscription, self.read_from.clone())));
                }
            }
            let idle = draining || !self.armed.is_empty() || (self.caught_up && self.is_idle());
            if writing.is_none() && self.progress.is_due(idle) {
                let is_urgent = idle || self.progress.is_much();
                let checkpoint = self.progress.take();
                self.arming.append(&mut self.armed);
                let position = checkpoint.position.clone();
                writing = Some((position, Box::pin(patience::write(self.subscription, checkpoint, is_urgent))));
            }

            // Every arm is cancel-safe: the two futures stay where they are, the rest are made to be asked again.
            // Where the lease is not certain, nothing is begun, however due it is: news of the lease come as an order.
            let timer = self.next_timer(held && !draining, writing.is_none(), drain_until);
            tokio::select! {
                ended = self.running.next(), if !self.running.is_empty() => {
                    if self.ended(ended).is_break() {
                        return End::LeaseLost;
                    }
                }
                page = output(reading.as_mut()) => {
                    reading = None;
                    self.caught_up = page.is_none();
                    self.page = page.map(|page| (Held::new(page), 0));
                    self.tell_if_at_rest();
                }
                written = output(writing.as_mut().map(|(_, writing)| writing)) => {
                    let position = writing.take().and_then(|(position, _)| position);
                    if !written {
                        return End::LeaseLost;
                    }
                    self.kept = position.unwrap_or(self.kept);
                    self.tell_if_at_rest();
                    for job in std::mem::take(&mut self.arming) {
                        self.begin_attempt(job);
                    }
                }
                () = bell.heard(), if self.caught_up => self.caught_up = false,
                () = sleep_until(timer), if timer.is_some() => {}
                changed = orders.changed() => if changed.is_err() {
                    return End::LeaseLost;
                },
            }
        }
    }

    fn wants_page(&mut self) -> bool {
        let config = &self.subscription.context.config;
        let full = self.lanes.parked() >= config.parked_limit;
        if full && !self.full {
            tracing::warn!(handler = %self.subscription.wired.name, parked = self.lanes.parked(),
                "so many deliveries are parked that no more are read; mend the cause, or discard its dead letters");
        }
        self.full = full;
        self.page.is_none() && !self.caught_up && !full && self.progress.window.len() < config.batch
    }

    /// Takes events of the page into the window, as far as there is room.
    fn admit(&mut self) {
        let Some((page, mut taken)) = self.page.take() else { return };
        let now = self.subscription.context.clock.now();
        while let Some((event, resume)) = page.event(taken) {
            if self.progress.window.len() >= self.subscription.context.config.batch {
                self.page = Some((page, taken));
                return;
            }
            taken += 1;
            if self.subscription.takes(&event) {
                let ticket = self.progress.window.push(resume);
                let meta = &event.envelope.meta;
                let position = meta.position.unwrap_or(resume.after);
                let ordered = resume.window.is_none() || meta.aggregate_version.is_some();
                let changes = self.lanes.admit(event, position, ticket, ordered, now);
                self.progress.apply(changes);
            } else {
                self.progress.pass(resume);
            }
        }
        self.progress.pass(&page.end);
        self.read_from = page.end.clone();
    }

    /// Leaves what still runs to the next holder, as if it had not been tried: its end by this is no fault of its own.
    fn cut_off(&mut self) {
        if !self.running.is_empty() {
            tracing::warn!(handler = %self.subscription.wired.name, unfinished = self.running.len(),
                "the grace time is over; what still runs is cut off, and left to the next holder");
        }
        self.running.cut_off();
        let now = self.subscription.context.clock.now();
        for job in self.armed.drain(..).chain(self.arming.drain(..)) {
            let changes = self.lanes.repeat(job.key, true, now);
            self.progress.apply(changes);
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.running.is_empty() && self.armed.is_empty() && self.arming.is_empty() && !self.lanes.has_ready()
    }

    /// Tells those who wait until all is done that here it may be; what is being written is told of again.
    fn tell_if_at_rest(&mut self) {
        if self.caught_up && self.is_idle() && self.progress.is_written() {
            self.subscription.context.at_rest.ring();
        }
    }

    /// When to look again without being called.
    fn next_timer(&self, launching: bool, can_write: bool, drain_until: Option<Instant>) -> Option<Instant> {
        let clock = &self.subscription.context.clock;
        let retry = self.lanes.next_due().filter(|_| launching && !self.orders.paused).map(|at| {
            let wait = (at - clock.now()).to_std().unwrap_or_default();
            // A manual clock tells nobody that it was moved.
            Instant::now() + if clock.is_manual() { wait.min(Duration::from_millis(5)) } else { wait }
        });
        let write = self.progress.due_at().filter(|_| can_write);
        [retry, write, drain_until, self.running.left_until()].into_iter().flatten().min()
    }
}

/// How many deliveries are made together, and how long they may take.
fn sharing<S>(subscription: &Subscription<S>) -> Sharing {
    let config = &subscription.context.config;
    if subscription.wired.transactional {
        return Sharing::new(config.share_transactions, MOST);
    }
    // Few and long bursts cost least; each thread is to have two of a full window.
    let threads = tokio::runtime::Handle::current().metrics().num_workers();
    Sharing::new(BURST, (config.batch / (2 * threads)).clamp(MOST, LONGEST_BURST))
}

/// A delivery found `Running` took its process down: that was an attempt like any other, and the next one waits.
fn after_crash(row: Parked, options: &HandlerOptions, now: DateTime<Utc>) -> Parked {
    if row.state != ParkedState::Running || row.attempts >= options.max_attempts {
        return row;
    }
    let error = format!("its process ended during attempt {}", row.attempts);
    let next_at = later(now, options.backoff.jittered(row.attempts));
    Parked { state: ParkedState::Retrying, next_at, error: Some(error), ..row }
}
