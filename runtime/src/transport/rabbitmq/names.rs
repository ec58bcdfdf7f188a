//! What things are called on the broker. Everybody in here asks this file, so that two processes mean the same queue.

use lapin::types::ShortString;

use crate::{
    error::{Error, ErrorKind, Result},
    event::partition_of,
};

/// Into so many shards an application's aggregates are divided, whatever is published: the last word of the routing key.
/// A handler's queues share them out, so this is also the most queues that a handler can have. It never changes: the
/// bindings of every handler stand on it.
pub(super) const SHARDS: u16 = 64;

/// The routing key of an event: its name, then the shard of its aggregate.
pub(super) fn routing_key(event: &str, key_hash: u64) -> Result<ShortString> {
    ShortString::try_new(format!("{event}.{}", partition_of(key_hash, SHARDS))).map_err(|_| {
        Error::new(
            ErrorKind::InvalidEvent,
            format!("the event name `{event}` is too long for RabbitMQ, whose routing keys have 255 bytes at most"),
        )
    })
}

/// The names of one handler.
#[derive(Debug, Clone)]
pub(super) struct Names {
    exchange: String,
    base: String,
}

impl Names {
    pub(super) fn new(prefix: &str, handler: &str) -> Result<Self> {
        let base = format!("{prefix}.{handler}");
        // Room for the longest ending.
        if base.len() > 240 {
            return Err(Error::new(
                ErrorKind::Configuration,
                format!(
                    "`{base}` is too long for the name of a queue; prefix and handler can have 240 bytes together; shorten \
                     the handler's name or group, or the transport's option `prefix`"
                ),
            ));
        }
        Ok(Self { exchange: prefix.to_owned(), base })
    }

    /// The application's exchange, where everything is published.
    pub(super) fn events(&self) -> ShortString {
        short(&self.exchange)
    }

    /// The handler's own exchange: bound to exactly its events, it spreads them over its queues.
    pub(super) fn exchange(&self) -> ShortString {
        short(&self.base)
    }

    /// What stands in for the handler's exchange while that one is made anew.
    pub(super) fn stand_in(&self) -> ShortString {
        self.ending("next")
    }

    /// A queue of the handler. The first has the handler's name alone.
    pub(super) fn queue(&self, partition: u16) -> ShortString {
        if partition == 0 { short(&self.base) } else { self.ending(&partition.to_string()) }
    }

    /// Held by the connection that owns the queue.
    pub(super) fn owner(&self, partition: u16) -> ShortString {
        self.ending(&format!("{partition}.owner"))
    }

    /// Where the processes that take part are counted.
    pub(super) fn members(&self) -> ShortString {
        self.ending("members")
    }

    /// What is bound to the handler's exchange, written down.
    pub(super) fn bindings(&self) -> ShortString {
        self.ending("bindings")
    }

    /// The handler's dead letters.
    pub(super) fn dead(&self) -> ShortString {
        self.ending("dead")
    }

    /// Held while bindings or dead letters are worked on.
    pub(super) fn lock(&self, what: &str) -> ShortString {
        self.ending(&format!("{what}.lock"))
    }

    fn ending(&self, word: &str) -> ShortString {
        short(&format!("{}.{word}", self.base))
    }
}

/// A short string; what is too long is cut, where the protocol leaves no other way.
pub(super) fn short(text: &str) -> ShortString {
    let mut end = text.len().min(255);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    ShortString::try_new(&text[..end]).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

    use super::*;

    #[test]
    fn a_name_that_does_not_fit_is_refused_not_cut() {
        let error = Names::new("events", &"h".repeat(240)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        let error = routing_key(&"e".repeat(254), 1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidEvent);
        let names = Names::new("events", &"h".repeat(233)).unwrap();
        assert!(names.owner(63).as_str().ends_with(".63.owner"));
        assert!(names.lock("bindings").as_str().ends_with(".bindings.lock"));
    }
}
