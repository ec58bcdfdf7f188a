//! Reading the log without skipping and without stalling.
//!
//! Transactions become visible in another order than they drew positions and transaction ids, so a number can't say what
//! was read. A pair of snapshots can: in a window from `seen` to `target` stand the events that are visible in `target`
//! and not in `seen`. Those come in the order of positions; when they are done, `target` becomes the new `seen`. An
//! aggregate's order is kept, since whoever writes to it second waits for the first, and so draws a later position and
//! becomes visible later.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, Row, postgres::PgRow};

use super::{
    PostgresStore,
    error::Context,
    place::{Place, Target},
    row::{EVENT_COLUMNS, envelope, event_columns},
    snapshot::Snapshot,
};
use crate::{
    error::{Error, ErrorKind, Result},
    event::Envelope,
    store::record::{Page, Position},
};

/// A window with more events than this is read in the order of positions, page by page; one with fewer by transaction,
/// all of it for each page. Either way on the wrong window would be quadratic.
const NARROW: i64 = 4_096;

/// How many rows a scan looks at, at first and at most, while none is in the window: those of a transaction that was
/// open for long lie far back.
const STRIDE: usize = 512;
const LONGEST_STRIDE: usize = 16_384;

/// One look at the server: what is visible, and how many events the window from `seen` holds (its `xmax` is `$1`, its
/// open transactions `$2`).
///
/// The open ones are looked up one by one, here and below. Asked for `tx = ANY (..)`, a server that made its plan when the
/// log was empty goes through all events of the epoch, until the log is analyzed.
const LOOK: &str = "
    SELECT pg_current_snapshot()::text,
           greatest(coalesce((SELECT max(position) FROM @.event_log), 0), trimmed.value),
           epoch.value,
           cluster.value = control.system_identifier,
           (SELECT since FROM @.event_server_run),
           (SELECT count(*) FROM (SELECT 1
                                    FROM @.event_log
                                   WHERE epoch = epoch.value AND tx >= $1::text::xid8
                                   ORDER BY tx
                                   LIMIT $3) fresh),
           (SELECT count(*) FROM (SELECT 1
                                    FROM unnest($2::text[]) open (tx),
                                         LATERAL (SELECT 1
                                                    FROM @.event_log l
                                                   WHERE l.epoch = epoch.value AND l.tx = open.tx::xid8
                                                  OFFSET 0) l
                                   LIMIT $3) late)
      FROM @.event_meta trimmed, @.event_meta epoch, @.event_meta cluster, pg_control_system() control
     WHERE trimmed.key = 'trimmed_to' AND epoch.key = 'epoch' AND cluster.key = 'cluster'";

/// Behind which position the events of a wide window stand. Not behind all that was visible in `seen`: a transaction has
/// an id, and may have drawn positions, long before it is over, and a snapshot does not list those from its `xmax` on.
const FIRST: &str = "
    SELECT coalesce(min(position) - 1, 0)
      FROM (SELECT position
              FROM @.event_log
             WHERE epoch = $1 AND tx >= $2::text::xid8
             UNION ALL
            SELECT l.position
              FROM unnest($3::text[]) open (tx),
                   LATERAL (SELECT position FROM @.event_log WHERE epoch = $1 AND tx = open.tx::xid8 OFFSET 0) l
            OFFSET 0) ahead";

/// A narrow window: the few events of transactions that came after `seen`, or were open then.
const NARROW_WINDOW: &str = concat!(
    "SELECT ",
    event_columns!("id", "payload::text"),
    "  FROM (SELECT *
               FROM @.event_log
              WHERE epoch = $1 AND tx >= $2::text::xid8 AND tx < $3::text::xid8 AND position > $5
              UNION ALL
             SELECT l.*
               FROM unnest($4::text[]) open (tx),
                    LATERAL (SELECT *
                               FROM @.event_log
                              WHERE epoch = $1 AND tx = open.tx::xid8 AND position > $5
                             OFFSET 0) l) e
      WHERE pg_visible_in_snapshot(tx, $6::text::pg_snapshot)
      ORDER BY position
      LIMIT $7"
);

/// A wide window: a stretch of the log in the order of positions; the last column says whether the event is in the
/// window. Rows of older epochs are visible in every snapshot but the one in which nothing is (`$2`).
const WIDE_WINDOW: &str = concat!(
    "SELECT ",
    event_columns!("id", "CASE WHEN wanted THEN payload::text ELSE '' END"),
    ", wanted
       FROM (SELECT e.*,
                    (e.epoch < $1 OR pg_visible_in_snapshot(e.tx, $3::text::pg_snapshot))
                        AND ($2 OR (e.epoch = $1 AND NOT pg_visible_in_snapshot(e.tx, $4::text::pg_snapshot)))
                    AS wanted
               FROM @.event_log e
              WHERE e.position > $5
              ORDER BY e.position
              LIMIT $6) e
      ORDER BY position"
);

