//! What things are called on the server: streams, subjects, durable consumers, keys. Every file here asks this one.
//!
//! `=` and two hexadecimal digits stand for a byte that NATS does not allow in such a name; nothing else holds a `=`.

/// The handler's name as one token of a subject, in a consumer's name, and as a key.
pub(super) fn token(name: &str) -> String {
    let mut escaped = String::with_capacity(name.len() + 8);
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("={byte:02X}"));
        }
    }
    escaped
}

/// The event's name in a subject: its dots stay, since whoever subscribes by hand writes them.
fn event_tokens(event: &str) -> String {
    let tokens: Vec<_> =
        event.split('.').map(|part| if part.is_empty() { "=".to_owned() } else { token(part) }).collect();
    tokens.join(".")
}

/// The subject of an event.
pub(super) fn subject(prefix: &str, shard: u16, event: &str) -> String {
    format!("{prefix}.{shard}.{}", event_tokens(event))
}

/// The subject of an event, whatever its shard.
pub(super) fn any_shard(prefix: &str, event: &str) -> String {
    format!("{prefix}.*.{}", event_tokens(event))
}

/// What a subject says about the event: the part behind the shard, to compare with [`tail_of`].
pub(super) fn tail(subject: &str) -> &str {
    subject.splitn(3, '.').nth(2).unwrap_or("")
}

/// The same for an event's name.
pub(super) fn tail_of(event: &str) -> String {
    event_tokens(event)
}

/// All events of a shard.
pub(super) fn shard_subjects(prefix: &str, shard: u16) -> String {
    format!("{prefix}.{shard}.>")
}

/// The durable consumer of a handler's shard. Each taking of the shard has one of its own, so that whoever held it before
/// can neither take nor acknowledge anything any more.
pub(super) fn consumer(handler: &str, shard: u16, generation: u64) -> String {
    format!("{}-{shard}-{generation}", token(handler))
}

/// The bucket with a document for each handler.
pub(super) fn bucket(prefix: &str) -> String {
    format!("{prefix}-handlers")
}

/// The stream of dead letters.
pub(super) fn dead_stream(prefix: &str) -> String {
    format!("{prefix}-dead")
}

/// The subject of a handler's dead letters.
pub(super) fn dead_subject(prefix: &str, handler: &str) -> String {
    format!("{prefix}-dead.{}", token(handler))
}

/// Where the processes of a handler call each other to look at its document.
pub(super) fn wake_subject(prefix: &str, handler: &str) -> String {
    format!("{prefix}-wake.{}", token(handler))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_holds_what_nats_does_not_allow_and_no_two_are_the_same() {
        let names = ["a.b", "a=2Eb", "a b", "a*", "a>", "a/b", "ä", "a..b", ".", ""];
        let mut tokens: Vec<_> = names.iter().map(|name| token(name)).collect();
        assert!(tokens.iter().all(|token| !token.contains(['.', '*', '>', '/', ' '])), "{tokens:?}");
        let mut tails: Vec<_> = names.iter().map(|name| tail_of(name)).collect();
        assert!(tails.iter().all(|tail| !tail.contains("..") && !tail.starts_with('.')), "{tails:?}");
        for all in [&mut tokens, &mut tails] {
            all.sort();
            all.dedup();
            assert_eq!(all.len(), names.len(), "{all:?}");
        }
        assert_eq!(tail(&subject("events", 3, "library.BookLent")), tail_of("library.BookLent"));
    }
}
