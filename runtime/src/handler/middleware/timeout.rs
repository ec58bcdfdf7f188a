//! A limit of time for one attempt. The timer is only made when the handler has to wait: one that answers at once costs
//! no timer.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Sleep, sleep};

use crate::handler::outcome::{HandlerError, failure};

pub(super) struct Timer {
    limit: Duration,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Timer {
    pub(super) fn new(limit: Duration) -> Self {
        Self { limit, sleep: None }
    }

    /// Ready with the error once the time is over; starts with the first call.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<HandlerError> {
        let limit = self.limit;
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep(limit)));
        sleep.as_mut().poll(cx).map(|()| failure(format!("the handler ran longer than its timeout of {limit:?}")))
    }
}
