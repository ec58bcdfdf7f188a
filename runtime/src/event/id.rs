//! The identities an envelope carries: of the event, and of the aggregate it happened to.

use std::fmt;

use uuid::Uuid;

/// The identity of one event: a UUID version 7 (RFC 9562), so ids made later sort later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(Uuid);

impl EventId {
    /// A new id, made from the current time and random bits.
    #[must_use]
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }

    /// The UUID.
    #[must_use]
    pub fn as_uuid(&self) -> Uuid {
        self.0
    }
}

impl From<Uuid> for EventId {
    fn from(uuid: Uuid) -> Self {
        Self(uuid)
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The identity of one aggregate within its type: 1 to 255 bytes of text.
///
/// The length is checked when the event is committed, not here, so that raising an event can't fail.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AggregateId(Box<str>);

impl AggregateId {
    /// The greatest length, in bytes, that a store keeps.
    pub const MAX_BYTES: usize = 255;

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<T: Into<Box<str>>> From<T> for AggregateId {
    fn from(id: T) -> Self {
        Self(id.into())
    }
}

impl fmt::Display for AggregateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A type that can be an aggregate's id: everything with a `Display`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be an aggregate id",
    label = "its text is the id, so it must implement `Display`",
    note = "implement `std::fmt::Display` for `{Self}`"
)]
pub trait ToAggregateId {
    /// The id as text.
    fn to_aggregate_id(&self) -> AggregateId;
}

#[diagnostic::do_not_recommend]
impl<T: fmt::Display + ?Sized> ToAggregateId for T {
    fn to_aggregate_id(&self) -> AggregateId {
        AggregateId(self.to_string().into())
    }
}
