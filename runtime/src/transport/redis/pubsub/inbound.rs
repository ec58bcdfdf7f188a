//! The way out of Pub/Sub: subscribes to exactly the handler's events, again after every lost connection. Messages wait in
//! a queue of bounded size; who falls too far behind is cut off, as the server itself does.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use redis::{AsyncConnectionConfig, PushInfo, PushKind, Value, aio::MultiplexedConnection};
use tokio::{sync::Notify, task::JoinHandle};

use super::channel;
use crate::{
    error::{Error, ErrorKind, Result},
    transport::{
        BoxFuture, Inbound,
        record::{Content, Delivery, Fate, Incoming, Settlement, Subscription, Tag},
        redis::connect::{ANSWER, Server},
    },
};

/// How many bytes may wait for the consumer: as many as the server would let wait.
const BEHIND: usize = 32 << 20;

/// How often the connection is tried out while nothing comes.
const PING: Duration = Duration::from_secs(5);

/// See the module.
pub(super) struct PubSubInbound {
    server: Arc<Server>,
    channels: Vec<String>,
    window: usize,
    state: Arc<State>,
    life: tokio::sync::Mutex<Option<Life>>,
}

#[derive(Default)]
struct State {
    inner: Mutex<Inner>,
    changed: Notify,
    closed: AtomicBool,
    tags: AtomicU64,
}

#[derive(Default)]
struct Inner {
    queue: VecDeque<Arc<Incoming>>,
    bytes: usize,
    /// Handed out and not settled, with the message, which comes again where it is returned.
    unsettled: std::collections::HashMap<Tag, Arc<Incoming>>,
    failure: Option<Error>,
}

/// A connection, and the task that tries it out.
struct Life {
    _connection: MultiplexedConnection,
    ping: JoinHandle<()>,
}

impl Drop for Life {
    fn drop(&mut self) {
        self.ping.abort();
    }
}

impl State {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fail(&self, error: Error) {
        self.inner().failure.get_or_insert(error);
        self.changed.notify_one();
    }

    fn take_in(&self, shown: &str, info: PushInfo) {
        match info.kind {
            PushKind::Message => {
                let mut parts = info.data.into_iter();
                let (Some(Value::BulkString(channel)), Some(Value::BulkString(body))) = (parts.next(), parts.next())
                else {
                    return;
                };
                let mut inner = self.inner();
                if inner.bytes + body.len() > BEHIND {
                    let text = format!("the consumer at {shown} is {} MiB behind: messages are lost", BEHIND >> 20);
                    inner.failure.get_or_insert(Error::new(ErrorKind::Unavailable, text));
                } else {
                    inner.bytes += body.len();
                    inner.queue.push_back(Arc::new(Incoming {
                        origin: String::from_utf8_lossy(&channel).into_owned(),
                        content_type: Some(Content::STRUCTURED.to_owned()),
                        body,
                        ..Incoming::default()
                    }));
                }
                drop(inner);
                self.changed.notify_one();
            }
            PushKind::Disconnection => {
                let text = format!("the connection to {shown} was lost, and messages with it; it is made again");
                self.fail(Error::new(ErrorKind::Unavailable, text));
            }
            _ => {}
        }
    }

    fn take(&self, max: usize, window: usize) -> Result<Vec<Delivery>> {
        let mut guard = self.inner();
        let inner = &mut *guard;
        // What came before the connection was lost is delivered first: it does not come again.
        if inner.queue.is_empty()
            && let Some(error) = inner.failure.take()
        {
            return Err(error);
        }
        let count = max.min(inner.queue.len()).min(window.saturating_sub(inner.unsettled.len()));
        let messages: Vec<_> = inner.queue.drain(..count).collect();
        let deliveries = messages.into_iter().map(|message| {
            let tag = Tag(self.tags.fetch_add(1, Ordering::Relaxed));
            inner.bytes -= message.body.len();
            inner.unsettled.insert(tag, message.clone());
            Delivery { tag, message, redelivered: 0 }
        });
        Ok(deliveries.collect())
    }
}

impl PubSubInbound {
    pub(super) fn new(server: Arc<Server>, prefix: &str, subscription: &Subscription) -> Self {
        Self {
            server,
            channels: subscription.events.iter().map(|event| channel(prefix, event)).collect(),
            window: subscription.window.max(1),
            state: Arc::default(),
            life: tokio::sync::Mutex::default(),
        }
    }

    /// Subscribes, so that what is published from now on comes.
    pub(super) async fn begin(&self) -> Result<()> {
        *self.life.lock().await = Some(self.connect().await?);
        Ok(())
    }

    async fn connect(&self) -> Result<Life> {
        let (state, shown) = (self.state.clone(), self.server.shown().to_owned());
        let config = AsyncConnectionConfig::new().set_push_sender(move |info: PushInfo| {
            state.take_in(&shown, info);
            Ok::<_, redis::aio::SendError>(())
        });
        let mut connection = self.server.connect_with(config, ANSWER).await?;
        if !self.channels.is_empty() {
            let subscribed = connection.subscribe(self.channels.as_slice()).await;
            subscribed.map_err(|error| self.server.failed("subscribing", &error))?;
        }
        let (server, state, mut pinged) = (self.server.clone(), self.state.clone(), connection.clone());
        let ping = tokio::spawn(async move {
            loop {
                tokio::time::sleep(PING).await;
                if let Err(error) = redis::cmd("PING").exec_async(&mut pinged).await {
                    return state.fail(server.failed("listening", &error));
                }
            }
        });
        Ok(Life { _connection: connection, ping })
    }

    async fn receive(&self, max: usize) -> Result<Vec<Delivery>> {
        let mut life = self.life.lock().await;
        loop {
            if self.state.closed.load(Ordering::Acquire) {
                *life = None;
                return Ok(Vec::new());
            }
            if life.is_none() {
                // What the last one left behind says nothing about the new one.
                self.state.inner().failure = None;
                *life = Some(self.connect().await?);
            }
            match self.state.take(max.max(1), self.window) {
                Err(error) => {
                    *life = None;
                    return Err(error);
                }
                Ok(deliveries) if !deliveries.is_empty() => return Ok(deliveries),
                Ok(_) => self.state.changed.notified().await,
            }
        }
    }
}

impl Inbound for PubSubInbound {
    fn receive(&self, max: usize) -> BoxFuture<'_, Result<Vec<Delivery>>> {
        Box::pin(self.receive(max))
    }

    fn settle(&self, settlements: Vec<Settlement>) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let mut guard = self.state.inner();
            let inner = &mut *guard;
            for Settlement { tag, fate } in settlements.into_iter().rev() {
                let Some(message) = inner.unsettled.remove(&tag) else { continue };
                // Nobody else has it: it comes again here. There is no place for dead letters.
                if matches!(fate, Fate::Returned) {
                    inner.bytes += message.body.len();
                    inner.queue.push_front(message);
                }
            }
            drop(guard);
            self.state.changed.notify_one();
            Ok(())
        })
    }

    fn close(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            self.state.closed.store(true, Ordering::Release);
            self.state.changed.notify_one();
            // Whoever receives lets go of the connection; if nobody does, it is ours.
            if let Ok(mut life) = self.life.try_lock() {
                *life = None;
            }
            Ok(())
        })
    }
}