/// What one look at the server found.
struct Look {
    snapshot: Snapshot,
    head: i64,
    epoch: i64,
    run: DateTime<Utc>,
    /// Events that are not in `seen`; not counted much further than [`NARROW`].
    ahead: i64,
}

/// A stretch of a window.
struct Stretch {
    events: Vec<Envelope>,
    /// How far the window was looked at.
    reached: i64,
    /// There is nothing more in it.
    complete: bool,
}

impl PostgresStore {
    pub(super) async fn head_place(&self) -> Result<Place> {
        let mut own = self.own().await?;
        let look = self.look(&mut own, None).await?;
        Ok(Place::at(look.snapshot, look.head))
    }

    pub(super) async fn read_page(&self, position: &Position, limit: usize) -> Result<Page> {
        let limit = limit.max(1);
        let mut place = Place::of(position)?;
        let mut own = self.own().await?;
        let mut look = self.look(&mut own, place.target.is_none().then_some(&place)).await?;
        if let Some(target) = place.target.clone() {
            let stretch = self.stretch(&mut own, &look, &place, &target, limit).await?;
            if !stretch.events.is_empty() || !stretch.complete {
                // Since this window was opened, there may be another one.
                return Ok(page(&place, &target, stretch, true));
            }
            place = Place::at(target.snapshot, target.head);
            look = self.look(&mut own, Some(&place)).await?;
        }
        let nothing = Page { end: place.position(), ..Page::default() };
        let (wide, start) = match &place.seen {
            None if look.head > place.after => (true, place.after),
            Some(seen) if look.ahead > NARROW => (true, self.first(&mut own, &look, seen).await?),
            Some(_) if look.ahead > 0 => (false, 0),
            _ => return Ok(nothing),
        };
        let newest = Target { snapshot: look.snapshot.clone(), head: look.head, wide };
        for target in self.recent_target(&place, &look, wide).into_iter().chain([newest]) {
            let place = Place { after: start, seen: place.seen.clone(), target: Some(target.clone()) };
            let stretch = self.stretch(&mut own, &look, &place, &target, limit).await?;
            if !stretch.events.is_empty() || !stretch.complete {
                self.remember_target(&look, &target);
                let more = !stretch.complete || target.snapshot != look.snapshot;
                return Ok(page(&place, &target, stretch, more));
            }
        }
        // A position that moves for nothing would be written down for nothing, and so move the next one.
        Ok(nothing)
    }

    async fn look(&self, connection: &mut PgConnection, place: Option<&Place>) -> Result<Look> {
        let seen = place.and_then(|place| place.seen.as_ref());
        let open: Vec<String> = seen.map(|seen| seen.open().map(|xid| xid.to_string()).collect()).unwrap_or_default();
        let row = self
            .query(LOOK)
            .bind(seen.map(|seen| seen.xmax().to_string()))
            .bind(open)
            .bind(NARROW + 1)
            .fetch_one(&mut *connection)
            .await
            .context(self)?;
        let same_cluster: bool = row.try_get(3).context(self)?;
        let run: Option<DateTime<Utc>> = row.try_get(4).context(self)?;
        let (true, Some(run)) = (same_cluster, run) else {
            self.settle().await?;
            let message = format!(
                "PostgreSQL at `{}`: the server has crashed or was replaced; read on from the stored position",
                self.shared.place
            );
            return Err(Error::new(ErrorKind::Unavailable, message));
        };
        let snapshot: &str = row.try_get(0).context(self)?;
        let read = || {
            Ok(Look {
                snapshot: Snapshot(snapshot.into()),
                head: row.try_get(1)?,
                epoch: row.try_get(2)?,
                run,
                ahead: row.try_get::<i64, _>(5)? + row.try_get::<i64, _>(6)?,
            })
        };
        read().context(self)
    }

    async fn first(&self, connection: &mut PgConnection, look: &Look, seen: &Snapshot) -> Result<i64> {
        let row = self
            .query(FIRST)
            .bind(look.epoch)
            .bind(seen.xmax().to_string())
            .bind(seen.open().map(|xid| xid.to_string()).collect::<Vec<_>>())
            .fetch_one(connection)
            .await;
        row.and_then(|row| row.try_get(0)).context(self)
    }

