//! The way out: deliveries of one subscription to this process, and what becomes of them.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use tokio::sync::{Mutex as AsyncMutex, Notify};

use super::{
    connect::{Broker, GREETING},
    names::Names,
    publish,
    session::{Arrived, Line, Session, Shared, lock},
    settling, wire,
};
use crate::{
    error::{Error, ErrorKind, Result},
    transport::{
        BoxFuture, Inbound,
        record::{Delivery, Epitaph, Fate, Incoming, Settlement, Subscription, Tag},
    },
};

/// A quorum queue takes acknowledgements one after the other, 32 at a time, and forgets those that wait when their channel
/// ends. After so long it has taken them; where it has not, the deliveries come again.
const APPLIED: Duration = Duration::from_millis(200);

/// A connected way out.
pub(super) struct AmqpInbound {
    broker: Arc<Broker>,
    subscription: Subscription,
    names: Names,
    shared: Arc<Shared>,
    session: AsyncMutex<Option<Session>>,
    /// The session's, for those who must not wait for `receive`.
    line: Mutex<Option<Line>>,
    closed: AtomicBool,
    closing: Notify,
}

impl AmqpInbound {
    pub(super) async fn connect(broker: Arc<Broker>, subscription: Subscription, names: Names) -> Result<Self> {
        let inbound = Self {
            broker,
            subscription,
            names,
            shared: Arc::default(),
            session: AsyncMutex::default(),
            line: Mutex::default(),
            closed: AtomicBool::new(false),
            closing: Notify::new(),
        };
        let session = inbound.new_session().await?;
        *inbound.session.lock().await = Some(session);
        Ok(inbound)
    }

    async fn new_session(&self) -> Result<Session> {
        let session = Session::connect(&self.broker, &self.subscription, &self.names, &self.shared).await?;
        *lock(&self.line) = Some(session.line.clone());
        Ok(session)
    }

    /// The next arrivals, when there is room for one, and as many as there is room for; none after the end.
    async fn next(&self, session: &mut Session, max: usize) -> Vec<Arrived> {
        let mut arrived = Vec::new();
        loop {
            // Before the look, so that nothing is missed between the two.
            let (settled, closing) = (self.shared.settled.notified(), self.closing.notified());
            if self.closed.load(Ordering::Acquire) {
                return arrived;
            }
            let room = self.room().min(max.max(1));
            if room > 0 {
                tokio::select! {
                    _ = session.arrived.recv_many(&mut arrived, room) => return arrived,
                    () = closing => {}
                }
            } else {
                tokio::select! {
                    // The loss must be seen also while there is no room.
                    lost = session.lost() => return vec![lost],
                    () = settled => {}
                    () = closing => {}
                }
            }
        }
    }

    fn room(&self) -> usize {
        self.subscription.window.max(1).saturating_sub(lock(&self.shared.ledger).handed_out())
    }

    fn hand_out(&self, arrived: Vec<Arrived>) -> Result<Vec<Delivery>> {
        let mut deliveries = Vec::with_capacity(arrived.len());
        for arrived in arrived {
            match arrived {
                Arrived::Delivery(delivery) => deliveries.push(delivery),
                Arrived::Broken(error) => return Err(self.broker.failed("take in deliveries", &error)),
                Arrived::Lost(error) => return Err(error),
            }
        }
        lock(&self.shared.ledger).hand_out(deliveries.len());
        Ok(deliveries)
    }

    /// What was given out means nothing from now on.
    fn lose(&self, session: &mut Option<Session>) {
        *lock(&self.line) = None;
        *session = None;
        lock(&self.shared.ledger).renew();
        self.shared.settled.notify_waiters();
    }

    /// Keeps dead letters; returns the numbers of those that are kept, and the first error.
    async fn bury(&self, line: &Line, dead: Vec<(u64, Arc<Incoming>, Epitaph)>) -> (Vec<u64>, Option<Error>) {
        let letters = dead.into_iter().filter_map(|(tag, message, epitaph)| {
            let ledger = lock(&self.shared.ledger);
            let number = ledger.number(tag)?;
            let queue = self.names.queue(ledger.partition(number)?);
            let id = uuid::Uuid::now_v7().to_string();
            let properties = wire::dead(&message, &epitaph, &queue, &id);
            Some(async move {
                let dead = self.names.dead();
                match publish::into_queue(&self.broker, &line.letters, dead, &message.body, properties).await {
                    Ok(true) => Ok(tag),
                    Ok(false) => Err(self.no_queue()),
                    Err(error) => Err(error),
                }
            })
        });
        let (mut kept, mut failed) = (Vec::new(), None);
        for outcome in join_all(letters).await {
            match outcome {
                Ok(tag) => kept.push(tag),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        (kept, failed)
    }

    fn no_queue(&self) -> Error {
        let cannot = self.broker.cannot("keep a dead letter");
        Error::new(ErrorKind::Unavailable, format!("{cannot}: there is no queue `{}`", self.names.dead()))
    }
}

impl Inbound for AmqpInbound {
    fn receive(&self, max: usize) -> BoxFuture<'_, Result<Vec<Delivery>>> {
        Box::pin(async move {
            let mut slot = self.session.lock().await;
            // Before the look, so that nothing is missed between the two.
            let closing = self.closing.notified();
            if self.closed.load(Ordering::Acquire) {
                return Ok(Vec::new());
            }
            if slot.is_none() {
                *slot = tokio::select! {
                    session = self.new_session() => Some(session?),
                    () = closing => None,
                };
            }
            let Some(session) = slot.as_mut() else { return Ok(Vec::new()) };
            let arrived = self.next(session, max).await;
            // From here on nothing waits: a call that is dropped has taken nothing.
            let deliveries = self.hand_out(arrived);
            if deliveries.is_err() {
                self.lose(&mut slot);
            }
            deliveries
        })
    }

    fn settle(&self, settlements: Vec<Settlement>) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let Some(line) = lock(&self.line).clone() else { return Ok(()) };
            let (mut done, mut returned, mut dead) = (Vec::new(), Vec::new(), Vec::new());
            for Settlement { tag: Tag(tag), fate } in settlements {
                match fate {
                    Fate::Done => done.push(tag),
                    Fate::Returned => returned.push(tag),
                    Fate::Dead(message, epitaph) => dead.push((tag, message, epitaph)),
                }
            }
            // What is kept as a dead letter must not come again: the broker is told at once.
            let patience = if dead.is_empty() { line.patience } else { 0 };
            let (kept, failed) = if dead.is_empty() { (Vec::new(), None) } else { self.bury(&line, dead).await };
            done.extend(kept);
            settling::tell(&self.broker, &self.shared, &line.data, &done, returned, patience).await?;
            failed.map_or(Ok(()), Err)
        })
    }

    fn close(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            self.closed.store(true, Ordering::Release);
            self.closing.notify_waiters();
            let line = lock(&self.line).take();
            // A `receive` that waits lets go of it now.
            let session = self.session.lock().await.take();
            drop(session);
            if let Some(line) = line {
                let base = lock(&self.shared.ledger).base();
                let _ = settling::flush(&self.broker, &self.shared, &line.data, base).await;
                let singly = *lock(&self.shared.singly);
                if let Some(at) = singly {
                    tokio::time::sleep(APPLIED.saturating_sub(at.elapsed())).await;
                }
                // The channel alone first: its end is answered after what was said on it was heard.
                let closing = line.data.close(200, Default::default());
                let _ = tokio::time::timeout(GREETING, closing).await;
                line.connection.hang_up().await;
            }
            Ok(())
        })
    }
}
