//! Why a delivery of an event was given up on: the same words in every store and on every broker.

use std::fmt;

/// Why a delivery was given up on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DeadReason {
    /// All attempts failed.
    AttemptsUsedUp,
    /// The handler said that trying again can't help.
    Permanent,
    /// The payload does not decode to the event.
    Undecodable,
    /// No event of this name is linked in.
    UnknownEvent,
    /// The event is known, this version of it is not.
    UnknownVersion,
    /// Its attempts ended with the end of their process.
    Crashed,
    /// It stands behind a dead letter of its aggregate, and its handler asks for that to wait (`on_dead = "park"`). Only
    /// where a broker delivers: a log parks it.
    Parked,
    /// A `once` handler's process ended during the attempt: whether its effect happened is not known.
    Interrupted,
}

impl DeadReason {
    /// The reason as it is stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AttemptsUsedUp => "attempts used up",
            Self::Permanent => "permanent",
            Self::Undecodable => "undecodable payload",
            Self::UnknownEvent => "unknown event",
            Self::UnknownVersion => "unknown version",
            Self::Crashed => "crashed its process",
            Self::Parked => "behind a dead letter",
            Self::Interrupted => "interrupted",
        }
    }

    /// The reason from its stored form; an unknown one counts as attempts used up.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        [
            Self::Permanent,
            Self::Undecodable,
            Self::UnknownEvent,
            Self::UnknownVersion,
            Self::Crashed,
            Self::Parked,
            Self::Interrupted,
        ]
        .into_iter()
        .find(|reason| reason.as_str() == text)
        .unwrap_or(Self::AttemptsUsedUp)
    }
}

impl fmt::Display for DeadReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
