//! A subscription's position: what is done, as snapshots, and how far the way from one to the next has come.
//!
//! In [`Position::window`] it stands as text: `seen`, or `seen target head wide|narrow`. Without a window, `after` alone
//! says what is done: the beginning, or where delivery goes on after a move to another cluster.

use super::snapshot::Snapshot;
use crate::{
    error::{Error, ErrorKind, Result},
    store::record::Position,
};

/// Where a subscription stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// In a window: the last event of it that is done. Else the last event that is visible in `seen`: what stands
    /// behind it is not done, what stands before it may be.
    pub(super) after: i64,
    /// What is visible in it is done; `None`: all up to `after` is.
    pub(super) seen: Option<Snapshot>,
    /// What is being worked through, if that has begun.
    pub(super) target: Option<Target>,
}

/// The far end of a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) snapshot: Snapshot,
    /// The last position that is visible in it.
    pub(super) head: i64,
    /// The window holds so many events that it is read in the order of positions.
    pub(super) wide: bool,
}

impl Place {
    /// Where everything visible in a snapshot is done.
    pub(super) fn at(snapshot: Snapshot, head: i64) -> Self {
        Self { after: head, seen: Some(snapshot), target: None }
    }

    pub(super) fn of(position: &Position) -> Result<Self> {
        let Some(window) = &position.window else {
            return Ok(Self { after: position.after, seen: None, target: None });
        };
        parse(position.after, window).ok_or_else(|| {
            Error::new(
                ErrorKind::Corrupt,
                format!("`{window}` is no position of a PostgreSQL store; was it taken from another store?"),
            )
        })
    }

    pub(super) fn position(&self) -> Position {
        let window = self.seen.as_ref().map(|seen| match &self.target {
            None => seen.0.clone(),
            Some(target) => target.window_from(seen),
        });
        Position { after: self.after, window }
    }
}

impl Target {
    /// The text of a window that leads here; the same for every place within it.
    fn window_from(&self, seen: &Snapshot) -> std::sync::Arc<str> {
        let width = if self.wide { "wide" } else { "narrow" };
        format!("{} {} {} {width}", seen.0, self.snapshot.0, self.head).into()
    }
}

fn parse(after: i64, window: &str) -> Option<Place> {
    let mut words = window.split(' ');
    let seen = Some(Snapshot::parse(words.next()?)?);
    let target = match words.next() {
        None => None,
        Some(target) => Some(Target {
            snapshot: Snapshot::parse(target)?,
            head: words.next()?.parse().ok()?,
            wide: match words.next()? {
                "wide" => true,
                "narrow" => false,
                _ => return None,
            },
        }),
    };
    words.next().is_none().then_some(Place { after, seen, target })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_survives_as_text() {
        let seen = || Snapshot::parse("10:20:12,15").expect("a snapshot");
        let target = |wide| Target { snapshot: Snapshot::parse("15:30:15").expect("a snapshot"), head: 70, wide };
        for place in [
            Place { after: 0, seen: None, target: None },
            Place { after: 7, seen: None, target: None },
            Place::at(seen(), 7),
            Place { after: 7, seen: Some(seen()), target: Some(target(true)) },
            Place { after: 7, seen: Some(Snapshot::nothing()), target: Some(target(false)) },
        ] {
            assert_eq!(Place::of(&place.position()).expect("a place"), place);
        }
        assert_eq!(Place::of(&Position::BEGINNING).expect("a place").position(), Position::BEGINNING);
        for foreign in ["", "0", "10:20: 20:30: 7", "10:20: 20:30: 7 far", "10:20: 20:30: 7 wide more"] {
            let position = Position { after: 1, window: Some(foreign.into()) };
            assert!(Place::of(&position).is_err(), "{foreign}");
        }
    }
}
