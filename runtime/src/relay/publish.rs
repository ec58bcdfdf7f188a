//! One turn: read, publish, move the position behind what was confirmed.
//!
//! While a page is published, the next one is read and encoded, so that neither database nor broker waits for the other.
//! How far it came is written down after a moment: each write competes with the commits whose events are published. What a
//! process that is killed has not written down is published again.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::watch;

use super::{Context, reached::Reached};
use crate::{
    error::{Error, ErrorKind},
    event::{DeadReason, Envelope},
    fault,
    handler::Resolution,
    store::{
        Store,
        record::{Checkpoint, Claim, DeadLetter, Lease, Page, Position},
    },
    transport::{
        Link, Publisher,
        message::{self, Mode},
        record::{Outgoing, Unconfirmed},
    },
};

/// The most events that are published at a time.
const BATCH: usize = 1_024;
/// Between two tries to reach the store.
const PAUSE: Duration = Duration::from_millis(500);
/// Where all of the log is published, what is committed within this time goes together: one page for each commit would cost
/// the commits more.
const LULL: Duration = Duration::from_millis(1);
/// A commit that nobody announces is found after this time.
const LOOK: Duration = Duration::from_secs(1);

/// How a turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    Stopped,
    LeaseLost,
}

/// What publishing needs beside a turn.
pub(super) struct Desk<S> {
    pub(super) mode: Mode,
    pub(super) source: Option<String>,
    pub(super) context: Arc<Context<S>>,
}

/// A page, and what is published of it.
struct Ready {
    page: Page,
    encoded: Encoded,
}

/// As many events as can be encoded, up to one that can't.
struct Encoded {
    messages: Vec<Outgoing>,
    refused: Option<Error>,
}

/// Where a turn stands.
struct Turn<'a> {
    lease: Lease,
    link: &'a mut Link,
    publisher: Option<Box<dyn Publisher>>,
    held_until: &'a watch::Receiver<Instant>,
    reached: Reached,
}

impl<S: Store> Desk<S> {
    /// Publishes until told to stop, or until the lease is lost.
    pub(super) async fn publish(
        &self,
        claim: Claim,
        link: &mut Link,
        mut stop: watch::Receiver<bool>,
        held_until: &mut watch::Receiver<Instant>,
    ) -> Ended {
        let mut bell = self.context.bell.listen();
        let mut turn = Turn { lease: claim.lease, link, publisher: None, held_until, reached: Reached::default() };
        let mut position = claim.position;
        let mut next: Option<Ready> = None;
        loop {
            let stopped = *stop.borrow();
            if turn.reached.is_due(stopped) && !self.keep(&mut turn, None, &mut stop).await {
                return Ended::LeaseLost;
            }
            if stopped {
                return Ended::Stopped;
            }
            bell.clear();
            let Ready { page, encoded } = match next.take() {
                Some(ready) => ready,
                None => match self.context.store.read(&position, BATCH).await {
                    Ok(page) => self.ready(page),
                    Err(error) => {
                        tracing::warn!(relay = %turn.lease.subscription, %error, "can't read the log; trying again");
                        idle(PAUSE, &mut stop).await;
                        continue;
                    }
                },
            };
            if page.events.is_empty() && page.end == position {
                // Nothing is published that a write could hold up.
                if !turn.reached.is_empty() && !self.keep(&mut turn, None, &mut stop).await {
                    return Ended::LeaseLost;
                }
                // Connected before there is anything to publish, so that health says whether it could be.
                if turn.publisher.is_none() && !self.connect(&mut turn, &mut stop).await {
                    continue;
                }
                tokio::select! {
                    () = bell.heard() => {}
                    () = idle(LOOK, &mut stop) => {}
                }
                continue;
            }
            let end = page.end.clone();
            let ahead = async {
                let read = if page.more { self.context.store.read(&end, BATCH).await.ok() } else { None };
                read.filter(|ahead| !ahead.events.is_empty()).map(|ahead| self.ready(ahead))
            };
            let (published, ahead) = tokio::join!(self.publish_page(&mut turn, &page, encoded, &mut stop), ahead);
            match published {
                Ok(true) => {
                    (position, next) = (page.end, ahead);
                    if !page.more {
                        idle(LULL, &mut stop).await;
                    }
                }
                Ok(false) => return Ended::LeaseLost,
                Err(reached) => position = reached.unwrap_or(position),
            }
        }
    }

