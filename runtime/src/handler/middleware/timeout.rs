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

pub(super) struct Limit<F> {
    future: F,
    limit: Duration,
    timer: Option<Pin<Box<Sleep>>>,
}

impl<F> Limit<F> {
    pub(super) fn new(future: F, limit: Duration) -> Self {
        Self { future, limit, timer: None }
    }
}

impl<F: Future<Output = Result<(), HandlerError>> + Unpin> Future for Limit<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(answer) = Pin::new(&mut self.future).poll(cx) {
            return Poll::Ready(answer);
        }
        let limit = self.limit;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(limit)));
        timer.as_mut().poll(cx).map(|()| Err(failure(format!("the handler ran longer than its timeout of {limit:?}"))))
    }
}
