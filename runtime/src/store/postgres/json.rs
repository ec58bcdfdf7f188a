//! Whether PostgreSQL keeps a payload: found out before anything is sent, since an error there ends the application's
//! transaction, and names no event.

use serde_json::value::RawValue;

/// The column would take 1 GB; sent as text beside other values, 256 MiB are safe.
const MAX_BYTES: usize = 256 * 1024 * 1024;

/// PostgreSQL reads JSON recursively and gives up at a depth that depends on its stack.
const MAX_DEPTH: usize = 1_000;

/// The payload as text, or what is wrong with it, in words that go on from "`payload` ".
pub(super) fn text(payload: &[u8]) -> Result<&str, String> {
    if payload.len() > MAX_BYTES {
        return Err(format!("has {} bytes; PostgreSQL keeps {MAX_BYTES} of an event at most", payload.len()));
    }
    let text = std::str::from_utf8(payload).map_err(|_| "is not UTF-8; a payload is JSON text".to_owned())?;
    // Looks at every byte without building anything, to any depth.
    serde_json::from_str::<&RawValue>(text).map_err(|error| format!("is not JSON: {error}"))?;
    scan(payload)?;
    Ok(text)
}

/// What is valid JSON and still can't be used in a query: `payload ->> 'field'` would fail for the whole table.
fn scan(payload: &[u8]) -> Result<(), String> {
    let opened = payload.iter().filter(|byte| matches!(byte, b'[' | b'{')).count();
    // As good as always, and several times as fast.
    if opened <= MAX_DEPTH && !payload.contains(&b'\\') {
        return Ok(());
    }
    let (mut depth, mut in_string, mut at) = (0_usize, false, 0);
    while let Some(byte) = payload.get(at) {
        match byte {
            b'"' => in_string = !in_string,
            b'\\' if in_string => {
                at += escape(&payload[at..])?;
                continue;
            }
            b'[' | b'{' if !in_string => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(format!("has more than {MAX_DEPTH} arrays and objects in one another"));
                }
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    Ok(())
}

/// The length of the escape that begins here.
fn escape(rest: &[u8]) -> Result<usize, String> {
    let unit = |from: usize| -> Option<u16> {
        let digits = rest.get(from..from + 6).filter(|digits| digits.starts_with(b"\\u"))?;
        u16::from_str_radix(std::str::from_utf8(&digits[2..]).ok()?, 16).ok()
    };
    match unit(0) {
        None => Ok(2),
        Some(0) => Err("holds the character NUL (\\u0000), which PostgreSQL's text can't; leave it out".into()),
        Some(0xd800..=0xdbff) => match unit(6) {
            Some(0xdc00..=0xdfff) => Ok(12),
            _ => Err("holds half of a surrogate pair (\\ud8..), which is no character".into()),
        },
        Some(0xdc00..=0xdfff) => Err("holds half of a surrogate pair (\\udc..), which is no character".into()),
        Some(_) => Ok(6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_postgresql_can_query_is_kept() {
        let deep = format!("{}0{}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH));
        for sound in [
            r#"{"a":"\ud83d\ude00 \\u0000 \" [[["}"#,
            r#"{"a":1,"a":2}"#,
            "1e400",
            " null ",
            r#""\u00e9""#,
            r#"["]","\\"]"#,
            deep.as_str(),
        ] {
            assert_eq!(text(sound.as_bytes()), Ok(sound));
        }
    }

    #[test]
    fn what_it_cannot_is_refused_with_the_reason() {
        let deep = format!("{}0{}", "[".repeat(MAX_DEPTH + 1), "]".repeat(MAX_DEPTH + 1));
        for (payload, reason) in [
            (&br#"{"a":"x\u0000"}"#[..], "NUL"),
            (br#""\ud800""#, "surrogate"),
            (br#""\ud800\ud800""#, "surrogate"),
            (br#""\udc00""#, "surrogate"),
            (b"\xff", "UTF-8"),
            (b"", "not JSON"),
            (b"{\"a\":\"\0\"}", "not JSON"),
            (b"nope", "not JSON"),
            (deep.as_bytes(), "in one another"),
        ] {
            let problem = text(payload).expect_err("refused");
            assert!(problem.contains(reason), "{problem}");
        }
    }
}
