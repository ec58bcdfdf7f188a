//! How far one partition is, and how many processes ended over what is in it. Kafka does not count deliveries: whoever has
//! the partition counts itself in a [`Note`] beside the group's offset before it hands anything out, and takes itself out
//! again when it leaves in good order.

use std::{collections::BTreeMap, fmt, str::FromStr, sync::Arc};

use crate::transport::record::{Incoming, Tag};

/// What stands beside a committed offset: so many ended without a word while they may have had what is before `reach`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Note {
    deaths: u32,
    reach: i64,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.deaths {
            0 => Ok(()),
            deaths => write!(f, "deaths={deaths} before={}", self.reach),
        }
    }
}

impl FromStr for Note {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (deaths, reach) = text.split_once(' ').ok_or(())?;
        let deaths = deaths.strip_prefix("deaths=").and_then(|deaths| deaths.parse().ok());
        let reach = reach.strip_prefix("before=").and_then(|reach| reach.parse().ok());
        deaths.zip(reach).map(|(deaths, reach)| Self { deaths, reach }).ok_or(())
    }
}

/// How far beyond what was taken a note reaches at least: what comes meanwhile waits for no answer.
const AHEAD: i64 = 4_096;

/// For so many turns a partition without a delivery is still noted as one in which there may be some: a note costs the next
/// delivery a round trip.
const QUIET: u32 = 10;

/// See the module.
#[derive(Default)]
pub(super) struct Progress {
    /// What is not settled.
    pub(super) open: BTreeMap<i64, Open>,
    /// Behind the last record that was taken.
    end: i64,
    /// What the broker was told last.
    told: Option<(i64, Note)>,
    /// What the note said when the partition came, as long as some of it is not settled; none before it was read.
    before: Option<Note>,
    /// Up to where this process may have deliveries, as the broker was told.
    target: i64,
    /// The same, as the broker has confirmed.
    reach: i64,
    /// For so many turns there was nothing in it.
    quiet: u32,
}

/// A record that is not settled.
pub(super) struct Open {
    pub(super) message: Arc<Incoming>,
    /// How often this process took it back.
    pub(super) returned: u32,
    /// None while it waits to be handed out.
    pub(super) tag: Option<Tag>,
}

impl Progress {
    /// A record was taken; whether it is a new one that waits to be handed out.
    pub(super) fn take(&mut self, offset: i64, message: Option<Incoming>) -> bool {
        if self.open.contains_key(&offset) {
            return false;
        }
        self.end = offset + 1;
        let Some(message) = message else { return false };
        self.open.insert(offset, Open { message: Arc::new(message), returned: 0, tag: None });
        true
    }

    /// Everything before is settled.
    fn done(&self) -> i64 {
        self.open.first_key_value().map_or(self.end, |(offset, _)| *offset)
    }

    /// The note that stood there when the partition came.
    pub(super) fn read(&mut self, note: Note) {
        self.before = Some(note);
    }

    pub(super) fn is_read(&self) -> bool {
        self.before.is_some()
    }

    /// How many ended before this one while they may have had the record.
    pub(super) fn deaths(&self, offset: i64) -> u32 {
        self.before.filter(|note| offset < note.reach).map_or(0, |note| note.deaths)
    }

    /// Whether the broker has it that this process may have the record.
    pub(super) fn may_have(&self, offset: i64) -> bool {
        offset < self.reach
    }

    /// Whether the broker is to be told now, since soon nothing more could be handed out.
    pub(super) fn is_short(&self) -> bool {
        self.is_read() && !self.open.is_empty() && self.end + AHEAD / 2 > self.target
    }

    /// What the broker is to be told, if it is something new.
    pub(super) fn telling(&mut self) -> Option<(i64, Note)> {
        let mut before = self.before?;
        self.quiet = if self.open.is_empty() { self.quiet + 1 } else { 0 };
        if self.quiet >= QUIET {
            // Nothing of it is anywhere, nor is what others had.
            (before, self.target, self.reach) = (Note::default(), 0, 0);
        }
        if self.done() >= before.reach {
            before = Note::default();
        }
        self.before = Some(before);
        if self.is_short() {
            self.target = self.end + AHEAD;
        }
        let note = match self.target {
            0 => before,
            target => Note { deaths: before.deaths.saturating_add(1), reach: target.max(before.reach) },
        };
        self.tell(note)
    }

