//! A notification service that is away when it is needed first: what a handler meets in real life.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;

use crate::notifications::{Inbox, Notification, NotificationError, NotificationService};

/// Fails once, then brings notifications to the inbox.
pub(super) struct Gateway {
    inbox: Arc<Inbox>,
    was_away: AtomicBool,
}

impl Gateway {
    pub(super) fn away_once(inbox: Arc<Inbox>) -> Arc<dyn NotificationService> {
        Arc::new(Self { inbox, was_away: AtomicBool::new(false) })
    }
}

#[async_trait]
impl NotificationService for Gateway {
    async fn send(&self, notification: Notification) -> Result<(), NotificationError> {
        if !self.was_away.swap(true, Ordering::Relaxed) {
            return Err(NotificationError::Gateway(io::Error::other("the push gateway is away")));
        }
        self.inbox.send(notification).await
    }
}
