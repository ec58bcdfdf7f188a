//! What handlers and writers of several processes did, in one file that outlives each of them.
//!
//! One line per fact, written with one call to the operating system at the end of the file: a killed process leaves
//! whole lines behind, and the lines of several processes stand in the order they were written.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
};

/// The file.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: File,
}

/// One line: `<pid> <what> <handler> <aggregate> <step> <attempt>`; what writers note has `-` for the handler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) pid: u32,
    /// `commit` (about to), `committed`, `begin` or `done`.
    pub(super) what: String,
    pub(super) handler: String,
    pub(super) aggregate: String,
    pub(super) step: u64,
    pub(super) attempt: u32,
}

impl Journal {
    pub(super) fn open(path: &Path) -> Self {
        let file = OpenOptions::new().create(true).append(true).open(path).expect("the journal can be opened");
        Self { path: path.to_owned(), file }
    }

    pub(super) fn write(&self, line: &str) {
        let line = format!("{} {line}\n", std::process::id());
        (&self.file).write_all(line.as_bytes()).expect("the journal can be written");
    }

    /// A path beside the journal: a file there is a signal between processes.
    pub(super) fn beside(&self, name: &str) -> PathBuf {
        self.path.with_file_name(name)
    }

    pub(super) fn read(path: &Path) -> Vec<Entry> {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.lines().map(parse).collect()
    }
}

fn parse(line: &str) -> Entry {
    let mut words = line.split(' ');
    let mut word = || words.next().unwrap_or_else(|| panic!("the journal has a torn line: `{line}`"));
    let (pid, what, handler, aggregate, step, attempt) = (word(), word(), word(), word(), word(), word());
    let number = |word: &str| word.parse().unwrap_or_else(|_| panic!("the journal has a torn line: `{line}`"));
    Entry {
        pid: number(pid),
        what: what.to_owned(),
        handler: handler.to_owned(),
        aggregate: aggregate.to_owned(),
        step: number(step).into(),
        attempt: number(attempt),
    }
}

/// Checks a handler's attempts against the model: an event begins only when the one before it in its aggregate was
/// handled at least once (or is in `dead`), and within one process the order never goes back.
pub(super) fn check_order(entries: &[Entry], handler: &str, dead: &BTreeSet<(String, u64)>) {
    let mut handled = dead.clone();
    let mut last = BTreeMap::<(u32, &str), u64>::new();
    for entry in entries.iter().filter(|entry| entry.handler == handler) {
        let Entry { aggregate, step, pid, .. } = entry;
        match entry.what.as_str() {
            "begin" => {
                let before = last.insert((*pid, aggregate), *step).unwrap_or(0);
                assert!(
                    before <= *step,
                    "`{handler}` of process {pid} was given {aggregate}/{step} after {aggregate}/{before}: {entries:#?}"
                );
                assert!(
                    *step == 1 || handled.contains(&(aggregate.clone(), step - 1)),
                    "`{handler}` was given {aggregate}/{step} before {aggregate}/{} was done: {entries:#?}",
                    step - 1
                );
            }
            "done" => {
                handled.insert((aggregate.clone(), *step));
            }
            _ => {}
        }
    }
}

/// What a handler has handled, how often.
pub(super) fn handled(entries: &[Entry], handler: &str) -> BTreeMap<(String, u64), usize> {
    let mut handled = BTreeMap::new();
    for entry in entries.iter().filter(|entry| entry.handler == handler && entry.what == "done") {
        *handled.entry((entry.aggregate.clone(), entry.step)).or_default() += 1;
    }
    handled
}
