//! Writing what subscriptions have done, fenced by their leases: the UPDATE that moves a position judges its lease.

use std::collections::HashSet;

use sqlx::{PgConnection, Row};

use super::{
    PostgresStore,
    error::Context,
    place::Place,
    row::{state_text, time},
};
use crate::{
    error::Result,
    store::record::{Checkpoint, DeadLetter, Parked, SubscriptionId},
};

/// Moves the positions of all steps whose lease is held, and says which. `$10` is whether a crash of the machine may
/// undo it; set within the statement, that costs no round trip. After a crash of the server, positions that were read
/// before mean nothing: nothing is written until that was seen to (see `server`).
const MOVE: &str = "
    WITH step AS (
        SELECT *
          FROM unnest($1::text[], $2::integer[], $3::text[], $4::bigint[], $5::bigint[], $6::text[], $7::text[],
                      $8::bigint[], $9::boolean[], $11::boolean[])
            AS t (handler, partition, owner, fence, position, seen, target, target_head, target_wide, calm)
    ), held AS (
        SELECT s.handler, s.partition
          FROM @.event_subscription s
          JOIN step USING (handler, partition, owner, fence)
         WHERE EXISTS (SELECT 1 FROM @.event_server_run)
         ORDER BY s.handler, s.partition
           FOR NO KEY UPDATE OF s
    ), relaxed AS MATERIALIZED (
        SELECT CASE WHEN $10 THEN set_config('synchronous_commit', 'off', true) END
    )
    UPDATE @.event_subscription s
       SET position    = coalesce(step.position, s.position),
           seen        = CASE WHEN step.position IS NULL THEN s.seen        ELSE step.seen::pg_snapshot   END,
           target      = CASE WHEN step.position IS NULL THEN s.target      ELSE step.target::pg_snapshot END,
           target_head = CASE WHEN step.position IS NULL THEN s.target_head ELSE step.target_head         END,
           target_wide = CASE WHEN step.position IS NULL THEN s.target_wide ELSE step.target_wide         END,
           crashes     = CASE WHEN step.calm             THEN 0             ELSE s.crashes                END
      FROM step JOIN held USING (handler, partition), relaxed
     WHERE s.handler = step.handler AND s.partition = step.partition
 RETURNING s.handler, s.partition";

/// How many steps one statement judges.
const STEPS: usize = 256;

const SETTLE: &str = "DELETE FROM @.event_retry WHERE handler = $1 AND position = ANY ($2)";

const PARK: &str = "
    INSERT INTO @.event_retry (handler, position, event_id, aggregate_type, aggregate_id, state, attempts, next_at, error)
    SELECT $1, p.*
      FROM unnest($2::bigint[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::timestamptz[],
                  $9::text[]) p
        ON CONFLICT (handler, position)
        DO UPDATE SET event_id       = excluded.event_id,
                      aggregate_type = excluded.aggregate_type,
                      aggregate_id   = excluded.aggregate_id,
                      state          = excluded.state,
                      attempts       = excluded.attempts,
                      next_at        = excluded.next_at,
                      error          = excluded.error";

/// A delivery has one dead letter at most: a new one takes the place of an earlier one.
const UNBURY: &str = "DELETE FROM @.event_dead_letter WHERE handler = $1 AND (position = $2 OR id = $3)";

const BURY: &str = "
    INSERT INTO @.event_dead_letter
           (handler, position, id, attempts, reason, error, dead_at, event_id, aggregate_type, aggregate_id,
            aggregate_version, event_name, event_version, occurred_at, recorded_at, correlation_id, causation_id, trace,
            payload)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)";

const ONCE_DONE: &str = "UPDATE @.event_inbox SET done = true WHERE handler = $1 AND event_id = ANY ($2)";

const ONCE_FAILED: &str = "DELETE FROM @.event_inbox WHERE handler = $1 AND event_id = ANY ($2)";

impl PostgresStore {
    pub(super) async fn write_checkpoint(&self, steps: &[Checkpoint]) -> Result<Vec<bool>> {
        // A lost position only delivers again, but a handled event whose mark is not final looks as if its attempt had
        // been interrupted.
        let relaxed = steps.iter().all(|step| step.once_done.is_empty());
        // One round of positions alone: one statement, its own transaction.
        if steps.iter().all(moves_only) && in_rounds(steps).count() == 1 {
            let mut own = self.own().await?;
            let moved = self.advance(&mut own, steps, relaxed).await?;
            own.done().await.context(self)?;
            return Ok(steps.iter().map(|step| moved.contains(&step.lease.subscription)).collect());
        }
        let mut written = Vec::with_capacity(steps.len());
        if steps.is_empty() {
            return Ok(written);
        }
        let mut transaction = self.own_transaction().await?;
        for steps in in_rounds(steps) {
            // Nothing of a step is written before its lease is judged, so a lost one leaves the others whole.
            let moved = self.advance(&mut transaction, steps, relaxed).await?;
            for step in steps {
                let held = moved.contains(&step.lease.subscription);
                if held {
                    self.write_deliveries(&mut transaction, step).await?;
                }
                written.push(held);
            }
        }
        transaction.commit().await.context(self)?;
        Ok(written)
    }

