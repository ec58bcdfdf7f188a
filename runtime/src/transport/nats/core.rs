//! Core NATS: what nobody takes in at that moment is gone. For events that may be missed; it keeps nothing, confirms
//! nothing, and the processes of a handler share its messages in no order.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use async_nats::{Client, Subscriber};
use futures_util::{FutureExt, StreamExt, stream::SelectAll};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::timeout,
};

use super::{
    super::{
        BoxFuture, Capabilities, Inbound, Publisher, Transport,
        record::{DeadMessage, Delivery, Outgoing, Settlement, Subscription, Tag, Unconfirmed},
    },
    connect::{PATIENCE, connect, unavailable},
    headers, names,
    options::{Options, SHARDS},
    publish,
};
use crate::{error::Result, event::partition_of};

/// A server, or a cluster, without anything kept.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) options: Arc<Options>,
}

impl Transport for Core {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            shares: true,
            several_processes: true,
            message_bytes: Some(1_048_576 - publish::SPARE),
            ..Capabilities::none("nats+core")
        }
    }

    fn address(&self) -> &str {
        self.options.address.shown()
    }

    fn publisher(&self) -> BoxFuture<'_, Result<Box<dyn Publisher>>> {
        Box::pin(async {
            let client = connect(&self.options).await?;
            Ok(Box::new(CorePublisher { options: self.options.clone(), client }) as Box<dyn Publisher>)
        })
    }

    fn ensure<'a>(&'a self, _: &'a Subscription) -> BoxFuture<'a, Result<()>> {
        // There is nothing to make; that the server can be reached is worth knowing all the same.
        Box::pin(async { connect(&self.options).await.map(drop) })
    }

    fn subscribe<'a>(&'a self, subscription: &'a Subscription) -> BoxFuture<'a, Result<Arc<dyn Inbound>>> {
        Box::pin(async {
            let window = subscription.window.clamp(1, Semaphore::MAX_PERMITS);
            let inbound = CoreInbound {
                options: self.options.clone(),
                subscription: subscription.clone(),
                messages: tokio::sync::Mutex::default(),
                window: Arc::new(Semaphore::new(window)),
                unsettled: Mutex::default(),
                tags: AtomicU64::new(1),
                closed: watch::Sender::new(false),
            };
            *inbound.messages.lock().await = Some(inbound.connected().await?);
            Ok(Arc::new(inbound) as Arc<dyn Inbound>)
        })
    }

    fn dead_letters<'a>(&'a self, _: &'a str, _: usize) -> BoxFuture<'a, Result<Vec<DeadMessage>>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn redrive<'a>(&'a self, _: &'a str, _: &'a str) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async { Ok(false) })
    }

    fn discard<'a>(&'a self, _: &'a str, _: &'a str) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async { Ok(false) })
    }

    fn forget<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async { Ok(false) })
    }
}

struct CorePublisher {
    options: Arc<Options>,
    client: Client,
}

impl CorePublisher {
    async fn all(&self, messages: &[Outgoing]) -> Result<(), Unconfirmed> {
        let mut stopped = None;
        let mut sent = 0;
        for message in messages {
            match self.send(message).await {
                Ok(()) => sent += 1,
                Err(error) => {
                    stopped = Some(error);
                    break;
                }
            }
        }
        // The server has them all: what was only written is lost with a connection that is closed behind it.
        let heard = heard(&self.client).await;
        heard.map_err(|error| Unconfirmed::all(unavailable(&self.options, "nothing was sent", error)))?;
        stopped.map_or(Ok(()), |error| Err(Unconfirmed { confirmed: sent, error }))
    }

    async fn send(&self, message: &Outgoing) -> Result<()> {
        let subject = names::subject(self.options.prefix(), partition_of(message.key_hash, SHARDS), &message.event);
        let headers = headers::of(message, false);
        publish::fits(&self.client, &self.options, message, &headers)?;
        let body = message.content.body().to_vec().into();
        let sent = self.client.publish_with_headers(subject, headers, body).await;
        sent.map_err(|error| unavailable(&self.options, &format!("the event {} was not sent", message.id), error))
    }
}

