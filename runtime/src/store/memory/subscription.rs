//! Subscriptions: positions, leases, and the pause switch.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    MemoryStore,
    state::{Mark, State, Subscription, after},
};
use crate::{
    error::Result,
    event::EventId,
    store::{
        SubscriptionStore,
        record::{
            Checkpoint, Claim, Forgotten, Lease, NewSubscription, Node, NodeId, OnceClaim, ParkedState, Position,
            Renewed, StartAt, SubscriptionId, SubscriptionState,
        },
    },
};

/// How long a node that is gone is remembered.
const FORGET_NODES: Duration = Duration::from_secs(3600);

impl SubscriptionStore for MemoryStore {
    async fn ensure(&self, subscriptions: &[NewSubscription]) -> Result<()> {
        let mut state = self.state();
        subscriptions.iter().for_each(|wanted| state.ensure(wanted));
        Ok(())
    }

    async fn heartbeat(&self, node: &Node, ttl: Duration) -> Result<Vec<Node>> {
        let now = Instant::now();
        let mut state = self.state();
        state.nodes.insert(node.id.clone(), (node.clone(), after(now, ttl)));
        state.nodes.retain(|_, (_, until)| after(*until, FORGET_NODES) > now);
        let live = state.nodes.values().filter(|(known, until)| *until > now || known.id == node.id);
        Ok(live.map(|(node, _)| node.clone()).collect())
    }

    async fn leave(&self, node: &NodeId) -> Result<()> {
        self.state().nodes.remove(node);
        Ok(())
    }

    async fn claim(&self, node: &NodeId, subscription: &SubscriptionId, ttl: Duration) -> Result<Option<Claim>> {
        let now = Instant::now();
        let mut state = self.state();
        let Some(row) = state.subscriptions.get_mut(subscription).filter(|row| !row.is_live(now)) else {
            return Ok(None);
        };
        if row.holder.replace((node.clone(), after(now, ttl))).is_some() {
            row.crashes = row.crashes.saturating_add(1);
        }
        row.fence += 1;
        Ok(Some(Claim {
            lease: Lease { subscription: subscription.clone(), owner: node.clone(), fence: row.fence },
            position: row.position.clone(),
            crashes: row.crashes,
            paused: row.paused,
            revision: row.revision,
        }))
    }

    async fn renew(&self, leases: &[Lease], ttl: Duration) -> Result<Vec<Renewed>> {
        let until = after(Instant::now(), ttl);
        let mut state = self.state();
        let renewed = leases.iter().map(|lease| {
            let held = state.held(lease).map(|row| row.holder = Some((lease.owner.clone(), until))).is_some();
            let row = state.subscriptions.get(&lease.subscription);
            Renewed { held, paused: row.is_some_and(|row| row.paused), revision: row.map_or(0, |row| row.revision) }
        });
        Ok(renewed.collect())
    }

    async fn release(&self, lease: &Lease) -> Result<()> {
        if let Some(row) = self.state().held(lease) {
            row.holder = None;
        }
        Ok(())
    }

    async fn checkpoint(&self, steps: &[Checkpoint]) -> Result<Vec<bool>> {
        let mut state = self.state();
        Ok(steps.iter().map(|step| state.checkpoint(step)).collect())
    }

    async fn claim_once(&self, lease: &Lease, event: EventId, position: i64) -> Result<OnceClaim> {
        let mut state = self.state();
        if state.held(lease).is_none() {
            return Ok(OnceClaim::LeaseLost);
        }
        let mark = (lease.subscription.handler.clone(), event);
        Ok(match state.marks.get(&mark) {
            Some(Mark { done: true, .. }) => OnceClaim::Done,
            Some(Mark { done: false, .. }) => OnceClaim::Interrupted,
            None => {
                state.marks.insert(mark, Mark { position, done: false });
                OnceClaim::Fresh
            }
        })
    }

    async fn subscriptions(&self) -> Result<Vec<SubscriptionState>> {
        let now = Instant::now();
        let state = self.state();
        let mut parked = HashMap::<&str, u64>::new();
        for ((handler, _), delivery) in &state.parked {
            *parked.entry(handler).or_default() += u64::from(delivery.state != ParkedState::Dead);
        }
        let mut dead = HashMap::<&str, u64>::new();
        for letter in &state.dead {
            *dead.entry(&letter.handler).or_default() += 1;
        }
        let states = state.subscriptions.iter().map(|(id, row)| SubscriptionState {
            owner: row.holder.as_ref().filter(|_| row.is_live(now)).map(|(owner, _)| owner.clone()),
            paused: row.paused,
            lag: state.log.range(row.position.after.saturating_add(1)..).count() as u64,
            parked: parked.get(&*id.handler).copied().unwrap_or(0),
            dead: dead.get(&*id.handler).copied().unwrap_or(0),
            revision: row.revision,
            ..SubscriptionState::new(id.clone(), row.position.clone())
        });
        Ok(states.collect())
    }

