//! What carries events in this process: a processor along the log or, with a broker in between, a relay and a consumer.

use std::sync::{Arc, Mutex, PoisonError};

use domain_events::{
    RunningConsumer, RunningProcessor, RunningRelay,
    transport::{Health, Transport},
};
use serde_json::{Value, json};

use crate::app::App;

/// The most dead letters of a handler that are shown.
const SHOWN: usize = 100;

/// They run until they are stopped.
#[derive(Debug, Default)]
pub struct Carriers {
    transport: Option<Arc<dyn Transport>>,
    running: Mutex<Running>,
}

#[derive(Debug, Default)]
struct Running {
    processor: Option<RunningProcessor>,
    relay: Option<RunningRelay>,
    consumer: Option<RunningConsumer>,
}

impl Carriers {
    /// Along the log.
    pub async fn on_log(app: &App, groups: Option<&[String]>) -> domain_events::Result<Self> {
        let processor = match groups {
            Some(groups) => Some(app.events.processor().groups(groups).start().await?),
            None => None,
        };
        Ok(Self { transport: None, running: Mutex::new(Running { processor, ..Running::default() }) })
    }

    /// By a broker: a process that has the library publishes its log, one that is given groups runs their handlers.
    pub async fn on_transport(
        app: &App,
        transport: Arc<dyn Transport>,
        groups: Option<&[String]>,
    ) -> domain_events::Result<Self> {
        // Whoever takes in comes first: some brokers keep nothing for those who are not there yet.
        let consumer = match groups {
            Some(groups) => Some(app.events.consumer(transport.clone()).groups(groups).start()?),
            None => None,
        };
        let relay = match app.layout.has_library() {
            true => Some(app.events.relay(transport.clone()).start().await?),
            false => None,
        };
        let running = Mutex::new(Running { processor: None, relay, consumer });
        Ok(Self { transport: Some(transport), running })
    }

    /// The broker's address, without a password.
    pub fn broker(&self) -> Option<&str> {
        self.transport.as_ref().map(|transport| transport.address())
    }

    /// How the connections to the broker stand: the relay's, and each handler's.
    pub fn links(&self) -> (Option<Health>, Vec<Health>) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        (
            running.relay.as_ref().map(RunningRelay::health),
            running.consumer.iter().flat_map(RunningConsumer::health).collect(),
        )
    }

    /// What is given up on and kept on the broker, by handlers that run here.
    pub async fn dead_letters(&self) -> domain_events::Result<Vec<Value>> {
        let Some(transport) = &self.transport else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        for handler in self.links().1 {
            let letters = transport.dead_letters(&handler.name, SHOWN).await?;
            found.extend(letters.iter().map(|l| json!({ "handler": &*handler.name, "error": l.epitaph.error })));
        }
        Ok(found)
    }

    /// Lets what runs finish; what is not handled waits in the log, or on the broker.
    pub async fn stop(&self) -> domain_events::Result<()> {
        let running = std::mem::take(&mut *self.running.lock().unwrap_or_else(PoisonError::into_inner));
        // The last events are published before the handlers in this process stop taking them in.
        if let Some(relay) = running.relay {
            relay.shutdown().await?;
        }
        if let Some(consumer) = running.consumer {
            consumer.shutdown().await?;
        }
        if let Some(processor) = running.processor {
            processor.shutdown().await?;
        }
        Ok(())
    }
}
