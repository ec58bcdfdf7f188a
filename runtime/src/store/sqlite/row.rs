//! Between rows and the crate's types. Writing is strict; reading takes whatever another program left in a row.
//!
//! A row that was not written by this crate must not stop the log. Where a column that says what the event is can't be
//! read, the envelope says the nearest thing to it (an id made from the position, the year 1970) and **version 0**,
//! which no event has: its deliveries become dead letters, payload untouched. Optional columns that can't be read count
//! as missing.

use std::{borrow::Cow, sync::Arc};

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, SecondsFormat, Utc};
use sqlx::{Row, sqlite::SqliteRow};
use uuid::Uuid;

use crate::{
    event::{AggregateId, Envelope, EventId, EventMeta},
    store::record::{AggregateKey, DeadLetter, DeadLetterId, DeadReason, Parked, ParkedState},
};

/// The columns [`envelope`] reads, in its order.
macro_rules! event_columns {
    ($id:literal) => {
        concat!(
            "position, ",
            $id,
            ", aggregate_type, aggregate_id, aggregate_version, event_name, event_version, occurred_at, recorded_at, ",
            "correlation_id, causation_id, trace, payload"
        )
    };
}
pub(super) use event_columns;

/// How many columns that are.
const EVENT_COLUMNS: usize = 13;

/// The columns [`parked`] reads, in its order.
macro_rules! retry_columns {
    () => {
        "position, event_id, aggregate_type, aggregate_id, state, attempts, next_at, error"
    };
}
pub(super) use retry_columns;

/// A time as it is stored: RFC 3339, UTC, nine decimals, so that it sorts as text. One outside of the years 0 to 9999
/// becomes the nearest within.
pub(super) fn time_text(time: DateTime<Utc>) -> String {
    let time = match time.year() {
        0..=9999 => time,
        year => {
            let (year, month, day) = if year < 0 { (0, 1, 1) } else { (9999, 12, 31) };
            let date = NaiveDate::from_ymd_opt(year, month, day).unwrap_or_default();
            date.and_time(NaiveTime::MIN).and_utc()
        }
    };
    time.to_rfc3339_opts(SecondsFormat::Nanos, true)
}

fn parse_time(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc())
}

/// A text column as far as it can be read; the flag says whether all of it could.
fn text(row: &SqliteRow, column: usize) -> Result<(Cow<'_, str>, bool), sqlx::Error> {
    // Not `&str`: that fails for text that is not UTF-8, which SQLite does not check.
    let bytes: Option<&[u8]> = row.try_get_unchecked(column)?;
    let text = String::from_utf8_lossy(bytes.unwrap_or_default());
    let whole = bytes.is_some() && matches!(text, Cow::Borrowed(_));
    Ok((text, whole))
}

fn optional<T>(row: &SqliteRow, column: usize, parse: impl Fn(&str) -> Option<T>) -> Result<Option<T>, sqlx::Error> {
    let (text, whole) = text(row, column)?;
    Ok(if whole { parse(&text) } else { None })
}

fn integer(row: &SqliteRow, column: usize) -> Result<Option<i64>, sqlx::Error> {
    row.try_get_unchecked(column)
}

fn count(row: &SqliteRow, column: usize) -> Result<u32, sqlx::Error> {
    Ok(integer(row, column)?.map_or(0, |count| u32::try_from(count.max(0)).unwrap_or(u32::MAX)))
}

/// The event in a row of `event_columns!`.
pub(super) fn envelope(row: &SqliteRow) -> Result<Envelope, sqlx::Error> {
    let position = integer(row, 0)?.unwrap_or(0);
    let id = optional(row, 1, |text| Uuid::parse_str(text).ok())?;
    let (aggregate_type, type_whole) = text(row, 2)?;
    let (aggregate_id, id_whole) = text(row, 3)?;
    let (name, name_whole) = text(row, 5)?;
    let version = integer(row, 6)?.and_then(|version| u32::try_from(version).ok());
    let occurred_at = optional(row, 7, parse_time)?;

    let readable = id.is_some() && occurred_at.is_some() && type_whole && id_whole && name_whole;
    let mut meta = EventMeta::new(
        EventId::from(id.unwrap_or_else(|| stand_in(position))),
        name.into_owned(),
        version.filter(|_| readable).unwrap_or(0),
        aggregate_type.into_owned(),
        AggregateId::from(aggregate_id.into_owned()),
        occurred_at.unwrap_or_default(),
    );
    meta.aggregate_version = integer(row, 4)?.and_then(|version| u64::try_from(version).ok());
    meta.position = Some(position);
    meta.recorded_at = Some(optional(row, 8, parse_time)?.unwrap_or_default());
    meta.correlation_id = optional(row, 9, |text| Uuid::parse_str(text).ok())?;
    meta.causation_id = optional(row, 10, |text| Uuid::parse_str(text).ok())?;
    meta.trace = optional(row, 11, |text| Some(text.to_owned()))?;

    let payload: Option<&[u8]> = row.try_get_unchecked(12)?;
    Ok(Envelope::new(meta, payload.unwrap_or_default().to_vec()))
}

/// The name and version in a row of these two.
pub(super) fn kind(row: &SqliteRow) -> Result<(String, u32), sqlx::Error> {
    let version = integer(row, 1)?.and_then(|version| u32::try_from(version).ok());
    Ok((text(row, 0)?.0.into_owned(), version.unwrap_or(0)))
}

/// The id of an event whose own can't be read: different for every row, so that handling one does not look as if all
/// had been handled.
fn stand_in(position: i64) -> Uuid {
    Uuid::from_u128(u128::from(position.unsigned_abs()))
}

/// The parked delivery in a row of `retry_columns!`.
pub(super) fn parked(row: &SqliteRow) -> Result<Parked, sqlx::Error> {
    let position = integer(row, 0)?.unwrap_or(0);
    Ok(Parked {
        position,
        event: optional(row, 1, |text| Uuid::parse_str(text).ok())?.unwrap_or_else(|| stand_in(position)).into(),
        aggregate: AggregateKey {
            aggregate_type: text(row, 2)?.0.into(),
            aggregate_id: AggregateId::from(text(row, 3)?.0.into_owned()),
        },
        state: parse_state(&text(row, 4)?.0),
        attempts: count(row, 5)?,
        next_at: optional(row, 6, parse_time)?.unwrap_or_default(),
        error: optional(row, 7, |text| Some(text.to_owned()))?,
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

/// The dead letter in a row of `event_columns!("event_id")`, then `id, handler, attempts, reason, error, dead_at`.
pub(super) fn dead_letter(row: &SqliteRow) -> Result<DeadLetter, sqlx::Error> {
    let handler: Arc<str> = text(row, EVENT_COLUMNS + 1)?.0.into();
    let attempts = count(row, EVENT_COLUMNS + 2)?;
    let reason = DeadReason::parse(&text(row, EVENT_COLUMNS + 3)?.0);
    let error = text(row, EVENT_COLUMNS + 4)?.0.into_owned();
    let at = optional(row, EVENT_COLUMNS + 5, parse_time)?.unwrap_or_default();
    let mut letter = DeadLetter::new(handler, envelope(row)?, attempts, reason, error, at);
    letter.id = DeadLetterId(optional(row, EVENT_COLUMNS, |text| Uuid::parse_str(text).ok())?.unwrap_or_default());
    Ok(letter)
}
