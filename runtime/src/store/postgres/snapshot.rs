//! A snapshot in its text form, `xmin:xmax:xip,..`: every transaction below `xmin` is over, none from `xmax` on is, and
//! of those between, the listed ones are not.

use std::sync::Arc;

/// The text of a snapshot, as PostgreSQL writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Snapshot(pub(super) Arc<str>);

/// Nothing is visible in it.
pub(super) const NOTHING: &str = "1:1:";

impl Snapshot {
    pub(super) fn nothing() -> Self {
        Self(NOTHING.into())
    }

    pub(super) fn is_nothing(&self) -> bool {
        &*self.0 == NOTHING
    }

    /// `None` if it is no snapshot.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let snapshot = Self(text.into());
        let mut parts = text.splitn(3, ':');
        let number = |part: Option<&str>| part?.parse::<u64>().ok();
        let (xmin, xmax) = (number(parts.next())?, number(parts.next())?);
        let listed = parts.next()?;
        let sound = listed.is_empty() || listed.split(',').all(|xid| xid.parse::<u64>().is_ok());
        (xmin <= xmax && sound).then_some(snapshot)
    }

    /// The first transaction id that was not given out yet.
    pub(super) fn xmax(&self) -> u64 {
        self.0.split(':').nth(1).and_then(|xmax| xmax.parse().ok()).unwrap_or(0)
    }

    /// The transactions that were under way.
    pub(super) fn open(&self) -> impl Iterator<Item = u64> + '_ {
        let listed = self.0.split(':').nth(2).unwrap_or_default();
        listed.split(',').filter_map(|xid| xid.parse().ok())
    }

    /// Whether everything that is visible in `earlier` is visible in this one too: true for two snapshots of one server
    /// if and only if this one was not taken before the other.
    pub(super) fn covers(&self, earlier: &Self) -> bool {
        let horizon = earlier.xmax();
        self.xmax() >= horizon
            && self.open().filter(|xid| *xid < horizon).all(|xid| earlier.open().any(|open| open == xid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(text: &str) -> Snapshot {
        Snapshot::parse(text).expect("a snapshot")
    }

    #[test]
    fn only_snapshots_are_read() {
        for text in ["1:1:", "10:20:10,14,15", "5:5:"] {
            assert_eq!(snapshot(text).0.as_ref(), text);
        }
        for text in ["", "1", "1:2", "a:b:", "1:2:x", "3:2:", "1:2:1,,"] {
            assert!(Snapshot::parse(text).is_none(), "{text}");
        }
        assert_eq!(snapshot("10:20:10,14").open().collect::<Vec<_>>(), [10, 14]);
        assert_eq!(snapshot("10:20:").open().count(), 0);
        assert!(Snapshot::nothing().is_nothing() && !snapshot("5:5:").is_nothing());
    }

    #[test]
    fn a_later_snapshot_covers_an_earlier_one() {
        let (early, later) = (snapshot("10:20:10,14"), snapshot("14:25:14,22"));
        assert!(later.covers(&early) && !early.covers(&later) && early.covers(&early));
        assert!(!snapshot("10:20:10,14").covers(&snapshot("10:20:10")), "14 is over in the other one");
        assert!(later.covers(&Snapshot::nothing()));
    }
}
