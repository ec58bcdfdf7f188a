//! Making subscriptions: new ones, renamed ones, and another number of partitions.

use std::collections::HashSet;

use sqlx::{PgConnection, Row};

use super::{PostgresStore, error::Context, place::Place, subscription::place_of};
use crate::{
    error::Result,
    store::record::{NewSubscription, StartAt},
};

const PARTITIONS: &str = "
    SELECT position, seen::text, target::text, target_head, target_wide,
           owner IS NOT NULL AND lease_until > clock_timestamp()
      FROM @.event_subscription
     WHERE handler = $1
     ORDER BY partition";

const INSERT: &str = "
    INSERT INTO @.event_subscription (handler, partition, position, seen, target, target_head, target_wide)
    SELECT $1, partition, $3, $4::text::pg_snapshot, $5::text::pg_snapshot, $6, $7
      FROM generate_series(0, $2 - 1) AS partition
        ON CONFLICT (handler, partition) DO NOTHING";

/// All partitions begin again at one position, with a greater fence than any before: whoever held one of the old rows
/// must not move a new one.
const ALIGN: &str = "
    UPDATE @.event_subscription s
       SET position    = $3,
           seen        = $4::text::pg_snapshot,
           target      = $5::text::pg_snapshot,
           target_head = $6,
           target_wide = $7,
           owner       = NULL,
           lease_until = '-infinity',
           fence       = o.fence + 1,
           crashes     = o.crashes,
           paused      = o.paused,
           revision    = o.revision + 1
      FROM (SELECT max(fence) AS fence, max(crashes) AS crashes, bool_or(paused) AS paused, max(revision) AS revision
              FROM @.event_subscription
             WHERE handler = $1) o
     WHERE s.handler = $1 AND s.partition < $2";

const SURPLUS: &str = "DELETE FROM @.event_subscription WHERE handler = $1 AND partition >= $2";

/// What is known of all partitions of a handler.
struct Partitions {
    places: Vec<Place>,
    live: bool,
}

impl PostgresStore {
    pub(super) async fn make_sure(&self, subscriptions: &[NewSubscription]) -> Result<()> {
        let mut handlers = HashSet::new();
        let mut missing = Vec::new();
        let mut own = self.own().await?;
        for wanted in subscriptions.iter().filter(|wanted| handlers.insert(&wanted.id.handler)) {
            let found = self.partitions(&mut own, &wanted.id.handler).await?;
            if found.places.len() != usize::from(wanted.partitions.max(1)) {
                missing.push(wanted);
            }
        }
        drop(own);
        // The usual case, so that programs that look again from time to time don't write.
        if missing.is_empty() {
            return Ok(());
        }
        let head = self.head_place().await?;
        let mut transaction = self.own_transaction().await?;
        self.lock(&mut transaction).await?;
        for wanted in missing {
            self.create(&mut transaction, wanted, &head).await?;
        }
        transaction.commit().await.context(self)
    }

    async fn partitions(&self, connection: &mut PgConnection, handler: &str) -> Result<Partitions> {
        let rows = self.query(PARTITIONS).bind(handler.to_owned()).fetch_all(connection).await.context(self)?;
        let mut found = Partitions { places: Vec::with_capacity(rows.len()), live: false };
        for row in &rows {
            found.places.push(place_of(row, 0).context(self)?);
            found.live |= row.try_get::<bool, _>(5).context(self)?;
        }
        Ok(found)
    }

    /// Where all subscriptions of all handlers stand.
    async fn all_places(&self, connection: &mut PgConnection) -> Result<Vec<Place>> {
        const ALL: &str =
            "SELECT position, seen::text, target::text, target_head, target_wide FROM @.event_subscription";
        let rows = self.query(ALL).fetch_all(connection).await.context(self)?;
        rows.iter().map(|row| place_of(row, 0)).collect::<Result<_, _>>().context(self)
    }

    async fn create(&self, connection: &mut PgConnection, wanted: &NewSubscription, head: &Place) -> Result<()> {
        let handler = &*wanted.id.handler;
        let mut old = self.partitions(connection, handler).await?;
        if old.places.is_empty() {
            for alias in &wanted.aliases {
                if !self.partitions(connection, alias).await?.places.is_empty() {
                    self.rename(connection, alias, handler).await?;
                    old = self.partitions(connection, handler).await?;
                    break;
                }
            }
        }
        let partitions = wanted.partitions.max(1);
        if old.places.len() == usize::from(partitions) || old.live {
            return Ok(());
        }
        match least(&old.places) {
            Some(place) => {
                for statement in [INSERT, ALIGN] {
                    self.place_at(connection, statement, handler, partitions, &place).await?;
                }
                self.query(SURPLUS)
                    .bind(handler.to_owned())
                    .bind(i32::from(partitions))
                    .execute(connection)
                    .await
                    .context(self)?;
                Ok(())
            }
            None => {
                let beginning = Place { after: 0, seen: None, target: None };
                let place = match wanted.start {
                    StartAt::Beginning => beginning,
                    StartAt::Head => head.clone(),
                    StartAt::Least => least(&self.all_places(connection).await?).unwrap_or(beginning),
                };
                self.place_at(connection, INSERT, handler, partitions, &place).await
            }
        }
    }

