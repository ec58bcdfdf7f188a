//! What a person asks and does: the only door for a dashboard or a command line.

use std::sync::Arc;

use crate::{
    error::{Error, ErrorKind, Result},
    fault,
    handler::Registry,
    store::{
        Store,
        record::{DeadLetter, DeadLetterId, Forgotten, SubscriptionState},
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

    /// Removes what the store keeps of a handler (`group.name`) that is gone from the code: its position, which holds
    /// back [`retain`](crate::Builder::retain), and its parked deliveries. What it has not handled, it never will: a
    /// handler of that name that comes later is a new one.
    ///
    /// # Errors
    ///
    /// [`Refused`](ErrorKind::Refused) for a handler that is in this program, or is to hand its position over to one by
    /// `alias`; that a live process has; or that has dead letters: see
    /// [`forget_with_dead_letters`](Self::forget_with_dead_letters). [`NotFound`](ErrorKind::NotFound) if the store has
    /// no such subscription; or if it can't be written.
    pub async fn forget(&self, handler: &str) -> Result<()> {
        self.forget_handler(handler, false).await
    }

    /// The same as [`forget`](Self::forget), and removes the handler's dead letters too, payloads included.
    ///
    /// # Errors
    ///
    /// As for [`forget`](Self::forget), except that dead letters are no reason to refuse.
    pub async fn forget_with_dead_letters(&self, handler: &str) -> Result<()> {
        self.forget_handler(handler, true).await
    }

    async fn forget_handler(&self, handler: &str, dead_letters: bool) -> Result<()> {
        let refused = |message: String| Err(Error::new(ErrorKind::Refused, message));
        if let Some(reason) = self.reason_to_keep(handler).await? {
            return refused(reason);
        }
        match self.store.forget(handler, dead_letters).await? {
            Forgotten::Gone { parked, dead } => {
                tracing::info!(handler, parked, dead_letters = dead, "handler forgotten, with all the store had of it");
                Ok(())
            }
            Forgotten::Alive(node) => refused(format!(
                "handler `{handler}` is not in this program, but in that of the live process `{node}`; stop it first, \
                 or wait until its lease has run out"
            )),
            Forgotten::DeadLetters(dead) => refused(format!(
                "handler `{handler}` has {}; look at them (`dead_letters`), discard them, or remove all of them with \
                 it (`forget_with_dead_letters`)",
                if dead == 1 { "1 dead letter".to_owned() } else { format!("{dead} dead letters") }
            )),
            Forgotten::Unknown => {
                let message = format!("the store has no subscription of a handler `{handler}`");
                Err(Error::new(ErrorKind::NotFound, message))
            }
        }
    }

    /// Why a handler's position is still needed by this program.
    async fn reason_to_keep(&self, handler: &str) -> Result<Option<String>> {
        let handlers = &self.registry.handlers;
        if let Some(wired) = handlers.iter().find(|wired| &*wired.name == handler) {
            return Ok(Some(format!(
                "handler `{handler}` is in this program ({}), and would begin anew; take it out first, or `pause` it",
                wired.def.source
            )));
        }
        let Some(heir) = handlers.iter().find(|wired| wired.def.aliases.contains(&handler)) else { return Ok(None) };
        // Once it has a position of its own, the alias is not looked at any more.
        let inherited = self.store.subscriptions().await?.iter().any(|state| state.id.handler == heir.name);
        Ok((!inherited).then(|| {
            format!(
                "handler `{}` has the alias `{handler}`, and takes its position over when a processor first runs it",
                heir.name
            )
        }))
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