    async fn set_paused(&self, handler: &str, paused: bool) -> Result<bool> {
        let mut found = false;
        for (_, row) in self.state().partitions(handler) {
            row.paused = paused;
            row.revision += 1;
            found = true;
        }
        if found {
            self.announce();
        }
        Ok(found)
    }

    async fn forget(&self, handler: &str, dead_letters: bool) -> Result<Forgotten> {
        Ok(self.state().forget(handler, dead_letters))
    }
}

impl State {
    fn ensure(&mut self, wanted: &NewSubscription) {
        let handler = &wanted.id.handler;
        let partitions = wanted.partitions.max(1);
        if self.partitions(handler).next().is_none() {
            let alias = wanted.aliases.iter().find(|alias| self.partitions(alias).next().is_some());
            if let Some(alias) = alias {
                self.rename(alias, handler);
            }
        }
        let old: Vec<Subscription> = self.partitions(handler).map(|(_, row)| row.clone()).collect();
        let now = Instant::now();
        if old.len() == usize::from(partitions) || old.iter().any(|row| row.is_live(now)) {
            return;
        }
        let least = self.subscriptions.values().map(|subscription| subscription.position.after).min();
        let start = match wanted.start {
            StartAt::Beginning => 0,
            StartAt::Head => self.last,
            StartAt::Least => least.unwrap_or(0),
        };
        // A greater fence than any before: whoever held one of the old rows must not move a new one.
        let row = Subscription {
            position: Position { after: old.iter().map(|row| row.position.after).min().unwrap_or(start), window: None },
            holder: None,
            fence: old.iter().map(|row| row.fence + 1).max().unwrap_or(0),
            crashes: old.iter().map(|row| row.crashes).max().unwrap_or(0),
            paused: old.iter().any(|row| row.paused),
            revision: old.iter().map(|row| row.revision + 1).max().unwrap_or(0),
        };
        self.subscriptions.retain(|id, _| id.handler != *handler);
        for partition in 0..partitions {
            self.subscriptions.insert(SubscriptionId { handler: handler.clone(), partition }, row.clone());
        }
    }

    fn rename(&mut self, from: &str, to: &Arc<str>) {
        let rows = std::mem::take(&mut self.subscriptions);
        self.subscriptions = rows
            .into_iter()
            .map(|(mut id, row)| {
                rename(&mut id.handler, from, to);
                (id, row)
            })
            .collect();
        let parked = std::mem::take(&mut self.parked);
        self.parked = parked
            .into_iter()
            .map(|((mut handler, position), delivery)| {
                rename(&mut handler, from, to);
                ((handler, position), delivery)
            })
            .collect();
        let marks = std::mem::take(&mut self.marks);
        self.marks = marks
            .into_iter()
            .map(|((mut handler, event), mark)| {
                rename(&mut handler, from, to);
                ((handler, event), mark)
            })
            .collect();
        self.dead.iter_mut().for_each(|letter| rename(&mut letter.handler, from, to));
    }

    fn checkpoint(&mut self, step: &Checkpoint) -> bool {
        let Some(row) = self.held(&step.lease) else { return false };
        if let Some(position) = &step.position {
            row.position = position.clone();
        }
        if step.calm {
            row.crashes = 0;
        }
        let handler = &step.lease.subscription.handler;
        for position in &step.settled {
            self.parked.remove(&(handler.clone(), *position));
        }
        for delivery in &step.parked {
            self.parked.insert((handler.clone(), delivery.position), delivery.clone());
        }
        for letter in &step.dead {
            self.bury(letter.clone());
        }
        for event in &step.once_done {
            if let Some(mark) = self.marks.get_mut(&(handler.clone(), *event)) {
                mark.done = true;
            }
        }
        for event in &step.once_failed {
            self.marks.remove(&(handler.clone(), *event));
        }
        true
    }
}

fn rename(handler: &mut Arc<str>, from: &str, to: &Arc<str>) {
    if &**handler == from {
        *handler = to.clone();
    }
}
