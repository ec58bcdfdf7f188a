//! One processor of one process: keeps its leases, takes what the plan gives it, hands over what it takes away.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::watch,
    task::{Id, JoinSet},
};

use super::{
    Context,
    assign::assign,
    desk::Desk,
    strangers::warn_of_strangers,
    subscription::{Ended, Orders, Subscription},
    sweep::sweep,
    tail::Tail,
};
use crate::{
    error::Result,
    fault,
    handler::{Start, Wired},
    store::{
        Store,
        record::{Claim, Lease, NewSubscription, Node as NodeRow, NodeId, StartAt, SubscriptionId, SubscriptionState},
    },
    wake::Bell,
};

/// Another process's pause, redrive or discard is noticed after this time at the latest once the store says that
/// something has changed.
const LOOK: Duration = Duration::from_millis(250);

pub(super) struct Node<S> {
    context: Arc<Context<S>>,
    row: NodeRow,
    handlers: HashMap<Arc<str>, Arc<Wired>>,
    tail: Arc<Tail<S>>,
    desk: Desk,
    held: HashMap<SubscriptionId, Held>,
    tasks: JoinSet<Ended>,
    names: HashMap<Id, SubscriptionId>,
    renewed_at: Instant,
}

struct Held {
    lease: Lease,
    orders: watch::Sender<Orders>,
}

impl<S: Store> Node<S> {
    /// Makes sure that the subscriptions of these handlers exist, and that the store answers.
    pub(super) async fn join(context: Arc<Context<S>>, handlers: Vec<Arc<Wired>>) -> Result<Self> {
        let wanted: Vec<_> = handlers.iter().flat_map(|wired| subscriptions_of(wired)).collect();
        let before = context.store.glance().await?;
        context.store.ensure(&wanted).await?;
        warn_of_strangers(&context, &before).await?;
        let id = NodeId(format!("{}-{:08x}", context.config.node, fastrand::u32(..)).into());
        let names = handlers.iter().map(|wired| wired.name.to_string()).collect();
        Ok(Self {
            row: NodeRow { id, handlers: names },
            handlers: handlers.into_iter().map(|wired| (Arc::clone(&wired.name), wired)).collect(),
            tail: Arc::new(Tail::new(Arc::clone(&context))),
            desk: Desk::open(Arc::clone(&context.store)),
            context,
            held: HashMap::new(),
            tasks: JoinSet::new(),
            names: HashMap::new(),
            renewed_at: Instant::now(),
        })
    }

    /// Runs until told to stop, then until everything is handed back.
    pub(super) async fn run(mut self, mut stopped: watch::Receiver<bool>) {
        tracing::info!(node = %self.row.id, handlers = self.handlers.len(), "processor started");
        let mut helpers = JoinSet::new();
        helpers.spawn(watch_store(Arc::clone(&self.context.store), self.context.bell.clone()));
        helpers.spawn(sweep(Arc::clone(&self.context)));

        let mut bell = self.context.bell.listen();
        let mut switch = self.context.switch.listen();
        let beat = (self.context.config.lease / 3).max(Duration::from_millis(20));
        let mut next_beat = Instant::now();
        let mut looked_at = Instant::now();
        let mut look = false;
        let mut stopping = false;
        loop {
            if *stopped.borrow_and_update() && !stopping {
                stopping = true;
                self.order_all(|orders| orders.stop = true);
            }
            if stopping && self.tasks.is_empty() {
                break;
            }
            if Instant::now() >= next_beat {
                self.beat(stopping).await;
                next_beat = Instant::now() + beat;
            }
            if look && looked_at.elapsed() >= LOOK {
                self.look().await;
                (look, looked_at) = (false, Instant::now());
            }
            let wake_at = if look { next_beat.min(looked_at + LOOK) } else { next_beat };
            tokio::select! {
                Some(ended) = self.tasks.join_next_with_id(), if !self.tasks.is_empty() => self.ended(ended).await,
                () = tokio::time::sleep_until(wake_at.into()) => {}
                () = bell.heard(), if !look => look = true,
                () = switch.heard() => self.look().await,
                _ = stopped.changed(), if !stopping => {}
            }
        }
        helpers.shutdown().await;
        if let Err(error) = self.context.store.leave(&self.row.id).await {
            tracing::warn!(%error, "can't sign off; the others notice within the lease time");
        }
        tracing::info!(node = %self.row.id, "processor stopped");
    }

