//! The server's answers, read without copying a body.

use std::fmt;

use redis::{RedisWrite, ToRedisArgs, Value};

/// The id of an entry: milliseconds and a number within them. They grow in a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Id(u64, u64);

impl Id {
    /// Before all entries.
    pub(super) const ZERO: Self = Self(0, 0);

    /// Reads one.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let (at, number) = std::str::from_utf8(text).ok()?.split_once('-')?;
        Some(Self(at.parse().ok()?, number.parse().ok()?))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.0, self.1)
    }
}

impl ToRedisArgs for Id {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        out.write_arg_fmt(self);
    }
}

/// An entry of a stream; without fields where it was trimmed before it was settled.
pub(super) struct Entry {
    pub(super) id: Id,
    pub(super) fields: Option<Vec<Value>>,
}

/// What `XREADGROUP` answers: entries by the stream's key.
pub(super) fn by_stream(value: Value) -> Vec<(String, Vec<Entry>)> {
    list(value)
        .into_iter()
        .filter_map(|stream| {
            let mut parts = list(stream).into_iter();
            Some((text(parts.next()?)?, entries(parts.next()?)))
        })
        .collect()
}

/// What `XRANGE` answers.
pub(super) fn entries(value: Value) -> Vec<Entry> {
    list(value)
        .into_iter()
        .filter_map(|entry| {
            let mut parts = list(entry).into_iter();
            let id = Id::parse(&bytes(parts.next()?))?;
            let fields = match parts.next() {
                Some(Value::Array(fields)) => Some(fields),
                _ => None,
            };
            Some(Entry { id, fields })
        })
        .collect()
}

/// What `XPENDING` with a range answers: how often each entry was delivered.
pub(super) fn pending(value: Value) -> Vec<(Id, u32)> {
    list(value)
        .into_iter()
        .filter_map(|row| {
            let mut parts = list(row).into_iter();
            let id = Id::parse(&bytes(parts.next()?))?;
            match parts.nth(2)? {
                Value::Int(times) => Some((id, u32::try_from(times).unwrap_or(u32::MAX))),
                _ => None,
            }
        })
        .collect()
}

/// Names and values that follow one another.
pub(super) fn pairs(fields: Vec<Value>) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
    let mut fields = fields.into_iter();
    std::iter::from_fn(move || Some((bytes(fields.next()?), bytes(fields.next()?))))
}

fn list(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items,
        _ => Vec::new(),
    }
}

fn bytes(value: Value) -> Vec<u8> {
    match value {
        Value::BulkString(bytes) => bytes,
        Value::SimpleString(text) => text.into_bytes(),
        Value::Int(number) => number.to_string().into_bytes(),
        _ => Vec::new(),
    }
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}
