//! The subscriptions of whichever store it is.

use std::time::Duration;

use super::{SqlStore, pass_on};
use crate::{
    error::Result,
    event::EventId,
    store::{
        SubscriptionStore,
        record::{
            Checkpoint, Claim, Forgotten, Lease, NewSubscription, Node, NodeId, OnceClaim, Renewed, SubscriptionId,
            SubscriptionState,
        },
    },
};

impl SubscriptionStore for SqlStore {
    async fn ensure(&self, subscriptions: &[NewSubscription]) -> Result<()> {
        pass_on!(self.ensure(subscriptions))
    }

    async fn heartbeat(&self, node: &Node, ttl: Duration) -> Result<Vec<Node>> {
        pass_on!(self.heartbeat(node, ttl))
    }

    async fn leave(&self, node: &NodeId) -> Result<()> {
        pass_on!(self.leave(node))
    }

    async fn claim(&self, node: &NodeId, subscription: &SubscriptionId, ttl: Duration) -> Result<Option<Claim>> {
        pass_on!(self.claim(node, subscription, ttl))
    }

    async fn renew(&self, leases: &[Lease], ttl: Duration) -> Result<Vec<Renewed>> {
        pass_on!(self.renew(leases, ttl))
    }

    async fn release(&self, lease: &Lease) -> Result<()> {
        pass_on!(self.release(lease))
    }

    async fn checkpoint(&self, steps: &[Checkpoint]) -> Result<Vec<bool>> {
        pass_on!(self.checkpoint(steps))
    }

    async fn claim_once(&self, lease: &Lease, event: EventId, position: i64) -> Result<OnceClaim> {
        pass_on!(self.claim_once(lease, event, position))
    }

    async fn subscriptions(&self) -> Result<Vec<SubscriptionState>> {
        pass_on!(self.subscriptions())
    }

    async fn glance(&self) -> Result<Vec<SubscriptionState>> {
        pass_on!(self.glance())
    }

    async fn forget(&self, handler: &str, dead_letters: bool) -> Result<Forgotten> {
        pass_on!(self.forget(handler, dead_letters))
    }

    async fn set_paused(&self, handler: &str, paused: bool) -> Result<bool> {
        pass_on!(self.set_paused(handler, paused))
    }
}