    /// Says that this node lives, keeps its leases, and follows the plan.
    async fn beat(&mut self, stopping: bool) {
        if let Err(error) = self.renew().await {
            tracing::warn!(%error, "can't renew the leases; trying again");
            if self.renewed_at.elapsed() >= self.context.config.lease {
                // By now somebody else may hold them, and one aggregate must not be delivered by two at a time.
                self.order_all(|orders| orders.lost = true);
            }
        }
        if stopping {
            return;
        }
        if let Err(error) = self.follow_plan().await {
            tracing::warn!(%error, "can't look for subscriptions; trying again");
        }
        // What was missed, for whatever reason, is found now.
        self.context.bell.ring();
    }

    async fn renew(&mut self) -> Result<()> {
        let leases: Vec<_> = self.held.values().map(|held| held.lease.clone()).collect();
        let asked_at = Instant::now();
        if !leases.is_empty() {
            let renewed = self.context.store.renew(&leases, self.context.config.lease).await?;
            for (lease, renewed) in leases.iter().zip(renewed) {
                if let Some(held) = self.held.get(&lease.subscription) {
                    held.order(|orders| {
                        orders.lost |= !renewed.held;
                        (orders.paused, orders.revision) = (renewed.paused, renewed.revision);
                        orders.held_until = asked_at + self.context.config.lease;
                    });
                }
            }
        }
        self.renewed_at = asked_at;
        Ok(())
    }

    async fn follow_plan(&mut self) -> Result<()> {
        let states = self.fitting_states().await?;
        let nodes = self.context.store.heartbeat(&self.row, self.context.config.lease).await?;
        let owners: Vec<_> = states
            .iter()
            .filter(|state| self.is_current(&state.id))
            .map(|state| (state.id.clone(), state.owner.clone()))
            .collect();
        let plan = assign(&nodes, &owners);
        for (id, held) in &self.held {
            if plan.get(id) != Some(&self.row.id) {
                tracing::info!(subscription = %id, "handing over to another node");
                held.order(|orders| orders.stop = true);
            }
        }
        let (mut claimed, mut outcome) = (Vec::new(), Ok(()));
        for (id, owner) in owners {
            let ours = plan.get(&id) == Some(&self.row.id);
            if ours && owner.is_none() && !self.held.contains_key(&id) {
                match self.claim(&id).await {
                    Ok(subscription) => claimed.extend(subscription),
                    Err(error) => {
                        outcome = Err(error);
                        break;
                    }
                }
            }
        }
        // All at once: those that stand at one place share what is read from there only if none has gone ahead.
        for (subscription, orders) in claimed {
            self.begin(subscription, orders);
        }
        outcome
    }

    /// Reads the subscriptions, and offers to run those handlers that are stored in this program's number of partitions:
    /// a partition that was cut otherwise would pass over what it takes for another's. The number is changed as soon as
    /// nobody holds one of the old partitions any more.
    async fn fitting_states(&mut self) -> Result<Vec<SubscriptionState>> {
        let mut states = self.context.store.glance().await?;
        let unfit: Vec<_> = self
            .handlers
            .values()
            .filter(|wired| !fits(wired, &states))
            .flat_map(|wired| subscriptions_of(wired))
            .collect();
        if !unfit.is_empty() {
            self.context.store.ensure(&unfit).await?;
            states = self.context.store.glance().await?;
        }
        let fitting = self.handlers.values().filter(|wired| fits(wired, &states));
        self.row.handlers = fitting.map(|wired| wired.name.to_string()).collect();
        self.row.handlers.sort_unstable();
        Ok(states)
    }

    /// Whether a stored subscription is one this program knows, in its present number of partitions; others' handlers
    /// count too, so that every node works out the same plan.
    fn is_current(&self, id: &SubscriptionId) -> bool {
        self.handlers.get(&id.handler).is_none_or(|wired| id.partition < wired.options.partitions)
    }

