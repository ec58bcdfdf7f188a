//! What a person asks and does: the only door for a dashboard or a command line.

use std::sync::Arc;

use crate::{
    error::{Error, ErrorKind, Result},
    fault,
    handler::Registry,
    store::{
        Store,
        record::{DeadLetter, DeadLetterId, SubscriptionState},
    },
    wake::Bell,
};

/// Questions and actions of a person: subscriptions, dead letters, pause, redrive. They work on the store, so on all
/// processes that share it; processors in this process see them at once, others within about a second.
#[derive(Debug)]
pub struct Admin<S> {
    store: Arc<S>,
    registry: Arc<Registry>,
    switch: Bell,
}

impl<S: Store> Admin<S> {
    pub(crate) fn new(store: Arc<S>, registry: Arc<Registry>, switch: Bell) -> Self {
        Self { store, registry, switch }
    }

    /// Where every subscription of the store stands, those of other programs and past releases included.
    ///
    /// # Errors
    ///
    /// If the store can't be read.
    pub async fn subscriptions(&self) -> Result<Vec<SubscriptionState>> {
        self.store.subscriptions().await
    }

    /// Dead letters, newest first, of one handler (`group.name`) or of all; at most `limit`.
    ///
    /// # Errors
    ///
    /// If the store can't be read.
    pub async fn dead_letters(&self, handler: Option<&str>, limit: usize) -> Result<Vec<DeadLetter>> {
        self.store.dead_letters(handler, limit).await
    }

    /// Delivers a dead letter again, from the first attempt.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound) if it was redriven or discarded before; or if the store can't be written.
    pub async fn redrive(&self, letter: DeadLetterId) -> Result<()> {
        let redriven = self.store.redrive(letter).await?;
        fault::point("redrive.after");
        self.acted(redriven, || format!("there is no dead letter `{letter}`"))
    }

    /// Gives up on a dead letter for good; what was parked behind it is released. The reason is logged.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound) if it was redriven or discarded before; or if the store can't be written.
    pub async fn discard(&self, letter: DeadLetterId, why: &str) -> Result<()> {
        self.acted(self.store.discard(letter).await?, || format!("there is no dead letter `{letter}`"))?;
        tracing::info!(%letter, why, "dead letter discarded");
        Ok(())
    }

    /// Stops the deliveries of a handler (`group.name`) everywhere, until it is resumed. Those that run are finished.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound) if the store has no such subscription; or if it can't be written.
    pub async fn pause(&self, handler: &str) -> Result<()> {
        self.acted(self.store.set_paused(handler, true).await?, || self.no_subscription(handler))
    }

    /// Lets a paused handler go on.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound) if the store has no such subscription; or if it can't be written.
    pub async fn resume(&self, handler: &str) -> Result<()> {
        self.acted(self.store.set_paused(handler, false).await?, || self.no_subscription(handler))
    }

    fn acted(&self, found: bool, missing: impl FnOnce() -> String) -> Result<()> {
        if !found {
            return Err(Error::new(ErrorKind::NotFound, missing()));
        }
        self.switch.ring();
        Ok(())
    }

    fn no_subscription(&self, handler: &str) -> String {
        let known: Vec<_> = self.registry.handlers.iter().map(|wired| &*wired.name).collect();
        if known.contains(&handler) {
            return format!(
                "handler `{handler}` has no subscription in this store yet; a processor makes it when it starts"
            );
        }
        format!("there is no handler `{handler}`; there are: {}", known.join(", "))
    }
}
