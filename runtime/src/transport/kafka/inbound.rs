//! The way out: what a poller takes in, handed out and settled.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use super::{
    dead_letter::{self, Letter},
    held::{End, Held, Lane, Place},
    names::Names,
    poller::Poller,
    publish::Sender,
    settings::Settings,
    topics::blocking,
    voice::lock,
};
use crate::{
    error::Result,
    transport::{
        BoxFuture, Inbound,
        record::{Delivery, Fate, Settlement, Subscription},
    },
};

/// How long leaving a group may take before it goes on in the background.
const LEAVING: Duration = Duration::from_secs(5);

/// See the module.
pub(super) struct KafkaInbound {
    settings: Settings,
    dead: String,
    held: Arc<Held>,
    poller: Arc<Mutex<Poller>>,
    /// Made with the first dead letter.
    sender: tokio::sync::Mutex<Option<Sender>>,
}

impl KafkaInbound {
    pub(super) fn new(settings: &Settings, subscription: &Subscription) -> Result<Self> {
        let names = Names::of(&settings.prefix, &subscription.handler)?;
        let held = Held::new(subscription.window);
        let poller = Poller::start(settings, subscription, &held)?;
        Ok(Self {
            settings: settings.clone(),
            dead: names.dead,
            held,
            poller: Arc::new(Mutex::new(poller)),
            sender: tokio::sync::Mutex::default(),
        })
    }

    async fn settle_all(&self, settlements: Vec<Settlement>) -> Result<()> {
        let (mut done, mut returned, mut dying, mut letters) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for settlement in settlements {
            match settlement.fate {
                Fate::Done => done.push(settlement.tag),
                Fate::Returned => returned.push(settlement.tag),
                Fate::Dead(message, epitaph) => {
                    // An old tag's message is with somebody else, who decides about it.
                    if let Some(place) = self.held.holds(settlement.tag) {
                        dying.push(settlement.tag);
                        letters.push(Letter { id: letter_id(place), message, epitaph });
                    }
                }
            }
        }
        self.held.done(done);
        self.held.returned(returned);
        if letters.is_empty() {
            return Ok(());
        }
        let mut sender = self.sender.lock().await;
        let sending = match sender.take() {
            Some(sending) => sending,
            None => Sender::new(&self.settings)?,
        };
        dead_letter::keep(&sending, &self.dead, &letters).await?;
        *sender = Some(sending);
        self.held.done(dying);
        Ok(())
    }
}

/// The same for each delivery of a record, so that a second burial replaces the first.
fn letter_id(place: Place) -> String {
    let lane = match place.share.0 {
        Lane::Events => "",
        Lane::Retry => "retry-",
    };
    format!("{lane}{}-{}", place.share.1, place.offset)
}

impl Inbound for KafkaInbound {
    fn receive(&self, max: usize) -> BoxFuture<'_, Result<Vec<Delivery>>> {
        Box::pin(self.held.next(max))
    }

    fn settle(&self, settlements: Vec<Settlement>) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.settle_all(settlements))
    }

    fn close(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async {
            self.held.close(End::Closed);
            let poller = Arc::clone(&self.poller);
            blocking(move || {
                lock(&poller).wait(LEAVING);
                Ok(())
            })
            .await
        })
    }
}

impl Drop for KafkaInbound {
    fn drop(&mut self) {
        // The thread commits what is settled, leaves the group and ends.
        self.held.close(End::Dropped);
    }
}
