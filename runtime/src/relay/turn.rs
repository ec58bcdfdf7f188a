//! Whose turn it is: one process publishes, held by a lease on the relay's subscription; the others wait for it to end.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::watch;

use super::publish::{Desk, Ended};
use crate::{
    error::Result,
    store::{
        Store,
        record::{Claim, Lease, NodeId, SubscriptionId},
    },
    transport::Link,
    wake::Bell,
};

/// Takes the lease whenever it is free, and publishes while it is held; until told to stop.
pub(super) async fn take_turns<S: Store>(
    desk: Desk<S>,
    id: SubscriptionId,
    node: NodeId,
    mut link: Link,
    mut stop: watch::Receiver<bool>,
) {
    let lease = desk.context.config.lease;
    let watcher = tokio::spawn(watch_store(Arc::clone(&desk.context.store), desk.context.bell.clone()));
    while !*stop.borrow() {
        match desk.context.store.claim(&node, &id, lease).await {
            Ok(Some(claim)) => turn(&desk, claim, &mut link, &stop).await,
            Ok(None) => {}
            Err(error) => tracing::warn!(relay = %id, %error, "can't look whose turn it is; trying again"),
        }
        tokio::select! {
            () = tokio::time::sleep((lease / 3).max(Duration::from_millis(20))) => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }
    watcher.abort();
    tracing::info!(relay = %id, "relay stopped");
}

async fn turn<S: Store>(desk: &Desk<S>, claim: Claim, link: &mut Link, stop: &watch::Receiver<bool>) {
    let lease = claim.lease.clone();
    // Ended early, it must not be believed to hold: the publishing ends with it.
    let (held, mut held_until) = watch::channel(Instant::now() + desk.context.config.lease);
    let ended = tokio::select! {
        ended = desk.publish(claim, link, stop.clone(), &mut held_until) => ended,
        () = keep(desk, &lease, &held) => Ended::LeaseLost,
    };
    if ended == Ended::LeaseLost {
        tracing::warn!(relay = %lease.subscription, "the lease was lost; another process has the turn now");
        return;
    }
    if let Err(error) = desk.context.store.release(&lease).await {
        tracing::warn!(relay = %lease.subscription, %error, "can't give the lease back; it runs out by itself");
    }
}

/// Prolongs the lease for as long as that works.
async fn keep<S: Store>(desk: &Desk<S>, lease: &Lease, held: &watch::Sender<Instant>) {
    let length = desk.context.config.lease;
    loop {
        tokio::time::sleep((length / 3).max(Duration::from_millis(20))).await;
        let asked_at = Instant::now();
        match renewed(desk, lease).await {
            Ok(true) => drop(held.send_replace(asked_at + length)),
            Ok(false) => return,
            Err(error) => {
                tracing::warn!(relay = %lease.subscription, %error, "can't renew the lease; trying again");
                if Instant::now() >= *held.borrow() {
                    return;
                }
            }
        }
    }
}

async fn renewed<S: Store>(desk: &Desk<S>, lease: &Lease) -> Result<bool> {
    let answers = desk.context.store.renew(std::slice::from_ref(lease), desk.context.config.lease).await?;
    Ok(answers.first().is_some_and(|renewed| renewed.held))
}

/// Tells of commits by other processes.
async fn watch_store<S: Store>(store: Arc<S>, bell: Bell) {
    let mut seen = 0;
    loop {
        if let Err(error) = store.changed(&mut seen).await {
            tracing::warn!(%error, "can't watch the store for changes; trying again");
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        bell.ring();
    }
}
