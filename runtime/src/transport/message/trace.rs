//! The W3C trace context's `traceparent`, level 1, section 3.2: what is no such thing is not passed on.

/// The text if it is a `traceparent`. A receiver has to ignore any other, and a header is no place for arbitrary text.
pub(super) fn checked(text: &str) -> Option<&str> {
    let is_hex = |part: &str| part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let is_id = |part: &str, length| part.len() == length && is_hex(part) && part.bytes().any(|byte| byte != b'0');
    let mut parts = text.split('-');
    let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let known = version.len() == 2 && is_hex(version) && version != "ff";
    let valid = known && is_id(trace, 32) && is_id(parent, 16) && flags.len() == 2 && is_hex(flags);
    // A later version may have more parts behind these.
    let rest_is_allowed = version != "00" || parts.next().is_none();
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic());
    (valid && rest_is_allowed && is_plain).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::checked;

    #[test]
    fn only_a_traceparent_is_passed_on() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(checked(good), Some(good));
        let later = "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-comes";
        assert_eq!(checked(later), Some(later));
        for bad in [
            "",
            "00",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\nX: y",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-\r\nX: y",
        ] {
            assert_eq!(checked(bad), None, "{bad:?}");
        }
    }
}