    async fn stretch(
        &self,
        connection: &mut PgConnection,
        look: &Look,
        place: &Place,
        target: &Target,
        limit: usize,
    ) -> Result<Stretch> {
        let seen = place.seen.clone().unwrap_or_else(Snapshot::nothing);
        if !target.wide {
            return self.narrow(connection, look, place.after, (&seen, target), limit).await;
        }
        let (mut reached, mut stride) = (place.after, limit.max(STRIDE));
        loop {
            let stretch = self.wide(connection, look, reached, (&seen, target), (limit, stride)).await?;
            if !stretch.events.is_empty() || stretch.complete || stride >= LONGEST_STRIDE {
                return Ok(stretch);
            }
            (reached, stride) = (stretch.reached, stride * 2);
        }
    }

    async fn narrow(
        &self,
        connection: &mut PgConnection,
        look: &Look,
        after: i64,
        (seen, target): (&Snapshot, &Target),
        limit: usize,
    ) -> Result<Stretch> {
        let rows = self
            .query(NARROW_WINDOW)
            .bind(look.epoch)
            .bind(seen.xmax().to_string())
            .bind(target.snapshot.xmax().to_string())
            .bind(seen.open().map(|xid| xid.to_string()).collect::<Vec<_>>())
            .bind(after)
            .bind(target.snapshot.0.to_string())
            .bind(super::limited(limit))
            .fetch_all(connection)
            .await
            .context(self)?;
        let events: Vec<Envelope> = rows.iter().map(envelope).collect::<Result<_, _>>().context(self)?;
        let reached = events.last().and_then(|event| event.meta.position).unwrap_or(after);
        Ok(Stretch { complete: events.len() < limit, events, reached })
    }

    async fn wide(
        &self,
        connection: &mut PgConnection,
        look: &Look,
        after: i64,
        (seen, target): (&Snapshot, &Target),
        (limit, stride): (usize, usize),
    ) -> Result<Stretch> {
        let rows = self
            .query(WIDE_WINDOW)
            .bind(look.epoch)
            .bind(seen.is_nothing())
            .bind(target.snapshot.0.to_string())
            .bind(seen.0.to_string())
            .bind(after)
            .bind(super::limited(stride))
            .fetch_all(connection)
            .await
            .context(self)?;
        let wanted = |row: &&PgRow| row.try_get::<bool, _>(EVENT_COLUMNS).unwrap_or(true);
        let mut found: Vec<&PgRow> = rows.iter().filter(wanted).collect();
        let cut = found.len() > limit;
        found.truncate(limit);
        let last = if cut { found.last().copied() } else { rows.last() };
        let reached = last.map(|row| row.try_get(0)).transpose().context(self)?.unwrap_or(after);
        let events = found.into_iter().map(envelope).collect::<Result<_, _>>().context(self)?;
        Ok(Stretch { events, reached, complete: !cut && (rows.len() < stride || reached >= target.head) })
    }

    /// The target that another subscription of this process was given last, if it leads on from here: those that are
    /// caught up come to stand at the same place, and from then on share what is read.
    fn recent_target(&self, place: &Place, look: &Look, wide: bool) -> Option<Target> {
        let (run, recent) = self.last_target().clone()?;
        let leads_on = recent.snapshot != look.snapshot
            && look.snapshot.covers(&recent.snapshot)
            && place.seen.as_ref().is_some_and(|seen| *seen != recent.snapshot && recent.snapshot.covers(seen));
        (run == look.run && leads_on).then_some(Target { wide, ..recent })
    }

    fn remember_target(&self, look: &Look, target: &Target) {
        *self.last_target() = Some((look.run, target.clone()));
    }

    pub(super) fn forget_target(&self) {
        *self.last_target() = None;
    }

    fn last_target(&self) -> std::sync::MutexGuard<'_, Option<(DateTime<Utc>, Target)>> {
        self.shared.last_target.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn page(place: &Place, target: &Target, stretch: Stretch, more: bool) -> Page {
    let within = |after| Place {
        after,
        seen: Some(place.seen.clone().unwrap_or_else(Snapshot::nothing)),
        target: Some(target.clone()),
    };
    let end = match stretch.complete {
        true => Place::at(target.snapshot.clone(), target.head),
        false => within(stretch.reached),
    };
    let end = end.position();
    // One text for all of them, and one pointer.
    let window = within(place.after).position().window;
    let positions = stretch.events.iter().filter_map(|event| event.meta.position);
    let mut resume: Vec<Position> = positions.map(|after| Position { after, window: window.clone() }).collect();
    if let Some(last) = resume.last_mut() {
        *last = end.clone();
    }
    Page { events: stretch.events, resume, end, more }
}
