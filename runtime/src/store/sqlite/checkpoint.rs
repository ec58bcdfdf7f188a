//! Writing what subscriptions have done, fenced by their leases: the UPDATE that moves a position judges its lease.

use std::collections::HashSet;

use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};

use super::{
    Durability, SqliteStore,
    error::Context,
    log::json_numbers,
    row::{state_text, time_text},
};
use crate::{
    error::Result,
    store::record::{Checkpoint, DeadLetter, Parked, SubscriptionId},
};

/// Moves the positions of all steps whose lease is held, and says which: one statement for all handlers that have seen
/// the same events.
const MOVE: &str = "
    UPDATE event_subscription AS s
       SET position = coalesce(step.column1, s.position),
           crashes  = iif(step.column2, 0, s.crashes)
      FROM (";

const IF_HELD: &str = ") AS step
     WHERE s.handler = step.column3 AND s.partition = step.column4 AND s.owner = step.column5 AND s.fence = step.column6
 RETURNING handler, partition";

/// How many steps one statement judges.
const STEPS: usize = 64;

const PARK: &str = "
    INSERT INTO event_retry (handler, position, event_id, aggregate_type, aggregate_id, state, attempts, next_at, error)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (handler, position)
        DO UPDATE SET event_id       = excluded.event_id,
                      aggregate_type = excluded.aggregate_type,
                      aggregate_id   = excluded.aggregate_id,
                      state          = excluded.state,
                      attempts       = excluded.attempts,
                      next_at        = excluded.next_at,
                      error          = excluded.error";

/// A delivery has one dead letter at most: a new one takes the place of an earlier one.
const BURY: &str = "
    INSERT OR REPLACE INTO event_dead_letter
           (id, handler, position, attempts, reason, error, dead_at, event_id, aggregate_type, aggregate_id,
            aggregate_version, event_name, event_version, occurred_at, recorded_at, correlation_id, causation_id, trace,
            payload)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

impl SqliteStore {
    pub(super) async fn write_checkpoint(&self, steps: &[Checkpoint]) -> Result<Vec<bool>> {
        let mut written = Vec::with_capacity(steps.len());
        if steps.is_empty() {
            return Ok(written);
        }
        // A lost position only delivers again, but a handled event whose mark is not final looks as if its attempt had
        // been interrupted.
        let durability = match steps.iter().all(|step| step.once_done.is_empty()) {
            true => Durability::Process,
            false => Durability::Full,
        };
        let mut transaction = self.write(durability).await?;
        for steps in in_rounds(steps) {
            // Nothing of a step is written before its lease is judged, so a lost one leaves the others whole.
            let moved = self.advance(&mut transaction, steps).await?;
            for step in steps {
                let held = moved.contains(&step.lease.subscription);
                if held {
                    self.write_deliveries(&mut transaction, step).await?;
                    self.write_marks(&mut transaction, step).await?;
                }
                written.push(held);
            }
        }
        transaction.commit().await.context(self)?;
        Ok(written)
    }

    async fn advance(
        &self,
        connection: &mut SqliteConnection,
        steps: &[Checkpoint],
    ) -> Result<HashSet<SubscriptionId>> {
        let mut query = QueryBuilder::<Sqlite>::new(MOVE);
        query.push_values(steps, |mut row, Checkpoint { lease, position, calm, .. }| {
            row.push_bind(position.as_ref().map(|position| position.after))
                .push_bind(calm)
                .push_bind(&*lease.subscription.handler)
                .push_bind(i64::from(lease.subscription.partition))
                .push_bind(&*lease.owner.0)
                .push_bind(lease.fence);
        });
        query.push(IF_HELD);
        let rows = query.build().fetch_all(connection).await.context(self)?;
        let mut moved = HashSet::with_capacity(rows.len());
        for row in rows {
            let handler: &str = row.try_get(0).context(self)?;
            let partition: i64 = row.try_get(1).context(self)?;
            moved.extend(
                u16::try_from(partition).map(|partition| SubscriptionId { handler: handler.into(), partition }),
            );
        }
        Ok(moved)
    }

    async fn write_deliveries(&self, connection: &mut SqliteConnection, step: &Checkpoint) -> Result<()> {
        let handler = &*step.lease.subscription.handler;
        if !step.settled.is_empty() {
            sqlx::query("DELETE FROM event_retry WHERE handler = ? AND position IN (SELECT value FROM json_each(?))")
                .bind(handler)
                .bind(json_numbers(&step.settled))
                .execute(&mut *connection)
                .await
                .context(self)?;
        }
        for delivery in &step.parked {
            self.park(connection, handler, delivery).await?;
        }
        for letter in &step.dead {
            self.bury(connection, handler, letter).await?;
        }
        Ok(())
    }

    async fn park(&self, connection: &mut SqliteConnection, handler: &str, delivery: &Parked) -> Result<()> {
        sqlx::query(PARK)
            .bind(handler)
            .bind(delivery.position)
            .bind(delivery.event.as_uuid().hyphenated())
            .bind(&*delivery.aggregate.aggregate_type)
            .bind(delivery.aggregate.aggregate_id.as_str())
            .bind(state_text(delivery.state))
            .bind(delivery.attempts)
            .bind(time_text(delivery.next_at))
            .bind(delivery.error.as_deref())
            .execute(connection)
            .await
            .context(self)?;
        Ok(())
    }

    async fn bury(&self, connection: &mut SqliteConnection, handler: &str, letter: &DeadLetter) -> Result<()> {
        let meta = &letter.envelope.meta;
        let query = sqlx::query(BURY)
            .bind(letter.id.0.hyphenated())
            .bind(handler)
            .bind(letter.position)
            .bind(letter.attempts)
            .bind(letter.reason.as_str())
            .bind(&letter.error)
            .bind(time_text(letter.at))
            .bind(meta.id.as_uuid().hyphenated())
            .bind(&*meta.aggregate_type)
            .bind(meta.aggregate_id.as_str())
            .bind(meta.aggregate_version.and_then(|version| i64::try_from(version).ok()))
            .bind(&*meta.name)
            .bind(meta.version)
            .bind(time_text(meta.occurred_at))
            .bind(meta.recorded_at.map(time_text))
            .bind(meta.correlation_id.map(uuid::Uuid::hyphenated))
            .bind(meta.causation_id.map(uuid::Uuid::hyphenated))
            .bind(meta.trace.as_deref());
        // The payload comes back as it was, whatever it is; as text where a person can read it.
        let query = match std::str::from_utf8(&letter.envelope.payload) {
            Ok(text) => query.bind(text),
            Err(_) => query.bind(letter.envelope.payload.as_slice()),
        };
        query.execute(connection).await.context(self)?;
        Ok(())
    }
}

/// Cuts the steps where a subscription comes a second time: one statement would move it only once.
fn in_rounds(mut steps: &[Checkpoint]) -> impl Iterator<Item = &[Checkpoint]> {
    std::iter::from_fn(move || {
        let mut seen = HashSet::new();
        let fresh = steps.iter().take(STEPS).take_while(|step| seen.insert(&step.lease.subscription)).count();
        let (round, rest) = steps.split_at(fresh);
        steps = rest;
        (!round.is_empty()).then_some(round)
    })
}
