//! The notification service of this application: an inbox for each curator, kept in the database.

use async_trait::async_trait;

use super::{Notification, NotificationError, NotificationService};
use crate::{
    curators::CuratorId,
    database::{Database, DatabaseError, Queries as _},
};

/// The inboxes of all curators.
#[derive(Debug)]
pub struct Inbox {
    database: Database,
}

impl Inbox {
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    /// What a curator was told, newest first: event ids sort by time.
    pub async fn of(&self, curator: &CuratorId) -> Result<Vec<String>, DatabaseError> {
        let rows: Vec<(String,)> = self
            .database
            .query("select text from notifications where recipient = $1 order by event_id desc limit 100")
            .bind(curator.as_str())
            .fetch_all()
            .await?;
        Ok(rows.into_iter().map(|(text,)| text).collect())
    }

    /// The key is the event and the recipient: what is there already stays as it is.
    async fn keep(&self, notification: Notification) -> Result<(), DatabaseError> {
        let mut transaction = self.database.begin().await?;
        transaction
            .query("insert into notifications (event_id, recipient, text) values ($1, $2, $3) on conflict do nothing")
            .bind(notification.event.to_string())
            .bind(notification.recipient.as_str())
            .bind(notification.text)
            .execute()
            .await?;
        Ok(transaction.commit().await?)
    }
}

#[async_trait]
impl NotificationService for Inbox {
    async fn send(&self, notification: Notification) -> Result<(), NotificationError> {
        Ok(self.keep(notification).await?)
    }
}
