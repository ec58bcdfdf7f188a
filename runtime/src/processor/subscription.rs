//! One subscription that this node holds: reads, delivers, writes down what is done, until told to stop.
//!
//! A session begins from what the store knows and ends by writing everything down. A person's action (pause, redrive,
//! discard) ends one session and begins the next, so there is one way in which stored and remembered state meet.

use std::{
    collections::HashMap,
    future::Future,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use tokio::{
    sync::watch,
    task::{Id, JoinError, JoinSet},
};

use super::{
    Context,
    delivery::{Attempt, Attempted},
    desk::Desk,
    key,
    lanes::{Changes, Job, Lanes},
    tail::{Tail, TailPage},
    verdict::{Next, Outcome, next},
    window::Window,
};
use crate::{
    config::UnknownEvents,
    handler::{OnDead, Verdict, Wired},
    store::{
        Store,
        record::{Checkpoint, Claim, DeadLetter, DeadReason, Position},
    },
};

/// So many deliveries are written down at the latest ...
const WORK_PER_CHECKPOINT: usize = 256;
/// ... or after this time; events that were only passed over may wait longer.
const WORK_WAITS: Duration = Duration::from_millis(50);
const PASSED_WAITS: Duration = Duration::from_millis(100);
/// How long a delivery waits whose store failed, and a store call that failed.
const STORE_PAUSE: Duration = Duration::from_millis(200);

/// What the node tells a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Orders {
    /// Finish what runs, write it down, end.
    pub(super) stop: bool,
    /// Somebody else holds the lease: end at once, write nothing.
    pub(super) lost: bool,
    pub(super) paused: bool,
    pub(super) revision: i64,
}

/// How a subscription ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    Stopped,
    LeaseLost,
}

/// A subscription this node holds.
pub(super) struct Subscription<S> {
    pub(super) context: Arc<Context<S>>,
    pub(super) tail: Arc<Tail<S>>,
    pub(super) desk: Desk,
    pub(super) wired: Arc<Wired>,
    pub(super) claim: Claim,
    pub(super) orders: watch::Receiver<Orders>,
}

impl<S: Store> Subscription<S> {
    /// Runs until it is told to stop or has lost its lease. Does not give the lease back.
    pub(super) async fn run(mut self) -> Ended {
        loop {
            let Some(session) = Session::begin(&mut self).await else { return Ended::LeaseLost };
            match session.run().await {
                End::Stopped => return Ended::Stopped,
                End::LeaseLost => return Ended::LeaseLost,
                End::Again { position, crashes } => {
                    self.claim.position = position;
                    self.claim.crashes = crashes;
                }
            }
        }
    }
}

enum End {
    Stopped,
    LeaseLost,
    Again { position: Position, crashes: u32 },
}

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What is remembered between one reading of the stored state and the next.
struct Session<'a, S> {
    subscription: &'a mut Subscription<S>,
    orders: Orders,
    lanes: Lanes,
    window: Window,
    /// A page whose events are being admitted, and how many were.
    page: Option<(Arc<TailPage>, usize)>,
    /// Where the next page begins.
    read_from: Position,
    /// The last position that is stored.
    kept: Position,
    /// There was nothing behind `read_from` when last looked.
    caught_up: bool,
    /// Attempts under way, by task.
    running: JoinSet<Attempted>,
    jobs: HashMap<Id, (u64, u32)>,
    /// Attempts that begin when the next checkpoint is written, and those that wait for the one being written.
    armed: Vec<(Job, u32)>,
    arming: Vec<(Job, u32)>,
    /// What the next checkpoint will say.
    pending: Checkpoint,
    work: usize,
    dirty_since: Option<Instant>,
    /// After a crash: how many deliveries are still made one at a time, each made known before it is begun.
    careful: Option<usize>,
}

