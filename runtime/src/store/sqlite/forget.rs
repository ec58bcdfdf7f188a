//! The end of a handler: nothing of it is left.

use super::{Durability, SqliteStore, error::Context, lease::now_ms};
use crate::{
    error::Result,
    store::record::{Forgotten, NodeId},
};

/// Whether there is such a handler, who runs it or has it, and how many dead letters it has.
const STANDING: &str = concat!(
    "SELECT EXISTS (SELECT 1 FROM event_subscription WHERE handler = ?1),
            coalesce((SELECT owner
                        FROM event_subscription
                       WHERE handler = ?1 AND owner IS NOT NULL AND lease_until_ms > ",
    now_ms!(),
    "),
                     (SELECT n.id
                        FROM event_node n, json_each(n.handlers) h
                       WHERE h.value = ?1 AND n.until_ms > ",
    now_ms!(),
    ")),
            (SELECT count(*) FROM event_dead_letter WHERE handler = ?1)"
);

impl SqliteStore {
    pub(super) async fn forget_handler(&self, handler: &str, dead_letters: bool) -> Result<Forgotten> {
        // The lock is taken at once: nobody claims a lease or buries a dead letter after the look.
        let mut transaction = self.write(Durability::Full).await?;
        let (known, alive, dead): (bool, Option<String>, i64) =
            sqlx::query_as(STANDING).bind(handler).fetch_one(&mut *transaction).await.context(self)?;
        let refused = match (known, alive) {
            (false, _) => Some(Forgotten::Unknown),
            (true, Some(node)) => Some(Forgotten::Alive(NodeId(node.into()))),
            (true, None) if dead > 0 && !dead_letters => Some(Forgotten::DeadLetters(dead.unsigned_abs())),
            (true, None) => None,
        };
        if let Some(refused) = refused {
            transaction.rollback().await.context(self)?;
            return Ok(refused);
        }
        let mut gone = [0; 4];
        for (gone, statement) in gone.iter_mut().zip([
            "DELETE FROM event_retry        WHERE handler = ?",
            "DELETE FROM event_dead_letter  WHERE handler = ?",
            "DELETE FROM event_inbox        WHERE handler = ?",
            "DELETE FROM event_subscription WHERE handler = ?",
        ]) {
            let done = sqlx::query(statement).bind(handler).execute(&mut *transaction).await.context(self)?;
            *gone = done.rows_affected();
        }
        transaction.commit().await.context(self)?;
        let [parked, dead, ..] = gone;
        Ok(Forgotten::Gone { parked, dead })
    }
}
