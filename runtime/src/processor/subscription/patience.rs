//! Calls of the store that are repeated until it answers: a store that is away delays a subscription and ends nothing.

use std::{future::Future, sync::Arc, time::Duration};

use super::{Orders, Subscription};
use crate::{
    error::{Error, Result},
    processor::tail::TailPage,
    store::{
        Store,
        record::{Checkpoint, Parked, Position},
    },
};

/// Between two tries, at first and at most.
const FIRST: Duration = Duration::from_millis(200);
const LIMIT: Duration = Duration::from_secs(5);

/// The next page behind a position, `None` if there is none yet.
pub(super) fn read<S: Store>(
    subscription: &Subscription<S>,
    from: Position,
) -> impl Future<Output = Option<Arc<TailPage>>> + Send + use<S> {
    let (tail, handler) = (Arc::clone(&subscription.tail), Arc::clone(&subscription.wired.name));
    async move {
        let mut pause = Pause::new("read the log", handler);
        loop {
            match tail.read(&from).await {
                Ok(page) => return page,
                Err(error) => pause.after(&error).await,
            }
        }
    }
}

/// Writes a checkpoint: `false` if the lease is lost.
pub(super) fn write<S>(
    subscription: &Subscription<S>,
    checkpoint: Checkpoint,
    is_urgent: bool,
) -> impl Future<Output = bool> + Send + use<S> {
    let (desk, handler) = (subscription.desk.clone(), Arc::clone(&subscription.wired.name));
    async move {
        let mut pause = Pause::new("write the checkpoint", handler);
        loop {
            match desk.clone().hand_in(checkpoint.clone(), is_urgent).await {
                Ok(written) => return written,
                Err(error) => pause.after(&error).await,
            }
        }
    }
}

/// The handler's parked deliveries, and the orders from before they were read, so that a person's action since then is
/// not taken for one that they show. `None` if the subscription is to end before the store answers.
pub(super) async fn parked<S: Store>(subscription: &mut Subscription<S>) -> Option<(Orders, Vec<Parked>)> {
    let handler = Arc::clone(&subscription.wired.name);
    let mut pause = Pause::new("read the parked deliveries", Arc::clone(&handler));
    loop {
        let orders = *subscription.orders.borrow_and_update();
        let rows: Result<_> = subscription.context.store.parked(&handler, usize::MAX).await;
        match rows {
            _ if orders.lost => return None,
            Ok(rows) => return Some((orders, rows)),
            Err(_) if orders.stop => return None,
            Err(error) => pause.after(&error).await,
        }
    }
}

/// A wait that grows with every failure.
struct Pause {
    what: &'static str,
    handler: Arc<str>,
    next: Duration,
}

impl Pause {
    fn new(what: &'static str, handler: Arc<str>) -> Self {
        Self { what, handler, next: FIRST }
    }

    async fn after(&mut self, error: &Error) {
        tracing::warn!(handler = %self.handler, %error, "can't {}; trying again", self.what);
        tokio::time::sleep(self.next).await;
        self.next = (self.next * 2).min(LIMIT);
    }
}