    async fn place_at(
        &self,
        connection: &mut PgConnection,
        statement: &str,
        handler: &str,
        partitions: u16,
        place: &Place,
    ) -> Result<()> {
        self.query(statement)
            .bind(handler.to_owned())
            .bind(i32::from(partitions))
            .bind(place.after)
            .bind(place.seen.as_ref().map(|seen| seen.0.to_string()))
            .bind(place.target.as_ref().map(|target| target.snapshot.0.to_string()))
            .bind(place.target.as_ref().map(|target| target.head))
            .bind(place.target.as_ref().map(|target| target.wide))
            .execute(connection)
            .await
            .context(self)?;
        Ok(())
    }

    async fn rename(&self, connection: &mut PgConnection, from: &str, to: &str) -> Result<()> {
        // What stands under the new name already, from another life of it, gives way.
        for statement in [
            "DELETE FROM @.event_retry n
              USING @.event_retry o       WHERE n.handler = $1 AND o.handler = $2 AND n.position = o.position",
            "DELETE FROM @.event_dead_letter n
              USING @.event_dead_letter o WHERE n.handler = $1 AND o.handler = $2 AND n.position = o.position",
            "DELETE FROM @.event_inbox n
              USING @.event_inbox o       WHERE n.handler = $1 AND o.handler = $2 AND n.event_id = o.event_id",
            "UPDATE @.event_subscription SET handler = $1 WHERE handler = $2",
            "UPDATE @.event_retry        SET handler = $1 WHERE handler = $2",
            "UPDATE @.event_dead_letter  SET handler = $1 WHERE handler = $2",
            "UPDATE @.event_inbox        SET handler = $1 WHERE handler = $2",
        ] {
            self.query(statement)
                .bind(to.to_owned())
                .bind(from.to_owned())
                .execute(&mut *connection)
                .await
                .context(self)?;
        }
        Ok(())
    }
}

/// The place before which each of these has done everything; `None` if there are none.
fn least(places: &[Place]) -> Option<Place> {
    // Up to a number, all is done: less than any snapshot, since those began at the least of such numbers.
    let first_number = places.iter().filter(|place| place.seen.is_none()).min_by_key(|place| place.after);
    if let Some(place) = first_number {
        return Some(place.clone());
    }
    let seen = |place: &Place| place.seen.clone();
    let earliest = places.iter().filter_map(seen).reduce(|a, b| if b.covers(&a) { a } else { b })?;
    let here = || places.iter().filter(|place| place.seen.as_ref() == Some(&earliest));
    // Within a window only if the others have not left it, or have come past its end.
    let within = here().min_by_key(|place| place.after).filter(|first| {
        let Some(target) = &first.target else { return false };
        places.iter().all(|place| match &place.seen {
            Some(seen) if *seen == earliest => place.target.as_ref() == Some(target),
            Some(seen) => seen.covers(&target.snapshot),
            None => false,
        })
    });
    // Else at its beginning; the last event there is the one a place says that has not set out, or at most the last of a
    // window that leads on from it.
    let fresh = here().find(|place| place.target.is_none()).map(|place| place.after);
    let ends = here().filter_map(|place| Some(place.target.as_ref()?.head)).min();
    let after = fresh.or(ends).unwrap_or(0);
    Some(within.cloned().unwrap_or_else(|| Place::at(earliest.clone(), after)))
}

#[cfg(test)]
mod tests {
    use super::{
        super::{place::Target, snapshot::Snapshot},
        *,
    };

    fn snapshot(text: &str) -> Snapshot {
        Snapshot::parse(text).expect("a snapshot")
    }

    fn within(after: i64, seen: &str, target: &str) -> Place {
        let target = Target { snapshot: snapshot(target), head: 99, wide: false };
        Place { after, seen: Some(snapshot(seen)), target: Some(target) }
    }

    #[test]
    fn the_least_place_has_nothing_behind_it_that_another_has_not_done() {
        let number = |after| Place { after, seen: None, target: None };
        let (early, late, later) = ("10:10:", "20:20:", "30:30:");
        let fresh = |text, after| Place::at(snapshot(text), after);
        assert_eq!(least(&[]), None);
        assert_eq!(least(&[number(7), number(4), fresh(early, 9)]), Some(number(4)));
        assert_eq!(least(&[fresh(late, 9), fresh(early, 5)]), Some(fresh(early, 5)));
        assert_eq!(least(&[within(6, early, late), within(4, early, late)]), Some(within(4, early, late)));
        assert_eq!(least(&[within(6, early, late), fresh(late, 9)]), Some(within(6, early, late)), "past its end");
        assert_eq!(least(&[within(6, early, late), fresh(early, 5)]), Some(fresh(early, 5)), "not begun");
        assert_eq!(least(&[within(6, early, late), within(4, early, later)]), Some(fresh(early, 99)), "other windows");
        assert_eq!(least(&[within(6, early, later), fresh(late, 9)]), Some(fresh(early, 99)), "in the middle of it");
    }
}
