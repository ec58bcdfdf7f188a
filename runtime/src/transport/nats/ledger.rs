//! The document of a handler: who lives, who holds which shard, and how far each shard is. One entry of a bucket, changed
//! only where its revision is still the one that was read.

use std::collections::BTreeMap;

use async_nats::jetstream::kv::{CreateErrorKind, Store, UpdateErrorKind};
use serde::{Deserialize, Serialize};

use super::{connect::unavailable, names, options::Options};
use crate::error::{Error, ErrorKind, Result};

/// How often a change is tried while others change the same document.
const TRIES: usize = 50;

/// What is known of a handler.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Ledger {
    /// The events it takes, as subjects say them.
    pub(super) events: Vec<String>,
    /// Goes up with each change of `events`.
    pub(super) edition: u64,
    /// The processes that work on it.
    pub(super) nodes: BTreeMap<String, Node>,
    pub(super) shards: Vec<Shard>,
}

/// A process.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Node {
    /// Goes up for as long as it lives; others watch it by their own clocks, so that no two clocks are compared.
    pub(super) beat: u64,
    /// The edition of the events that it goes by.
    pub(super) edition: u64,
}

/// A shard of a handler.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Shard {
    pub(super) owner: Option<String>,
    /// Goes up with each taking: part of the consumer's name.
    pub(super) generation: u64,
    #[serde(flatten)]
    pub(super) position: Position,
    /// For each owner that died: how far it had been delivered to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) deaths: Vec<u64>,
}

/// How far a shard is: all up to `last` is settled, but for `held`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Position {
    pub(super) last: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) held: Vec<u64>,
}

/// The document of one handler, as it was read last.
#[derive(Debug, Clone)]
pub(super) struct Book {
    store: Store,
    key: String,
    revision: u64,
    pub(super) ledger: Ledger,
}

impl Book {
    /// Reads the document; `None` if nobody has made it.
    pub(super) async fn open(store: Store, options: &Options, handler: &str) -> Result<Option<Self>> {
        let mut book = Self { store, key: names::token(handler), revision: 0, ledger: Ledger::default() };
        Ok(book.read(options).await?.then_some(book))
    }

    /// Makes the document unless it is there; what is there then.
    pub(super) async fn make(store: Store, options: &Options, handler: &str, ledger: &Ledger) -> Result<Self> {
        let mut book = Self { store, key: names::token(handler), revision: 0, ledger: ledger.clone() };
        match book.store.create(&book.key, written(ledger)?.into()).await {
            Ok(revision) => book.revision = revision,
            Err(error) if error.kind() == CreateErrorKind::AlreadyExists => {
                if !book.read(options).await? {
                    return Err(unavailable(options, "a handler's document came and went", error));
                }
            }
            Err(error) => return Err(unavailable(options, "a handler's document can't be made", error)),
        }
        Ok(book)
    }

    /// Reads it again; `false` if it is gone.
    pub(super) async fn read(&mut self, options: &Options) -> Result<bool> {
        let entry = self.store.entry(&self.key).await;
        let entry = entry.map_err(|error| unavailable(options, "a handler's document can't be read", error))?;
        let Some(entry) = entry.filter(|entry| entry.operation == async_nats::jetstream::kv::Operation::Put) else {
            return Ok(false);
        };
        self.ledger = serde_json::from_slice(&entry.value).map_err(|error| {
            let message = format!("{}: the document of `{}` can't be read: {error}", options.address.shown(), self.key);
            Error::new(ErrorKind::Corrupt, message)
        })?;
        self.revision = entry.revision;
        Ok(true)
    }

    /// Removes it.
    pub(super) async fn remove(&self, options: &Options) -> Result<()> {
        let removed = self.store.purge(&self.key).await;
        removed.map_err(|error| unavailable(options, "a handler's document can't be removed", error))
    }

    /// Changes it; `change` is asked again, on what is there then, whenever somebody else was faster. Writes nothing where
    /// nothing changes.
    pub(super) async fn change<T>(
        &mut self,
        options: &Options,
        mut change: impl FnMut(&mut Ledger) -> Result<T>,
    ) -> Result<T> {
        for _ in 0..TRIES {
            let mut changed = self.ledger.clone();
            let result = change(&mut changed)?;
            if changed == self.ledger {
                return Ok(result);
            }
            match self.store.update(&self.key, written(&changed)?.into(), self.revision).await {
                Ok(revision) => {
                    (self.revision, self.ledger) = (revision, changed);
                    return Ok(result);
                }
                Err(error) if error.kind() == UpdateErrorKind::WrongLastRevision => {
                    if !self.read(options).await? {
                        return Err(unavailable(options, "a handler's document", "it was removed"));
                    }
                }
                Err(error) => return Err(unavailable(options, "a handler's document can't be changed", error)),
            }
        }
        Err(unavailable(options, "a handler's document", format!("others changed it {TRIES} times in between")))
    }
}

fn written(ledger: &Ledger) -> Result<Vec<u8>> {
    serde_json::to_vec(ledger).map_err(|error| Error::new(ErrorKind::Corrupt, error.to_string()))
}
