//! The end of a handler: nothing of it is left.

use sqlx::Row;

use super::{PostgresStore, error::Context};
use crate::{
    error::Result,
    store::record::{Forgotten, NodeId},
};

/// In the order in which a redrive or discard locks them, so that neither waits for the other.
const LOCK_LETTERS: &str = "SELECT 1 FROM @.event_dead_letter WHERE handler = $1 ORDER BY seq FOR UPDATE";

/// Waits for a transaction of the handler that a lease which ran out has left open.
const LOCK_SUBSCRIPTIONS: &str = "
    SELECT owner, owner IS NOT NULL AND lease_until > clock_timestamp()
      FROM @.event_subscription
     WHERE handler = $1
     ORDER BY partition
       FOR UPDATE";

/// Asked for when everything is locked: a dead letter may have come in the meantime.
const STANDING: &str = "
    SELECT (SELECT id FROM @.event_node WHERE $1 = ANY (handlers) AND live_until > clock_timestamp() LIMIT 1),
           (SELECT count(*) FROM @.event_dead_letter WHERE handler = $1)";

impl PostgresStore {
    pub(super) async fn forget_handler(&self, handler: &str, dead_letters: bool) -> Result<Forgotten> {
        let mut transaction = self.own_transaction().await?;
        // Nobody makes the handler's subscriptions anew meanwhile.
        self.lock(&mut transaction).await?;
        let letters = self.query(LOCK_LETTERS).bind(handler.to_owned());
        letters.execute(&mut *transaction).await.context(self)?;
        let rows = self.query(LOCK_SUBSCRIPTIONS).bind(handler.to_owned());
        let rows = rows.fetch_all(&mut *transaction).await.context(self)?;
        if rows.is_empty() {
            return Ok(Forgotten::Unknown);
        }
        let row = self.query(STANDING).bind(handler.to_owned()).fetch_one(&mut *transaction).await.context(self)?;
        let mut alive: Option<String> = row.try_get(0).context(self)?;
        let dead: i64 = row.try_get(1).context(self)?;
        for row in &rows {
            if row.try_get(1).context(self)? {
                alive = row.try_get(0).context(self)?;
            }
        }
        if let Some(node) = alive {
            return Ok(Forgotten::Alive(NodeId(node.into())));
        }
        if dead > 0 && !dead_letters {
            return Ok(Forgotten::DeadLetters(dead.unsigned_abs()));
        }
        let mut gone = [0; 4];
        for (gone, statement) in gone.iter_mut().zip([
            "DELETE FROM @.event_retry        WHERE handler = $1",
            "DELETE FROM @.event_dead_letter  WHERE handler = $1",
            "DELETE FROM @.event_inbox        WHERE handler = $1",
            "DELETE FROM @.event_subscription WHERE handler = $1",
        ]) {
            let done = self.query(statement).bind(handler.to_owned()).execute(&mut *transaction).await.context(self)?;
            *gone = done.rows_affected();
        }
        transaction.commit().await.context(self)?;
        let [parked, dead, ..] = gone;
        Ok(Forgotten::Gone { parked, dead })
    }
}