    /// Publishes a page: `Ok` if all of it is confirmed (`false` if the lease is lost), else the position behind what is.
    async fn publish_page(
        &self,
        turn: &mut Turn<'_>,
        page: &Page,
        encoded: Encoded,
        stop: &mut watch::Receiver<bool>,
    ) -> std::result::Result<bool, Option<Position>> {
        let (mut reached, mut encoded) = (None, Some(encoded));
        let mut done = 0;
        while done < page.events.len() {
            if Instant::now() >= *turn.held_until.borrow() {
                return Ok(false);
            }
            if turn.publisher.is_none() && !self.connect(turn, stop).await {
                return Err(reached);
            }
            let Encoded { messages, refused } = encoded.take().unwrap_or_else(|| self.encode(&page.events[done..]));
            fault::point("relay.before");
            let sent = match &mut turn.publisher {
                Some(publisher) if !messages.is_empty() => publisher.publish(&messages).await,
                _ => Ok(()),
            };
            fault::point("relay.after");
            let (confirmed, error) = match sent {
                Ok(()) => (messages.len(), None),
                Err(Unconfirmed { confirmed, error }) => (confirmed.min(messages.len()), Some(error)),
            };
            done += confirmed;
            let mut letter = None;
            match error {
                // The message itself is the trouble: nothing behind it shall wait for it.
                Some(error) if error.kind() == ErrorKind::InvalidEvent => {
                    letter = Some(self.bury(turn, &page.events[done], &error));
                    done += 1;
                }
                Some(error) => {
                    turn.publisher = None;
                    if done > 0 {
                        reached = Some(page.resume[done - 1].clone());
                        turn.reached.reach(page.resume[done - 1].clone());
                    }
                    // It may be away for long.
                    if !turn.reached.is_empty() && !self.keep(turn, None, stop).await {
                        return Ok(false);
                    }
                    let wait = turn.link.down(&error);
                    idle(wait, stop).await;
                    if *stop.borrow() {
                        return Err(reached);
                    }
                    continue;
                }
                None => {
                    if let Some(error) = refused {
                        letter = Some(self.bury(turn, &page.events[done], &error));
                        done += 1;
                    }
                }
            }
            let position = if done == page.events.len() { page.end.clone() } else { page.resume[done - 1].clone() };
            reached = Some(position.clone());
            turn.reached.reach(position);
            if letter.is_some() && !self.keep(turn, letter, stop).await {
                return Ok(false);
            }
        }
        if page.events.is_empty() {
            turn.reached.reach(page.end.clone());
        }
        Ok(true)
    }

    fn ready(&self, page: Page) -> Ready {
        Ready { encoded: self.encode(&page.events), page }
    }

    fn encode(&self, events: &[Envelope]) -> Encoded {
        let mut messages = Vec::with_capacity(events.len());
        for envelope in events {
            match message::encode(envelope, self.source_of(envelope), self.mode) {
                Ok(message) => messages.push(message),
                Err(error) => return Encoded { messages, refused: Some(error) },
            }
        }
        Encoded { messages, refused: None }
    }

    fn source_of(&self, envelope: &Envelope) -> &str {
        if let Some(source) = &self.source {
            return source;
        }
        match self.context.registry.resolve(&envelope.meta.name, envelope.meta.version) {
            Resolution::Known(def) => def.source.crate_name(),
            Resolution::UnknownVersion(_) | Resolution::UnknownEvent => "unknown",
        }
    }

    /// Connects, trying again until it works; `false` if told to stop.
    async fn connect(&self, turn: &mut Turn<'_>, stop: &mut watch::Receiver<bool>) -> bool {
        loop {
            let connected = tokio::select! {
                connected = self.context.transport.publisher() => connected,
                _ = stop.wait_for(|stop| *stop) => return false,
            };
            match connected {
                Ok(publisher) => {
                    turn.publisher = Some(publisher);
                    turn.link.up();
                    return true;
                }
                Err(error) => {
                    let wait = turn.link.down(&error);
                    idle(wait, stop).await;
                    if *stop.borrow() {
                        return false;
                    }
                }
            }
        }
    }

    fn bury(&self, turn: &Turn<'_>, envelope: &Envelope, error: &Error) -> DeadLetter {
        let meta = &envelope.meta;
        tracing::error!(target: "domain_events::delivery", handler = %turn.lease.subscription, event = %meta.name,
            event_id = %meta.id, aggregate_id = %meta.aggregate_id, %error, "can't be published: dead letter");
        let name = Arc::clone(&turn.lease.subscription.handler);
        let now = self.context.clock.now();
        DeadLetter::new(name, envelope.clone(), 1, DeadReason::Permanent, error.to_string(), now)
    }

    /// Writes the position down, trying again until the store answers: `false` if the lease is lost.
    async fn keep(&self, turn: &mut Turn<'_>, letter: Option<DeadLetter>, stop: &mut watch::Receiver<bool>) -> bool {
        let (lease, held_until) = (&turn.lease, turn.held_until);
        let mut step = Checkpoint::new(lease.clone());
        step.position = turn.reached.take();
        step.dead.extend(letter);
        step.calm = true;
        loop {
            match self.context.store.checkpoint(std::slice::from_ref(&step)).await {
                Ok(written) => return written.first().copied().unwrap_or(false),
                Err(error) => {
                    tracing::warn!(relay = %lease.subscription, %error, "can't write the position; trying again");
                    if *stop.borrow() || Instant::now() >= *held_until.borrow() {
                        return false;
                    }
                    idle(PAUSE, stop).await;
                }
            }
        }
    }
}

/// Waits, unless told to stop.
async fn idle(wait: Duration, stop: &mut watch::Receiver<bool>) {
    tokio::select! {
        () = tokio::time::sleep(wait) => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
}