    /// What the broker is told when the partition is given up in good order: this process is none of those who ended.
    pub(super) fn leaving(&mut self) -> Option<(i64, Note)> {
        let before = self.before?;
        self.tell(if self.done() < before.reach { before } else { Note::default() })
    }

    fn tell(&mut self, note: Note) -> Option<(i64, Note)> {
        let telling = (self.done(), note);
        (self.told.replace(telling) != Some(telling)).then_some(telling)
    }

    /// The broker has heard that.
    pub(super) fn heard(&mut self) {
        self.reach = self.target;
    }

    /// The broker was not told after all.
    pub(super) fn untold(&mut self) {
        self.told = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Option<Incoming> {
        Some(Incoming::default())
    }

    /// A partition with a delivery at offset 10, whose note was read.
    fn begun(note: Note) -> Progress {
        let mut progress = Progress::default();
        assert!(progress.take(10, record()));
        assert_eq!(progress.telling(), None, "what is there is not overwritten before it was read");
        progress.read(note);
        progress
    }

    fn hear(progress: &mut Progress) -> (i64, Note) {
        let told = progress.telling().expect("the broker is to be told");
        progress.heard();
        told
    }

    fn after(deaths: u32) -> Note {
        Note { deaths, reach: 11 + AHEAD }
    }

    #[test]
    fn a_note_is_read_as_it_was_written() {
        let note = Note { deaths: 2, reach: 4_107 };
        assert_eq!(note.to_string(), "deaths=2 before=4107");
        assert_eq!(note.to_string().parse(), Ok(note));
        assert_eq!(Note::default().to_string(), "");
        for foreign in ["", "deaths=x before=1", "deaths=1 before=", "mine"] {
            assert_eq!(foreign.parse::<Note>(), Err(()), "{foreign}");
        }
    }

    #[test]
    fn nothing_is_handed_out_before_the_broker_knows() {
        let mut progress = begun(Note::default());
        assert!(progress.is_short() && !progress.may_have(10));
        let told = progress.telling();
        assert_eq!(told, Some((10, after(1))));
        assert!(!progress.is_short() && !progress.may_have(10), "it was told, and has not answered");
        progress.heard();
        assert!(progress.may_have(10) && progress.may_have(10 + AHEAD) && !progress.may_have(11 + AHEAD));
        assert_eq!(progress.telling(), None, "nothing new");
        progress.take(11 + AHEAD / 2, record());
        assert!(progress.is_short(), "told before the rest is used up");
    }

    #[test]
    fn each_end_without_a_word_is_counted_until_what_it_may_have_had_is_settled() {
        let mut progress = begun(after(1));
        assert_eq!((progress.deaths(10), progress.deaths(10 + AHEAD), progress.deaths(11 + AHEAD)), (1, 1, 0));
        assert_eq!(hear(&mut progress), (10, after(2)));
        progress.take(11, record());
        progress.open.remove(&10);
        assert_eq!(hear(&mut progress), (11, after(2)), "the next one may have been had as well");
        progress.take(11 + AHEAD, record());
        progress.open.remove(&11);
        let (done, note) = hear(&mut progress);
        assert_eq!((done, note.deaths), (11 + AHEAD, 1), "all of it is settled");
        assert_eq!(progress.deaths(11), 0);
    }

    #[test]
    fn who_leaves_in_good_order_is_not_counted() {
        let mut progress = begun(after(1));
        hear(&mut progress);
        assert_eq!(progress.leaving(), Some((10, after(1))));
        let mut progress = begun(Note::default());
        hear(&mut progress);
        assert_eq!(progress.leaving(), Some((10, Note::default())));
    }

    #[test]
    fn a_quiet_partition_is_noted_as_one() {
        let mut progress = begun(after(1));
        hear(&mut progress);
        progress.open.clear();
        let told = (1..QUIET).filter_map(|_| progress.telling()).collect::<Vec<_>>();
        assert_eq!(told, [(11, after(2))]);
        assert_eq!(progress.telling(), Some((11, Note::default())));
        assert!(!progress.may_have(11), "the next one is told of first");
        progress.take(11, record());
        assert_eq!(hear(&mut progress), (11, Note { deaths: 1, reach: 12 + AHEAD }));
    }

    #[test]
    fn what_was_not_heard_is_told_again() {
        let mut progress = begun(Note::default());
        let told = progress.telling();
        assert_eq!(progress.telling(), None);
        progress.untold();
        assert_eq!(progress.telling(), told);
    }
}
