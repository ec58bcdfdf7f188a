//! A bell between those who commit and those who read, within one process: it carries no data, only "look again".

use tokio::sync::watch;

/// Rings the bell.
#[derive(Debug, Clone)]
pub(crate) struct Bell(watch::Sender<u64>);

/// Hears it: every ring since the last time it was heard counts as one.
#[derive(Debug, Clone)]
pub(crate) struct Listener(watch::Receiver<u64>);

impl Bell {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(0))
    }

    pub(crate) fn ring(&self) {
        self.0.send_modify(|rings| *rings = rings.wrapping_add(1));
    }

    /// How often it has rung.
    pub(crate) fn rings(&self) -> u64 {
        *self.0.borrow()
    }

    pub(crate) fn listen(&self) -> Listener {
        Listener(self.0.subscribe())
    }
}

impl Listener {
    /// Forgets the rings so far: called before a look, so that a ring during the look is not missed.
    pub(crate) fn clear(&mut self) {
        self.0.borrow_and_update();
    }

    /// Resolves at the next ring; cancel-safe. Never again once the last bell is gone.
    pub(crate) async fn heard(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