    async fn advance(
        &self,
        connection: &mut PgConnection,
        steps: &[Checkpoint],
        relaxed: bool,
    ) -> Result<HashSet<SubscriptionId>> {
        let mut places = Vec::with_capacity(steps.len());
        for step in steps {
            places.push(step.position.as_ref().map(Place::of).transpose()?);
        }
        let seen = |place: &Option<Place>| Some(place.as_ref()?.seen.as_ref()?.0.to_string());
        let target = |place: &Option<Place>| place.as_ref()?.target.clone();
        let rows = self
            .query(MOVE)
            .bind(steps.iter().map(|step| step.lease.subscription.handler.to_string()).collect::<Vec<_>>())
            .bind(steps.iter().map(|step| i32::from(step.lease.subscription.partition)).collect::<Vec<_>>())
            .bind(steps.iter().map(|step| step.lease.owner.0.to_string()).collect::<Vec<_>>())
            .bind(steps.iter().map(|step| step.lease.fence).collect::<Vec<_>>())
            .bind(places.iter().map(|place| place.as_ref().map(|place| place.after)).collect::<Vec<_>>())
            .bind(places.iter().map(seen).collect::<Vec<_>>())
            .bind(
                places
                    .iter()
                    .map(|place| target(place).map(|target| target.snapshot.0.to_string()))
                    .collect::<Vec<_>>(),
            )
            .bind(places.iter().map(|place| target(place).map(|target| target.head)).collect::<Vec<_>>())
            .bind(places.iter().map(|place| target(place).map(|target| target.wide)).collect::<Vec<_>>())
            .bind(relaxed)
            .bind(steps.iter().map(|step| step.calm).collect::<Vec<_>>())
            .fetch_all(connection)
            .await
            .context(self)?;
        let mut moved = HashSet::with_capacity(rows.len());
        for row in rows {
            let handler: &str = row.try_get(0).context(self)?;
            let partition: i32 = row.try_get(1).context(self)?;
            moved.extend(
                u16::try_from(partition).map(|partition| SubscriptionId { handler: handler.into(), partition }),
            );
        }
        Ok(moved)
    }

    async fn write_deliveries(&self, connection: &mut PgConnection, step: &Checkpoint) -> Result<()> {
        let handler = &*step.lease.subscription.handler;
        if !step.settled.is_empty() {
            self.query(SETTLE)
                .bind(handler.to_owned())
                .bind(&step.settled)
                .execute(&mut *connection)
                .await
                .context(self)?;
        }
        if !step.parked.is_empty() {
            self.park(connection, handler, &step.parked).await?;
        }
        for letter in &step.dead {
            self.bury(connection, handler, letter).await?;
        }
        for (statement, events) in [(ONCE_DONE, &step.once_done), (ONCE_FAILED, &step.once_failed)] {
            if !events.is_empty() {
                self.query(statement)
                    .bind(handler.to_owned())
                    .bind(events.iter().map(|event| event.as_uuid()).collect::<Vec<_>>())
                    .execute(&mut *connection)
                    .await
                    .context(self)?;
            }
        }
        Ok(())
    }

    async fn park(&self, connection: &mut PgConnection, handler: &str, rows: &[Parked]) -> Result<()> {
        self.query(PARK)
            .bind(handler.to_owned())
            .bind(rows.iter().map(|row| row.position).collect::<Vec<_>>())
            .bind(rows.iter().map(|row| row.event.as_uuid()).collect::<Vec<_>>())
            .bind(rows.iter().map(|row| row.aggregate.aggregate_type.to_string()).collect::<Vec<_>>())
            .bind(rows.iter().map(|row| row.aggregate.aggregate_id.to_string()).collect::<Vec<_>>())
            .bind(rows.iter().map(|row| state_text(row.state)).collect::<Vec<_>>())
            .bind(rows.iter().map(|row| i64::from(row.attempts)).collect::<Vec<_>>())
            .bind(rows.iter().map(|row| time(row.next_at)).collect::<Vec<_>>())
            .bind(rows.iter().map(|row| row.error.as_deref().map(without_nul)).collect::<Vec<_>>())
            .execute(connection)
            .await
            .context(self)?;
        Ok(())
    }

    async fn bury(&self, connection: &mut PgConnection, handler: &str, letter: &DeadLetter) -> Result<()> {
        let meta = &letter.envelope.meta;
        self.query(UNBURY)
            .bind(handler.to_owned())
            .bind(letter.position)
            .bind(letter.id.0)
            .execute(&mut *connection)
            .await
            .context(self)?;
        self.query(BURY)
            .bind(handler.to_owned())
            .bind(letter.position)
            .bind(letter.id.0)
            .bind(i64::from(letter.attempts))
            .bind(letter.reason.as_str())
            .bind(without_nul(&letter.error))
            .bind(time(letter.at))
            .bind(meta.id.as_uuid())
            .bind(meta.aggregate_type.to_string())
            .bind(meta.aggregate_id.to_string())
            .bind(meta.aggregate_version.map(u64::cast_signed))
            .bind(meta.name.to_string())
            .bind(i64::from(meta.version))
            .bind(time(meta.occurred_at))
            .bind(meta.recorded_at.map(time))
            .bind(meta.correlation_id)
            .bind(meta.causation_id)
            .bind(meta.trace.clone())
            .bind(&letter.envelope.payload)
            .execute(connection)
            .await
            .context(self)?;
        Ok(())
    }
}

fn moves_only(step: &Checkpoint) -> bool {
    let Checkpoint { parked, settled, dead, once_done, once_failed, .. } = step;
    parked.is_empty() && settled.is_empty() && dead.is_empty() && once_done.is_empty() && once_failed.is_empty()
}

/// A handler's error may hold what PostgreSQL's text can't, and must be written down all the same.
fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
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