impl Publisher for CorePublisher {
    fn publish<'a>(&'a mut self, messages: &'a [Outgoing]) -> BoxFuture<'a, Result<(), Unconfirmed>> {
        Box::pin(self.all(messages))
    }
}

/// Waits until the server has had all that was said on this connection: what comes back to it shows that.
async fn heard(client: &Client) -> Result<(), String> {
    let echo = async {
        let inbox = client.new_inbox();
        let mut answers = client.subscribe(inbox.clone()).await.map_err(|error| error.to_string())?;
        client.publish(inbox, "".into()).await.map_err(|error| error.to_string())?;
        answers.next().await.map(drop).ok_or_else(|| "the connection ended".to_owned())
    };
    timeout(PATIENCE, echo).await.unwrap_or_else(|_| Err("timed out".to_owned()))
}

struct CoreInbound {
    options: Arc<Options>,
    subscription: Subscription,
    messages: tokio::sync::Mutex<Option<SelectAll<Subscriber>>>,
    window: Arc<Semaphore>,
    unsettled: Mutex<HashMap<u64, OwnedSemaphorePermit>>,
    tags: AtomicU64,
    closed: watch::Sender<bool>,
}

impl CoreInbound {
    /// One subscription for each event, all in the queue group of the handler.
    async fn connected(&self) -> Result<SelectAll<Subscriber>> {
        let client = connect(&self.options).await?;
        let mut all = SelectAll::new();
        let group = names::token(&self.subscription.handler);
        let failed = |error: String| unavailable(&self.options, &self.subscription.handler, error);
        for event in &self.subscription.events {
            let subject = names::any_shard(self.options.prefix(), event);
            let subscribed = client.queue_subscribe(subject, group.clone()).await;
            all.push(subscribed.map_err(|error| failed(error.to_string()))?);
        }
        heard(&client).await.map_err(failed)?;
        Ok(all)
    }

    async fn next(&self, max: usize) -> Result<Vec<Delivery>> {
        let mut messages = self.messages.lock().await;
        let all = match &mut *messages {
            Some(all) => all,
            missing => missing.insert(self.connected().await?),
        };
        let closed = || unavailable(&self.options, &self.subscription.handler, "the connection ended");
        let mut permit = self.window.clone().acquire_owned().await.map_err(|_| closed())?;
        let Some(mut message) = all.next().await else {
            *messages = None;
            return Err(closed());
        };
        let mut deliveries = Vec::new();
        // From here on nothing waits: a call that is dropped has taken nothing out.
        loop {
            let incoming = headers::incoming(&message.subject, message.headers.as_ref(), &message.payload);
            let tag = Tag(self.tags.fetch_add(1, Relaxed));
            self.unsettled.lock().unwrap_or_else(PoisonError::into_inner).insert(tag.0, permit);
            deliveries.push(Delivery { tag, message: Arc::new(incoming), redelivered: 0 });
            if deliveries.len() >= max {
                break;
            }
            let Ok(another) = self.window.clone().try_acquire_owned() else { break };
            let Some(Some(next)) = all.next().now_or_never() else { break };
            (permit, message) = (another, next);
        }
        Ok(deliveries)
    }

    async fn received(&self, max: usize) -> Result<Vec<Delivery>> {
        let mut closed = self.closed.subscribe();
        tokio::select! {
            biased;
            _ = closed.wait_for(|closed| *closed) => Ok(Vec::new()),
            deliveries = self.next(max) => deliveries,
        }
    }
}

impl Inbound for CoreInbound {
    fn receive(&self, max: usize) -> BoxFuture<'_, Result<Vec<Delivery>>> {
        Box::pin(self.received(max))
    }

    fn settle(&self, settlements: Vec<Settlement>) -> BoxFuture<'_, Result<()>> {
        let mut unsettled = self.unsettled.lock().unwrap_or_else(PoisonError::into_inner);
        for settlement in &settlements {
            unsettled.remove(&settlement.tag.0);
        }
        Box::pin(async { Ok(()) })
    }

    fn close(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async {
            self.closed.send_replace(true);
            *self.messages.lock().await = None;
            Ok(())
        })
    }
}
