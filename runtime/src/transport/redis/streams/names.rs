//! The names of keys, the one place where they are made.

/// The one consumer of every group: a shard is read by one process at a time, and its successor finds what is unsettled
/// under the same name.
pub(super) const CONSUMER: &str = "owner";

/// Names under a prefix.
#[derive(Debug, Clone)]
pub(super) struct Names {
    prefix: String,
}

impl Names {
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    pub(super) fn shards(&self) -> String {
        format!("{}:shards", self.prefix)
    }

    pub(super) fn stream(&self, shard: u16) -> String {
        format!("{}:stream:{shard}", self.prefix)
    }

    pub(super) fn nodes(&self, handler: &str) -> String {
        format!("{}:nodes:{handler}", self.prefix)
    }

    pub(super) fn owners(&self, handler: &str) -> String {
        format!("{}:owners:{handler}", self.prefix)
    }

    pub(super) fn takes(&self, handler: &str) -> String {
        format!("{}:takes:{handler}", self.prefix)
    }

    pub(super) fn dead(&self, handler: &str) -> String {
        format!("{}:dead:{handler}", self.prefix)
    }
}