    /// Takes a subscription, if nobody else has.
    async fn claim(&self, id: &SubscriptionId) -> Result<Option<(Subscription<S>, watch::Sender<Orders>)>> {
        let Some(wired) = self.handlers.get(&id.handler) else { return Ok(None) };
        let held_until = Instant::now() + self.context.config.lease;
        let Some(claim) = self.context.store.claim(&self.row.id, id, self.context.config.lease).await? else {
            return Ok(None);
        };
        fault::point("claim.after");
        // Nobody can change the number of partitions from now on, but somebody may have, a moment ago.
        let states = self.context.store.glance().await;
        if !states.as_ref().is_ok_and(|states| fits(wired, states)) {
            self.context.store.release(&claim.lease).await?;
            return states.map(|_| None);
        }
        tracing::debug!(subscription = %id, fence = claim.lease.fence, "subscription taken");
        let Claim { paused, revision, .. } = claim;
        let (orders, receiver) = watch::channel(Orders { stop: false, lost: false, paused, revision, held_until });
        let subscription = Subscription {
            context: Arc::clone(&self.context),
            tail: Arc::clone(&self.tail),
            desk: self.desk.clone(),
            wired: Arc::clone(wired),
            claim,
            orders: receiver,
        };
        Ok(Some((subscription, orders)))
    }

    fn begin(&mut self, subscription: Subscription<S>, orders: watch::Sender<Orders>) {
        let lease = subscription.claim.lease.clone();
        let id = lease.subscription.clone();
        let task = self.tasks.spawn(subscription.run());
        self.names.insert(task.id(), id.clone());
        self.held.insert(id, Held { lease, orders });
    }

    /// Looks whether a person paused, resumed, redrove or discarded.
    async fn look(&mut self) {
        match self.context.store.glance().await {
            Err(error) => tracing::warn!(%error, "can't read the subscriptions; trying again"),
            Ok(states) => {
                for state in states {
                    if let Some(held) = self.held.get(&state.id) {
                        held.order(|orders| (orders.paused, orders.revision) = (state.paused, state.revision));
                    }
                }
            }
        }
    }

    async fn ended(&mut self, ended: std::result::Result<(Id, Ended), tokio::task::JoinError>) {
        let (task, ended) = match ended {
            Ok(ended) => ended,
            Err(error) => {
                tracing::error!(%error, "a subscription's task ended; this is a defect of domain-events");
                // Its lease is not given back: the next holder shall know that it ended badly.
                (error.id(), Ended::LeaseLost)
            }
        };
        let Some(id) = self.names.remove(&task) else { return };
        let Some(held) = self.held.remove(&id) else { return };
        match ended {
            Ended::LeaseLost => {
                tracing::warn!(subscription = %id, "lease lost; another node has it, or will");
                self.tail.forget().await;
            }
            Ended::Stuck => tracing::error!(subscription = %id,
                "a delivery could not be cut off, since it blocks its thread; so that no other one runs beside it, the \
                 lease is not given back, and runs out by itself"),
            Ended::Stopped => {
                fault::point("release.before");
                if let Err(error) = self.context.store.release(&held.lease).await {
                    tracing::warn!(subscription = %id, %error, "can't give the lease back; it runs out by itself");
                }
            }
        }
    }

    fn order_all(&self, change: impl Fn(&mut Orders)) {
        self.held.values().for_each(|held| held.order(&change));
    }
}

impl Held {
    fn order(&self, change: impl FnOnce(&mut Orders)) {
        self.orders.send_if_modified(|orders| {
            let before = *orders;
            change(orders);
            *orders != before
        });
    }
}

/// Whether a handler's subscriptions are stored in its present number of partitions.
fn fits(wired: &Wired, states: &[SubscriptionState]) -> bool {
    states.iter().filter(|state| state.id.handler == wired.name).count() == usize::from(wired.options.partitions)
}

/// One subscription per partition of a handler.
fn subscriptions_of(wired: &Wired) -> impl Iterator<Item = NewSubscription> {
    (0..wired.options.partitions).map(|partition| NewSubscription {
        id: SubscriptionId { handler: Arc::clone(&wired.name), partition },
        partitions: wired.options.partitions,
        aliases: wired.def.aliases.iter().map(|alias| (*alias).to_owned()).collect(),
        start: if wired.options.start == Start::Now { StartAt::Head } else { StartAt::Beginning },
    })
}

/// Rings the bell when somebody else may have committed.
async fn watch_store<S: Store>(store: Arc<S>, bell: Bell) {
    let mut seen = 0;
    loop {
        match store.changed(&mut seen).await {
            Ok(()) => bell.ring(),
            Err(error) => {
                tracing::warn!(%error, "can't watch the store for changes; trying again");
                tokio::time::sleep(LOOK).await;
                bell.ring();
            }
        }
    }
}