impl<'a, S: Store> Session<'a, S> {
    /// Reads the parked deliveries; `None` if the lease is lost before that succeeds.
    async fn begin(subscription: &'a mut Subscription<S>) -> Option<Self> {
        let handler = Arc::clone(&subscription.wired.name);
        let rows = loop {
            let orders = *subscription.orders.borrow_and_update();
            if orders.lost {
                return None;
            }
            match subscription.context.store.parked(&handler, usize::MAX).await {
                Ok(rows) => break rows,
                Err(error) if orders.stop => {
                    tracing::warn!(%handler, %error, "stopping without having read the parked deliveries");
                    return None;
                }
                Err(error) => {
                    tracing::warn!(%handler, %error, "can't read the parked deliveries; trying again");
                    tokio::time::sleep(STORE_PAUSE).await;
                }
            }
        };
        let mut lanes = Lanes::default();
        for row in rows {
            let key = key::of_aggregate(&row.aggregate);
            if subscription.owns(key) {
                lanes.restore(key, row);
            }
        }
        let orders = *subscription.orders.borrow_and_update();
        let (position, crashes) = (subscription.claim.position.clone(), subscription.claim.crashes);
        let careful = (crashes > 0).then_some(subscription.context.config.batch);
        if careful.is_some() {
            tracing::warn!(%handler, crashes, "its last holder ended without giving it back; delivering one at a time");
        }
        Some(Self {
            pending: Checkpoint::new(subscription.claim.lease.clone()),
            subscription,
            orders,
            lanes,
            window: Window::default(),
            page: None,
            read_from: position.clone(),
            kept: position,
            caught_up: false,
            running: JoinSet::new(),
            jobs: HashMap::new(),
            armed: Vec::new(),
            arming: Vec::new(),
            work: 0,
            dirty_since: None,
            careful,
        })
    }

