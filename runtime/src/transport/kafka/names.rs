//! What topics and groups are called.

use crate::error::{Error, ErrorKind, Result};

/// The most characters of a topic's name, on every broker.
const LONGEST: usize = 249;

/// The names that belong to a handler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Names {
    /// The consumer group.
    pub(super) group: String,
    /// The topic of what was redriven.
    pub(super) retry: String,
    /// The topic of dead letters.
    pub(super) dead: String,
}

impl Names {
    /// The names of this handler's group and topics.
    pub(super) fn of(prefix: &str, handler: &str) -> Result<Self> {
        let group = format!("{prefix}.{}", escaped(handler));
        let names = Self { retry: format!("{group}.retry"), dead: format!("{group}.dead"), group };
        if names.retry.len() > LONGEST {
            return Err(Error::new(
                ErrorKind::Configuration,
                format!(
                    "the topic `{}` has a longer name than the {LONGEST} bytes Kafka allows; shorten the handler's",
                    names.retry
                ),
            ));
        }
        Ok(names)
    }
}

/// A topic's name has letters, digits, `.`, `_` and `-`.
fn escaped(name: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    name.chars().map(|c| if fits(c) { c.to_string() } else { format!("-u{:x}-", u32::from(c)) }).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

    use super::*;

    #[test]
    fn names_begin_with_the_prefix_and_hold_only_what_kafka_allows() {
        let names = Names::of("lib", "notes.grüße").unwrap();
        assert_eq!(names.group, "lib.notes.gr-ufc--udf-e");
        assert_eq!(names.dead, "lib.notes.gr-ufc--udf-e.dead");
        assert!(Names::of("lib", &"x".repeat(250)).unwrap_err().to_string().contains("249"));
    }
}
