//! What a backend can do, as data: start-up checks, the conformance suite and the README's table read it.

/// What a store can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// The backend's name: `memory`, `postgres`, `sqlite`.
    pub name: &'static str,
    /// Committed events survive the end of the process.
    pub durable: bool,
    /// The application's own tables can be written in the same transaction, so handlers may take the transaction.
    pub transactional: bool,
    /// Several processes can work on it at a time.
    pub several_processes: bool,
    /// Two transactions can be open for writing at a time, so a late commit can stand before an early one.
    pub concurrent_writers: bool,
    /// Retention removes the log in pieces of many events: one that is old enough stays until all of its piece can go.
    pub retains_pieces: bool,
}

impl Capabilities {
    /// A store that can do none of it.
    #[must_use]
    pub const fn none(name: &'static str) -> Self {
        Self {
            name,
            durable: false,
            transactional: false,
            several_processes: false,
            concurrent_writers: false,
            retains_pieces: false,
        }
    }
}

/// The version of a store's tables: what was found, and what this code needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schema {
    /// The version found; 0 where there are no tables yet.
    pub found: u32,
    /// The version this code works with.
    pub needed: u32,
}
