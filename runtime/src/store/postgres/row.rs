//! Between rows and the crate's types. PostgreSQL checks the types of what other programs write; what it can't check (a
//! negative version) becomes **version 0**, which no event has: its deliveries become dead letters, payload untouched.

use std::sync::Arc;

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, Utc};
use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

use crate::{
    event::{AggregateId, Envelope, EventId, EventMeta},
    store::record::{AggregateKey, DeadLetter, DeadLetterId, DeadReason, Parked, ParkedState},
};

/// The columns [`envelope`] reads, in its order.
macro_rules! event_columns {
    ($id:literal, $payload:literal) => {
        concat!(
            "position, ",
            $id,
            ", aggregate_type, aggregate_id, aggregate_version, event_name, event_version, occurred_at, recorded_at, ",
            "correlation_id, causation_id, trace, ",
            $payload
        )
    };
}
pub(super) use event_columns;

/// How many columns that are.
pub(super) const EVENT_COLUMNS: usize = 13;

/// The columns [`parked`] reads, in its order.
macro_rules! retry_columns {
    () => {
        "position, event_id, aggregate_type, aggregate_id, state, attempts, next_at, error"
    };
}
pub(super) use retry_columns;

/// A time that PostgreSQL can keep: of the years 0 to 9999, to the microsecond.
pub(super) fn time(time: DateTime<Utc>) -> DateTime<Utc> {
    let nearest = |year, month, day| {
        NaiveDate::from_ymd_opt(year, month, day).unwrap_or_default().and_time(NaiveTime::MIN).and_utc()
    };
    match time.year() {
        0..=9999 => time,
        year if year < 0 => nearest(0, 1, 1),
        _ => nearest(9999, 12, 31),
    }
}

fn count(number: i64) -> u32 {
    u32::try_from(number.max(0)).unwrap_or(u32::MAX)
}

/// The event in a row of `event_columns!`; the payload is read as bytes, so a column of text is asked for as `bytea` or
/// in a form whose bytes are the text.
pub(super) fn envelope(row: &PgRow) -> Result<Envelope, sqlx::Error> {
    let version: i64 = row.try_get(6)?;
    let aggregate_version: Option<i64> = row.try_get(4)?;
    let mut meta = EventMeta::new(
        EventId::from(row.try_get::<Uuid, _>(1)?),
        row.try_get::<String, _>(5)?,
        u32::try_from(version).unwrap_or(0),
        row.try_get::<String, _>(2)?,
        AggregateId::from(row.try_get::<String, _>(3)?),
        row.try_get(7)?,
    );
    meta.aggregate_version = aggregate_version.and_then(|version| u64::try_from(version).ok());
    meta.position = Some(row.try_get(0)?);
    meta.recorded_at = row.try_get(8)?;
    meta.correlation_id = row.try_get(9)?;
    meta.causation_id = row.try_get(10)?;
    meta.trace = row.try_get(11)?;
    // `text` and `bytea` are sent as their bytes.
    let payload: &[u8] = row.try_get_unchecked(12)?;
    Ok(Envelope::new(meta, payload.to_vec()))
}

/// The parked delivery in a row of `retry_columns!`.
pub(super) fn parked(row: &PgRow) -> Result<Parked, sqlx::Error> {
    Ok(Parked {
        position: row.try_get(0)?,
        event: EventId::from(row.try_get::<Uuid, _>(1)?),
        aggregate: AggregateKey {
            aggregate_type: row.try_get::<&str, _>(2)?.into(),
            aggregate_id: AggregateId::from(row.try_get::<String, _>(3)?),
        },
        state: parse_state(row.try_get(4)?),
        attempts: count(row.try_get(5)?),
        next_at: row.try_get(6)?,
        error: row.try_get(7)?,
    })
}

/// The state of a parked delivery as it is stored.
pub(super) fn state_text(state: ParkedState) -> &'static str {
    match state {
        ParkedState::Waiting => "waiting",
        ParkedState::Retrying => "retrying",
        ParkedState::Running => "running",
        ParkedState::Dead => "dead",
    }
}

fn parse_state(text: &str) -> ParkedState {
    match text {
        "waiting" => ParkedState::Waiting,
        "running" => ParkedState::Running,
        "dead" => ParkedState::Dead,
        _ => ParkedState::Retrying,
    }
}

/// The dead letter in a row of `event_columns!`, then `id, handler, attempts, reason, error, dead_at`.
pub(super) fn dead_letter(row: &PgRow) -> Result<DeadLetter, sqlx::Error> {
    let handler: Arc<str> = row.try_get::<&str, _>(EVENT_COLUMNS + 1)?.into();
    let attempts = count(row.try_get(EVENT_COLUMNS + 2)?);
    let reason = DeadReason::parse(row.try_get(EVENT_COLUMNS + 3)?);
    let error = row.try_get(EVENT_COLUMNS + 4)?;
    let at = row.try_get(EVENT_COLUMNS + 5)?;
    let mut letter = DeadLetter::new(handler, envelope(row)?, attempts, reason, error, at);
    letter.id = DeadLetterId(row.try_get(EVENT_COLUMNS)?);
    Ok(letter)
}
