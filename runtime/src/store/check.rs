//! What every store refuses to append, in the same words: fields out of range, an id twice, a version out of turn.

use chrono::{DateTime, Datelike, Utc};

use crate::{
    error::{Error, ErrorKind, Result},
    event::{AggregateId, EventMeta},
};

/// Checks what is said about an event: its names and ids have 1 to 255 bytes, its versions count from 1, its time has a
/// year of four digits.
pub(super) fn check(meta: &EventMeta) -> Result<()> {
    check_length(meta, "name", &meta.name)?;
    check_length(meta, "aggregate_type", &meta.aggregate_type)?;
    check_length(meta, "aggregate_id", meta.aggregate_id.as_str())?;
    check_time(meta, meta.occurred_at)?;
    if meta.version == 0 {
        return Err(invalid(meta, "`version` is 0; the version of a payload counts from 1"));
    }
    match meta.aggregate_version {
        Some(0) => Err(invalid(meta, "`aggregate_version` is 0; the first event of an aggregate makes it 1")),
        Some(version) if i64::try_from(version).is_err() => {
            Err(invalid(meta, &format!("`aggregate_version` is {version}; the greatest is {}", i64::MAX)))
        }
        _ => Ok(()),
    }
}

fn check_length(meta: &EventMeta, field: &str, value: &str) -> Result<()> {
    let limit = AggregateId::MAX_BYTES;
    match value.len() {
        0 => Err(invalid(meta, &format!("`{field}` is empty; give it 1 to {limit} bytes"))),
        bytes if bytes > limit => {
            Err(invalid(meta, &format!("`{field}` has {bytes} bytes; shorten it to {limit} or fewer")))
        }
        _ => Ok(()),
    }
}

// RFC 3339 has years of four digits, and only those sort as text.
fn check_time(meta: &EventMeta, time: DateTime<Utc>) -> Result<()> {
    match time.year() {
        0..=9999 => Ok(()),
        year => Err(invalid(meta, &format!("`occurred_at` is in the year {year}; a store keeps the years 0 to 9999"))),
    }
}

/// The error for an event that can't be kept; `problem` names the field, its value and what to do.
pub(super) fn invalid(meta: &EventMeta, problem: &str) -> Error {
    Error::new(ErrorKind::InvalidEvent, format!("event `{}` ({}): {problem}", meta.name, meta.id))
}

/// The error for an event id that is in the log already.
pub(super) fn duplicate(meta: &EventMeta) -> Error {
    invalid(meta, "`id` is in the log already; an event is appended once, under an id of its own")
}

/// The version the log must have for an event to be its aggregate's next; `None` where the aggregate has no versions.
pub(super) fn expected_version(meta: &EventMeta) -> Option<u64> {
    meta.aggregate_version.map(|version| version.saturating_sub(1))
}

/// The error for an aggregate that another writer changed first.
pub(super) fn conflict(meta: &EventMeta, actual: u64) -> Error {
    let expected = expected_version(meta).unwrap_or(0);
    Error::new(
        ErrorKind::Conflict,
        format!(
            "{} `{}` is not at the expected version {expected} any more, its actual version is {actual}; load it again \
             and repeat the operation (event `{}`)",
            meta.aggregate_type, meta.aggregate_id, meta.name
        ),
    )
}
