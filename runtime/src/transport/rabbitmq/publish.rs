//! Publishing, confirmed: used by the relay through [`Publisher`], and by the dead letters one at a time.

use std::{collections::VecDeque, future::poll_fn, pin::Pin, sync::Arc, task::Poll};

use lapin::{
    BasicProperties, Channel, Confirmation, Connection,
    options::{BasicPublishOptions, ConfirmSelectOptions},
    types::ShortString,
};

use super::{
    connect::{Broker, Connected, PATIENCE},
    declare,
    error::is_no_route,
    names::{routing_key, short},
    wire,
};
use crate::{
    error::{Error, ErrorKind, Result},
    transport::{
        BoxFuture, Publisher,
        record::{Outgoing, Unconfirmed},
    },
};

/// How many messages are on the way at a time: more gains nothing, fewer cost throughput.
const WINDOW: usize = 256;

/// A connected way in. Dropped, its connection is closed.
pub(super) struct AmqpPublisher {
    broker: Arc<Broker>,
    exchange: ShortString,
    channel: Channel,
    _connection: Connected,
}

impl AmqpPublisher {
    pub(super) async fn connect(broker: Arc<Broker>) -> Result<Self> {
        let connection = broker.connect("publisher").await?;
        let channel = confirming(&broker, &connection).await?;
        let exchange = short(&broker.address.prefix);
        declare::events(&broker, &channel, &exchange).await?;
        Ok(Self { broker, exchange, channel, _connection: connection })
    }

    /// Hands a message to the connection: polled once, it is in line behind those before it.
    fn send<'a>(&'a self, message: &'a Outgoing) -> Sent<'a> {
        Box::pin(async move {
            let key = routing_key(&message.event, message.key_hash)?;
            let properties = wire::outgoing(message);
            confirmed(&self.broker, &self.channel, &self.exchange, key, message.content.body(), properties).await
        })
    }
}

type Sent<'a> = Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>>;

impl Publisher for AmqpPublisher {
    fn publish<'a>(&'a mut self, messages: &'a [Outgoing]) -> BoxFuture<'a, Result<(), Unconfirmed>> {
        Box::pin(async move {
            let mut waiting = messages.iter();
            let mut sent: VecDeque<Sent<'_>> = VecDeque::with_capacity(WINDOW.min(messages.len()));
            let mut confirmed = 0;
            loop {
                while sent.len() < WINDOW
                    && let Some(message) = waiting.next()
                {
                    let mut sending = self.send(message);
                    match begun(&mut sending).await {
                        None => sent.push_back(sending),
                        Some(Ok(())) => sent.push_back(Box::pin(async { Ok(()) })),
                        // Nothing behind it is sent; what is before it may still be confirmed.
                        Some(Err(error)) => {
                            waiting = [].iter();
                            sent.push_back(Box::pin(async { Err(error) }));
                        }
                    }
                }
                let Some(first) = sent.pop_front() else { return Ok(()) };
                if let Err(error) = first.await {
                    return Err(Unconfirmed { confirmed, error });
                }
                confirmed += 1;
            }
        })
    }
}

/// Polls once, which sends; the outcome if it is there already.
async fn begun(sending: &mut Sent<'_>) -> Option<Result<()>> {
    poll_fn(|context| match sending.as_mut().poll(context) {
        Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// A channel whose messages the broker confirms.
pub(super) async fn confirming(broker: &Broker, connection: &Connection) -> Result<Channel> {
    let channel = broker.channel(connection).await?;
    broker.in_time("ask for confirmations", channel.confirm_select(ConfirmSelectOptions::default())).await?;
    Ok(channel)
}

/// Publishes one message, and waits until the broker has it. A broker that holds publishers back for want of memory or
/// disk is waited for.
async fn confirmed(
    broker: &Broker,
    channel: &Channel,
    exchange: &ShortString,
    key: ShortString,
    body: &[u8],
    properties: BasicProperties,
) -> Result<()> {
    let options = BasicPublishOptions::default();
    let sent = channel.basic_publish(exchange.clone(), key, options, body, properties).await;
    let confirmation = match sent {
        Ok(confirmation) => confirmation.await,
        Err(error) => Err(error),
    };
    match confirmation.map_err(|error| broker.failed("publish", &error))? {
        Confirmation::Ack(None) => Ok(()),
        _ => Err(refused(broker)),
    }
}

/// Puts a message straight into a queue; `false` if there is no such queue.
pub(super) async fn into_queue(
    broker: &Broker,
    channel: &Channel,
    queue: ShortString,
    body: &[u8],
    properties: BasicProperties,
) -> Result<bool> {
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let publishing =
        async { channel.basic_publish(ShortString::default(), queue, options, body, properties).await?.await };
    let answered = tokio::time::timeout(PATIENCE, publishing).await.map_err(|_| broker.silent("publish"))?;
    match answered.map_err(|error| broker.failed("publish", &error))? {
        Confirmation::Ack(None) => Ok(true),
        Confirmation::Ack(Some(returned)) if is_no_route(returned.reply_code) => Ok(false),
        _ => Err(refused(broker)),
    }
}

fn refused(broker: &Broker) -> Error {
    Error::new(ErrorKind::Unavailable, format!("{}: the broker refused a message", broker.cannot("publish")))
}
