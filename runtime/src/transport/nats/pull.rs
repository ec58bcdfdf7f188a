//! Asking the server for the messages of a consumer, so that more are always on their way than are being looked at.
//!
//! The library's own stream of messages counts what it has asked for when a task of its own has told it so, which may be
//! after those messages have come: then it believes that they are still to come, and asks for nothing more.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use async_nats::{
    Client, Message, Statistics, StatusCode, Subscriber,
    jetstream::{
        consumer::{Consumer, pull},
        stream::Stream,
    },
};
use futures_util::{FutureExt, StreamExt};

/// A request that finds nothing for so long is made anew.
const EXPIRES: Duration = Duration::from_secs(30);

/// While nothing comes, the server says so often that it is there.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// How often somebody who waits looks whether the connection is another one.
const LOOK: Duration = Duration::from_millis(500);

/// The header of a request's end that says how many messages of it did not come.
const UNSENT: &str = "Nats-Pending-Messages";

/// The messages of one consumer.
pub(super) struct Pull {
    client: Client,
    stream: Stream,
    consumer: String,
    /// Where requests go, and where messages come.
    next: String,
    inbox: String,
    messages: Subscriber,
    batch: usize,
    /// How many messages were asked for and have not come.
    asked: usize,
    statistics: Arc<Statistics>,
    connects: u64,
}

impl Pull {
    /// Asks for so many at a time.
    pub(super) async fn begin(
        client: &Client,
        stream: &Stream,
        consumer: &Consumer<pull::Config>,
        batch: usize,
    ) -> Result<Self, String> {
        let info = consumer.cached_info();
        let inbox = client.new_inbox();
        let messages = client.subscribe(inbox.clone()).await.map_err(|error| error.to_string())?;
        let statistics = client.statistics();
        Ok(Self {
            client: client.clone(),
            stream: stream.clone(),
            consumer: info.name.clone(),
            next: format!("$JS.API.CONSUMER.MSG.NEXT.{}.{}", info.stream_name, info.name),
            inbox,
            messages,
            batch,
            asked: 0,
            connects: statistics.connects.load(Ordering::Relaxed),
            statistics,
        })
    }

    /// The next message; waits for it. An error says why there will be none. Not cancel-safe.
    pub(super) async fn next(&mut self) -> Result<Message, String> {
        let mut silent = Duration::ZERO;
        loop {
            if self.asked <= self.batch / 2 {
                self.ask().await?;
            }
            // Without a timer, where one is here.
            let here = self.messages.next().now_or_never().map(Ok);
            let Ok(message) = (match here {
                Some(message) => message,
                None => tokio::time::timeout(LOOK, self.messages.next()).await,
            }) else {
                silent += LOOK;
                if silent >= 2 * HEARTBEAT {
                    return Err(format!("the server has said nothing for {silent:?}"));
                }
                self.look().await;
                continue;
            };
            let message = message.ok_or("the connection was closed")?;
            silent = Duration::ZERO;
            match message.status {
                None | Some(StatusCode::OK) => {
                    self.asked = self.asked.saturating_sub(1);
                    return Ok(message);
                }
                Some(StatusCode::IDLE_HEARTBEAT) => {}
                Some(StatusCode::TIMEOUT | StatusCode::REQUEST_TERMINATED) => self.ended(&message)?,
                Some(status) => return Err(format!("{status} {}", message.description.unwrap_or_default())),
            }
        }
    }

    async fn ask(&mut self) -> Result<(), String> {
        let request = serde_json::json!({
            "batch": self.batch,
            "expires": nanos(EXPIRES),
            "idle_heartbeat": nanos(HEARTBEAT),
        });
        // Before it is sent: nothing can come before it is counted.
        self.asked += self.batch;
        let sent = self.client.publish_with_reply(self.next.clone(), self.inbox.clone(), request.to_string().into());
        sent.await.map_err(|error| error.to_string())
    }

    /// A request is over, with some of its messages or none.
    fn ended(&mut self, message: &Message) -> Result<(), String> {
        let description = message.description.as_deref().unwrap_or_default();
        if description == "Consumer Deleted" || description.starts_with("Exceeded MaxRequest") {
            return Err(description.to_owned());
        }
        let unsent = message.headers.as_ref().and_then(|headers| headers.get(UNSENT));
        let unsent = unsent.and_then(|unsent| unsent.as_str().parse().ok()).unwrap_or(self.batch);
        self.asked = self.asked.saturating_sub(unsent);
        Ok(())
    }

    /// Another connection may mean another server, which knows of no request.
    async fn look(&mut self) {
        let connects = self.statistics.connects.load(Ordering::Relaxed);
        if connects == self.connects {
            return;
        }
        // Where it can't be asked, it is asked at the next look.
        if let Ok(info) = self.stream.consumer_info(&self.consumer).await {
            self.connects = connects;
            if info.num_waiting == 0 {
                self.asked = 0;
            }
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
