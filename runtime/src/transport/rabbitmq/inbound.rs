//! The way out: deliveries of one subscription to this process, and what becomes of them.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use lapin::options::{BasicAckOptions, BasicNackOptions};
use tokio::sync::{Mutex as AsyncMutex, Notify};

use super::{
    connect::{Broker, GREETING},
    names::Names,
    publish,
    session::{Arrived, Line, Session, Shared, lock},
    wire,
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
    /// Acknowledgements must reach the broker in the order in which the ledger planned them.
    settling: AsyncMutex<()>,
    /// The last acknowledgements were many single ones.
    singly: AtomicBool,
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
            settling: AsyncMutex::default(),
            singly: AtomicBool::new(false),
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

    /// The next arrival, when there is room for one.
    async fn next(&self, session: &mut Session) -> Option<Arrived> {
        loop {
            // Before the look, so that nothing is missed between the two.
            let (settled, closing) = (self.shared.settled.notified(), self.closing.notified());
            if self.closed.load(Ordering::Acquire) {
                return None;
            }
            if self.has_room() {
                tokio::select! {
                    arrival = session.arrived.recv() => return arrival,
                    () = closing => {}
                }
            } else {
                tokio::select! {
                    // The loss must be seen also while there is no room.
                    lost = session.lost() => return Some(lost),
                    () = settled => {}
                    () = closing => {}
                }
            }
        }
    }

    fn has_room(&self) -> bool {
        lock(&self.shared.ledger).handed_out() < self.subscription.window.max(1)
    }

    fn hand_out(&self, arrived: Arrived, into: &mut Vec<Delivery>) -> Result<()> {
        match arrived {
            Arrived::Delivery { tag, message, redelivered } => {
                lock(&self.shared.ledger).hand_out();
                into.push(Delivery { tag: Tag(tag), message: Arc::new(message), redelivered });
                Ok(())
            }
            Arrived::Broken(error) => Err(self.broker.failed("take in deliveries", &error)),
            Arrived::Lost(error) => Err(error),
        }
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

    /// Tells the broker of tags that are done, and of those that are given back.
    async fn tell(&self, line: &Line, done: Vec<u64>, mut returned: Vec<u64>) -> Result<()> {
        let _order = self.settling.lock().await;
        let (acks, back) = {
            let mut ledger = lock(&self.shared.ledger);
            let number = |tag: &u64, ledger: &super::ledger::Ledger| ledger.number(*tag);
            let done: Vec<_> = done.iter().filter_map(|tag| number(tag, &ledger)).collect();
            let acks = ledger.settle(done);
            // In the order in which they came, so that they come in that order again.
            returned.sort_unstable();
            let back: Vec<_> = returned.iter().filter_map(|tag| number(tag, &ledger)).collect();
            back.iter().for_each(|number| ledger.give_back(*number));
            (acks, back)
        };
        self.singly.store(acks.single.len() + back.len() > 16, Ordering::Release);
        let through = acks.through.map(|number| line.data.basic_ack(number, BasicAckOptions { multiple: true }));
        let single = acks.single.iter().map(|number| line.data.basic_ack(*number, BasicAckOptions::default()));
        let requeue = BasicNackOptions { multiple: false, requeue: true };
        let back = back.iter().map(|number| line.data.basic_nack(*number, requeue));
        let telling = async {
            // One for all of them first: what it stands for is settled before the ones behind it.
            if let Some(through) = through {
                through.await?;
            }
            for told in join_all(single).await.into_iter().chain(join_all(back).await) {
                told?;
            }
            Ok(())
        };
        let told = self.broker.in_time("settle deliveries", telling).await;
        self.shared.settled.notify_waiters();
        told
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
            let mut deliveries = Vec::new();
            let mut arrival = self.next(session).await;
            // From here on nothing waits: a call that is dropped has taken nothing.
            while let Some(arrived) = arrival {
                if let Err(error) = self.hand_out(arrived, &mut deliveries) {
                    self.lose(&mut slot);
                    return Err(error);
                }
                let more = deliveries.len() < max && self.has_room();
                arrival = if more { session.arrived.try_recv().ok() } else { None };
            }
            Ok(deliveries)
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
            let (kept, failed) = if dead.is_empty() { (Vec::new(), None) } else { self.bury(&line, dead).await };
            done.extend(kept);
            self.tell(&line, done, returned).await?;
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
                if self.singly.load(Ordering::Acquire) {
                    tokio::time::sleep(APPLIED).await;
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