    async fn run(mut self) -> End {
        let mut bell = self.subscription.context.bell.listen();
        let mut orders = self.subscription.orders.clone();
        let mut reading: Option<Boxed<Option<Arc<TailPage>>>> = None;
        let mut writing: Option<Boxed<bool>> = None;
        let mut writing_position = None;
        let mut drain_until: Option<Instant> = None;
        loop {
            let now = *orders.borrow_and_update();
            if now.lost {
                return End::LeaseLost;
            }
            let draining = now.stop || now.revision != self.orders.revision;
            if draining {
                let grace = self.subscription.context.config.grace;
                let until = *drain_until.get_or_insert_with(|| Instant::now() + grace);
                let past = Instant::now() >= until;
                if past && !self.running.is_empty() {
                    tracing::warn!(handler = %self.subscription.wired.name, unfinished = self.running.len(),
                        "the grace time is over; what still runs is left to the next holder");
                    self.running.abort_all();
                    self.jobs.clear();
                    while self.running.join_next().await.is_some() {}
                    self.armed.clear();
                }
                let idle = self.running.is_empty() && self.armed.is_empty() && self.arming.is_empty();
                if idle && writing.is_none() && (self.is_written() || past) {
                    if now.stop {
                        return End::Stopped;
                    }
                    let crashes = u32::from(self.careful.is_some());
                    return End::Again { position: self.kept, crashes };
                }
            } else if !self.orders.paused {
                self.admit();
                self.launch();
                if reading.is_none() && self.wants_page() {
                    bell.clear();
                    reading = Some(Box::pin(read(self.subscription, self.read_from.clone())));
                }
            }
            if writing.is_none() && self.checkpoint_due(draining) {
                let checkpoint = self.take_checkpoint();
                writing_position.clone_from(&checkpoint.position);
                writing = Some(Box::pin(write(self.subscription, checkpoint)));
            }

            let timer = self.next_timer(drain_until);
            tokio::select! {
                Some(joined) = self.running.join_next_with_id(), if !self.running.is_empty() => {
                    if self.attempted(joined).is_err() {
                        return End::LeaseLost;
                    }
                }
                page = ready(&mut reading) => {
                    reading = None;
                    self.caught_up = page.is_none();
                    self.page = page.map(|page| (page, 0));
                }
                written = ready(&mut writing) => {
                    writing = None;
                    if !written {
                        return End::LeaseLost;
                    }
                    if let Some(position) = writing_position.take() {
                        self.kept = position;
                    }
                    for (job, attempt) in std::mem::take(&mut self.arming) {
                        self.begin_attempt(job, attempt);
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

    fn wants_page(&self) -> bool {
        let config = &self.subscription.context.config;
        self.page.is_none()
            && !self.caught_up
            && self.window.len() < config.batch
            && self.lanes.parked() < config.parked_limit
    }

    /// Takes events of the page into the window, as far as there is room.
    fn admit(&mut self) {
        let Some((page, mut next)) = self.page.take() else { return };
        let now = self.subscription.context.clock.now();
        while let Some((event, resume)) = page.events.get(next) {
            if self.window.len() >= self.subscription.context.config.batch {
                self.page = Some((page, next));
                return;
            }
            next += 1;
            if self.subscription.takes(event) {
                let ticket = self.window.push(resume.clone());
                let position = event.envelope.meta.position.unwrap_or(resume.after);
                let changes = self.lanes.admit(Arc::clone(event), position, ticket, now);
                self.apply(changes);
            } else {
                self.pass(resume.clone());
            }
        }
        self.pass(page.end.clone());
        self.read_from = page.end.clone();
        self.caught_up = false;
    }

    fn pass(&mut self, resume: Position) {
        self.window.pass(resume);
        self.dirty_since.get_or_insert_with(Instant::now);
    }

    /// Begins as many attempts as may run at a time.
    fn launch(&mut self) {
        let now = self.subscription.context.clock.now();
        self.lanes.wake(now);
        let limit = self.concurrency();
        while self.running.len() + self.armed.len() + self.arming.len() < limit {
            let Some(job) = self.lanes.start() else { break };
            let attempt = job.attempts + 1;
            let spent = job.attempts >= self.subscription.wired.options.max_attempts;
            // What has failed before, or is under suspicion, is made known first. A delivery whose attempts are used up
            // by crashes is not tried again, only buried.
            if (self.careful.is_some() || job.attempts > 0) && !(job.crashed && spent) {
                let changes = self.lanes.arm(job.key, attempt, now);
                self.apply(changes);
                self.armed.push((job, attempt));
            } else {
                self.begin_attempt(job, attempt);
            }
        }
        // After a crash: once everything readable was tried and nothing is left to do, the suspicion is over.
        if self.careful == Some(0) || (self.careful.is_some() && self.caught_up && self.is_idle()) {
            self.careful = None;
            self.pending.calm = true;
        }
    }

    fn concurrency(&self) -> usize {
        let one_writer = !self.subscription.context.store.capabilities().concurrent_writers;
        if self.careful.is_some() || (self.subscription.wired.transactional && one_writer) {
            return 1;
        }
        usize::from(self.subscription.wired.options.concurrency)
    }

    fn begin_attempt(&mut self, job: Job, number: u32) {
        let subscription = &self.subscription;
        let crashed = job.crashed && job.attempts >= subscription.wired.options.max_attempts;
        let attempt = Attempt {
            context: Arc::clone(&subscription.context),
            wired: Arc::clone(&subscription.wired),
            lease: subscription.claim.lease.clone(),
            event: job.event,
            position: job.position,
            number,
        };
        let task = self
            .running
            .spawn(async move { if crashed { attempt.bury_crashed().await } else { attempt.make().await } });
        // A crashed one that is only buried was begun `attempts` times, not once more.
        let counted = if crashed { job.attempts } else { number };
        self.jobs.insert(task.id(), (job.key, counted));
        self.careful = self.careful.map(|left| left.saturating_sub(1));
    }

    /// What follows an attempt. An error means that the lease is lost.
    fn attempted(&mut self, joined: Result<(Id, Attempted), JoinError>) -> Result<(), ()> {
        let (id, attempted) = match joined {
            Ok(joined) => joined,
            Err(error) => {
                // Handlers' panics are caught further in; this is a task that was aborted, or a defect of ours.
                let error_text = format!("the delivery's task ended: {error}");
                let outcome = Outcome::Failed { verdict: Verdict::Retry, error: error_text };
                (error.id(), Attempted { outcome, event: None })
            }
        };
        let Some((key, attempts)) = self.jobs.remove(&id) else { return Ok(()) };
        let now = self.subscription.context.clock.now();
        let options = self.subscription.wired.options;

        if options.once
            && let Some(event) = &attempted.event
        {
            match &attempted.outcome {
                Outcome::Handled => self.pending.once_done.push(event.envelope.meta.id),
                Outcome::Failed { verdict: Verdict::Discard, .. } => {
                    self.pending.once_done.push(event.envelope.meta.id);
                }
                Outcome::Failed { .. } => self.pending.once_failed.push(event.envelope.meta.id),
                _ => {}
            }
        }

        let changes = match next(attempted.outcome, attempts, &options) {
            Next::Leave => return Err(()),
            Next::Settle => self.lanes.settle(key),
            Next::Repeat { .. } => {
                self.lanes.repeat(key, later(now, STORE_PAUSE));
                return Ok(());
            }
            Next::Retry { wait, error } => self.lanes.retry(key, attempts, later(now, wait), error),
            Next::Bury { reason, error } => {
                if let Some(event) = attempted.event {
                    self.bury(event.envelope.clone(), attempts, reason, error.clone(), now);
                }
                match options.on_dead {
                    OnDead::Continue => self.lanes.settle(key),
                    OnDead::Park => self.lanes.block(key, attempts, now, error),
                }
            }
        };
        self.work += 1;
        self.apply(changes);
        Ok(())
    }

    fn bury(
        &mut self,
        envelope: crate::event::Envelope,
        attempts: u32,
        reason: DeadReason,
        error: String,
        now: DateTime<Utc>,
    ) {
        let handler = &self.subscription.wired.name;
        tracing::error!(target: "domain_events::delivery", %handler, event = %envelope.meta.name,
            event_id = %envelope.meta.id, aggregate_id = %envelope.meta.aggregate_id, %reason, attempts, %error, "dead letter");
        self.pending.dead.push(DeadLetter::new(Arc::clone(handler), envelope, attempts, reason, error, now));
    }

    fn apply(&mut self, changes: Changes) {
        for ticket in changes.tickets {
            self.window.done(ticket);
        }
        self.pending.parked.extend(changes.parked);
        self.pending.settled.extend(changes.settled);
        self.dirty_since.get_or_insert_with(Instant::now);
    }

    fn is_idle(&self) -> bool {
        self.running.is_empty() && self.armed.is_empty() && self.arming.is_empty() && !self.lanes.has_ready()
    }

    /// Whether there is nothing that a checkpoint would say.
    fn is_written(&mut self) -> bool {
        self.collect_position();
        let Checkpoint { lease: _, position, parked, settled, dead, once_done, once_failed, calm } = &self.pending;
        position.is_none()
            && parked.is_empty()
            && settled.is_empty()
            && dead.is_empty()
            && once_done.is_empty()
            && once_failed.is_empty()
            && !calm
    }

    fn collect_position(&mut self) {
        if let Some(reached) = self.window.take_reached() {
            self.pending.position = Some(reached);
        }
    }

    fn checkpoint_due(&mut self, draining: bool) -> bool {
        if self.is_written() {
            self.dirty_since = None;
            self.work = 0;
            return false;
        }
        let waited = self.dirty_since.map_or(Duration::ZERO, |since| since.elapsed());
        let worked = self.work > 0 || !self.pending.parked.is_empty() || !self.pending.settled.is_empty();
        draining
            || !self.armed.is_empty()
            || self.work >= WORK_PER_CHECKPOINT
            || (worked && (self.is_idle() || waited >= WORK_WAITS))
            || waited >= PASSED_WAITS
            || self.pending.calm
    }

    fn take_checkpoint(&mut self) -> Checkpoint {
        self.work = 0;
        self.dirty_since = None;
        self.arming.append(&mut self.armed);
        let empty = Checkpoint::new(self.subscription.claim.lease.clone());
        let mut checkpoint = std::mem::replace(&mut self.pending, empty);
        // A delivery can be parked, tried again and settled between two checkpoints: the last word counts.
        checkpoint.parked.reverse();
        let mut seen = std::collections::HashSet::new();
        checkpoint.parked.retain(|row| seen.insert(row.position) && !checkpoint.settled.contains(&row.position));
        checkpoint
    }

    /// When to look again without being called.
    fn next_timer(&self, drain_until: Option<Instant>) -> Option<Instant> {
        let now = Instant::now();
        let clock = &self.subscription.context.clock;
        let due = self.lanes.next_due().filter(|_| drain_until.is_none() && !self.orders.paused).map(|at| {
            let wait = (at - clock.now()).to_std().unwrap_or_default();
            // A manual clock tells nobody that it was moved.
            now + if clock.is_manual() { wait.min(Duration::from_millis(5)) } else { wait }
        });
        let write = self.dirty_since.map(|since| {
            let worked = self.work > 0 || !self.pending.parked.is_empty() || !self.pending.settled.is_empty();
            since + if worked { WORK_WAITS } else { PASSED_WAITS }
        });
        // A checkpoint that is due but waits for the one being written needs no timer.
        let write = write.filter(|at| *at > now);
        let drain = drain_until.filter(|until| *until > now);
        [due, write, drain].into_iter().flatten().min()
    }
}

impl<S> Subscription<S> {
    /// Whether an aggregate belongs to this partition.
    fn owns(&self, key: u64) -> bool {
        key::partition(key, self.wired.options.partitions) == self.claim.lease.subscription.partition
    }

    /// Whether an event is one to deliver, or to bury, here.
    fn takes(&self, event: &super::tail::TailEvent) -> bool {
        use crate::handler::Resolution;
        let meta = &event.envelope.meta;
        self.owns(event.key)
            && match self.context.registry.resolve(&meta.name, meta.version) {
                Resolution::Known(def) => self.wired.entry(def).is_some(),
                Resolution::UnknownVersion(_) => self.wired.takes(&meta.name),
                Resolution::UnknownEvent => self.context.config.unknown_events == UnknownEvents::DeadLetter,
            }
    }
}

/// Reads until the store answers.
fn read<S: Store>(
    subscription: &Subscription<S>,
    from: Position,
) -> impl Future<Output = Option<Arc<TailPage>>> + Send + use<S> {
    let (tail, handler) = (Arc::clone(&subscription.tail), Arc::clone(&subscription.wired.name));
    async move {
        let mut pause = STORE_PAUSE;
        loop {
            match tail.read(&from).await {
                Ok(page) => return page,
                Err(error) => {
                    tracing::warn!(%handler, %error, "can't read the log; trying again");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(5));
                }
            }
        }
    }
}

/// Writes until the store answers: `false` if the lease is lost.
fn write<S>(subscription: &Subscription<S>, checkpoint: Checkpoint) -> impl Future<Output = bool> + Send + use<S> {
    let (desk, handler) = (subscription.desk.clone(), Arc::clone(&subscription.wired.name));
    async move {
        let mut pause = STORE_PAUSE;
        loop {
            match desk.clone().hand_in(checkpoint.clone()).await {
                Ok(written) => return written,
                Err(error) => {
                    tracing::warn!(%handler, %error, "can't write the checkpoint; trying again");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(5));
                }
            }
        }
    }
}

/// The future's output, or never if there is none. Cancel-safe: the future stays where it is.
async fn ready<T>(future: &mut Option<Boxed<T>>) -> T {
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

fn later(now: DateTime<Utc>, wait: Duration) -> DateTime<Utc> {
    chrono::Duration::from_std(wait)
        .ok()
        .and_then(|wait| now.checked_add_signed(wait))
        .unwrap_or(DateTime::<Utc>::MAX_UTC)
}
