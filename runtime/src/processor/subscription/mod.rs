//! One subscription that this node holds: reads, delivers, writes down what is done, until told to stop.
//!
//! A [`session`] begins from what the store knows and ends by writing everything down. A person's action (pause, redrive,
//! discard) ends one session and begins the next, so there is one way in which stored and remembered state meet. Which
//! [`deliveries`] a session begins is decided beside it; how they are made is said in `handler/making`.

mod deliveries;
mod patience;
mod progress;
mod session;
mod waits;

use std::{sync::Arc, time::Instant};

use tokio::sync::watch;

use self::session::{End, Session};
use super::{
    Context,
    desk::Desk,
    key,
    tail::{Tail, TailEvent},
};
use crate::{
    config::UnknownEvents,
    handler::{Resolution, Wired},
    store::{Store, record::Claim},
};

/// What the node tells a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Orders {
    /// Finish what runs, write it down, end.
    pub(super) stop: bool,
    /// Somebody else holds the lease: end at once, write nothing.
    pub(super) lost: bool,
    pub(super) paused: bool,
    pub(super) revision: i64,
    /// Until when the lease lasts for certain. A process that was frozen for longer must not begin what another one may
    /// be doing by now, in the moment before it learns so.
    pub(super) held_until: Instant,
}

/// How a subscription ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    Stopped,
    /// Told to stop, and a delivery could not be made to.
    Stuck,
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
                End::Stuck => return Ended::Stuck,
                End::LeaseLost => return Ended::LeaseLost,
                End::Again { position, crashes } => {
                    self.claim.position = position;
                    self.claim.crashes = crashes;
                }
            }
        }
    }
}

impl<S> Subscription<S> {
    /// Whether an aggregate belongs to this partition.
    fn owns(&self, key: u64) -> bool {
        key::partition(key, self.wired.options.partitions) == self.claim.lease.subscription.partition
    }

    /// Whether an event is one to deliver, or to bury, here.
    fn takes(&self, event: &TailEvent) -> bool {
        self.owns(event.key)
            && match event.resolution(&self.context.registry) {
                Resolution::Known(def) => self.wired.entry(def).is_some(),
                Resolution::UnknownVersion(_) => self.wired.takes(&event.envelope.meta.name),
                Resolution::UnknownEvent => self.context.config.unknown_events == UnknownEvents::DeadLetter,
            }
    }
}
