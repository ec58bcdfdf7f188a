//! How far a relay has published, and when that is written down.

use std::time::{Duration, Instant};

use crate::store::record::Position;

/// How long a position may wait to be written down while more is published.
const KEEP: Duration = Duration::from_millis(50);

/// The position behind what is confirmed and not written down, if there is one, and until when it shall be.
#[derive(Default)]
pub(super) struct Reached(Option<(Position, Instant)>);

impl Reached {
    /// All up to here is confirmed.
    pub(super) fn reach(&mut self, position: Position) {
        let until = self.0.take().map_or_else(|| Instant::now() + KEEP, |(_, until)| until);
        self.0 = Some((position, until));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Whether there is something to write down, and it is due or everything is.
    pub(super) fn is_due(&self, everything: bool) -> bool {
        self.0.as_ref().is_some_and(|(_, until)| everything || *until <= Instant::now())
    }

    /// To be written down now.
    pub(super) fn take(&mut self) -> Option<Position> {
        self.0.take().map(|(position, _)| position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_waits_no_longer_because_others_follow() {
        let mut reached = Reached::default();
        reached.reach(Position::default());
        let until = reached.0.as_ref().map(|(_, until)| *until);
        assert!(reached.is_due(true) && !reached.is_empty());
        reached.reach(Position::default());
        assert_eq!(reached.0.as_ref().map(|(_, until)| *until), until);
        reached.0 = Some((Position::default(), Instant::now()));
        assert!(reached.is_due(false));
        assert!(reached.take().is_some() && reached.is_empty() && !reached.is_due(true));
    }
}
