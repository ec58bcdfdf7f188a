//! Durations as people write them: `"250ms"`, `"30s"`, `"5m"`, `"2h"`, `"1d"`; a backoff is one or two of them.

const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// The limit of a backoff that names none: 5 minutes.
const BACKOFF_LIMIT: u64 = 300_000;

/// The milliseconds of one duration, or what is wrong with it.
pub(crate) fn millis(text: &str) -> Result<u64, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit_millis = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, millis)| *millis);
    let Some(unit_millis) = unit_millis.filter(|_| !number.is_empty()) else {
        return Err(format!(
            "`{text}` is not a duration; write a whole number and a unit: \"250ms\", \"30s\", \"5m\", \"2h\", \"1d\""
        ));
    };
    number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(unit_millis))
        .ok_or_else(|| format!("`{text}` is too long"))
}

/// The first wait and the limit of a backoff, in milliseconds, or what is wrong with it.
pub(crate) fn backoff(text: &str) -> Result<(u64, u64), String> {
    let (first, limit) = match text.split_once("..").map(|(first, limit)| (first.trim_end(), limit.trim_start())) {
        Some((first, limit)) if first.is_empty() || limit.is_empty() => {
            return Err(format!(
                "`{text}` lacks a wait; write a first one and a limit, as \"500ms..10m\", or only \"2s\""
            ));
        }
        Some((first, limit)) => (millis(first)?, millis(limit)?),
        None => {
            let first = millis(text)?;
            (first, first.max(BACKOFF_LIMIT))
        }
    };
    if first > limit {
        return Err(format!("`{text}`: the first wait is longer than the limit"));
    }
    Ok((first, limit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_whole_number_and_a_unit() {
        assert_eq!(millis("250ms"), Ok(250));
        assert_eq!(millis("30s"), Ok(30_000));
        assert_eq!(millis("5m"), Ok(300_000));
        assert_eq!(millis("2h"), Ok(7_200_000));
        assert_eq!(millis("1d"), Ok(86_400_000));
        for wrong in ["", "s", "30", "30 s", "1.5s", "-1s", "30sec", "1m30s", "99999999999999999999s", "584542046091d"]
        {
            assert!(millis(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_backoff_without_a_limit_gets_five_minutes_or_its_first_wait() {
        assert_eq!(backoff("500ms..10m"), Ok((500, 600_000)));
        assert_eq!(backoff("2s"), Ok((2_000, 300_000)));
        assert_eq!(backoff("10m"), Ok((600_000, 600_000)));
        assert_eq!(backoff("1s .. 2s"), Ok((1_000, 2_000)));
        for wrong in ["10m..1s", "1s..", "..1s", "1s...2s", "1s..2s..3s"] {
            assert!(backoff(wrong).is_err(), "{wrong}");
        }
    }
}
