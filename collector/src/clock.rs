//! Wall-clock time: milliseconds since the Unix epoch in the store, RFC 3339 (UTC) for people and the API.
#![forbid(unsafe_code)]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// Milliseconds since the Unix epoch; 0 when the clock stands before it.
#[must_use]
pub fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX))
}

/// `2026-11-22T17:00:00.123Z`; empty when `ms` is beyond the year 9999.
#[must_use]
pub fn rfc3339_from_ms(ms: i64) -> String {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000)
        .ok()
        .and_then(|t| t.format(&Rfc3339).ok())
        .unwrap_or_default()
}

/// A point in time as a user writes it: RFC 3339, or a duration before `now_ms` such as `15m`. Returns milliseconds.
pub fn parse_time(text: &str, now_ms: i64) -> Result<i64, String> {
    if let Ok(ago) = parse_duration(text) {
        return Ok(now_ms.saturating_sub(millis(ago)));
    }
    OffsetDateTime::parse(text, &Rfc3339)
        .map(|t| i64::try_from(t.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX))
        .map_err(|_| {
            format!("`{text}` is neither RFC 3339 (2026-11-22T17:00:00Z) nor a duration such as 15m, 24h, 7d")
        })
}

/// A number with one of the units s, m, h, d: `90s`, `1h`. At least one second, at most ten years.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a duration: write a number and s, m, h or d, such as 30m or 1h");
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let factor = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    if !number.bytes().all(|b| b.is_ascii_digit()) {
        return Err(wrong());
    }
    let seconds = number.parse::<u64>().ok().and_then(|n| n.checked_mul(factor)).ok_or_else(wrong)?;
    if !(1..=10 * 366 * 86_400).contains(&seconds) {
        return Err(format!("`{text}` is out of range: from 1s to ten years"));
    }
    Ok(Duration::from_secs(seconds))
}

/// `duration` in whole milliseconds.
#[must_use]
pub fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit_and_a_range() {
        assert_eq!(parse_duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("2d"), Ok(Duration::from_secs(172_800)));
        for wrong in ["", "h", "0s", "-1h", "+1h", "1", "1w", "1é", "99999999999999999999s", "999999d"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_are_absolute_or_relative() {
        assert_eq!(parse_time("1970-01-01T00:00:01Z", 0), Ok(1000));
        assert_eq!(parse_time("1970-01-01T02:00:01.5+02:00", 0), Ok(1500));
        assert_eq!(parse_time("1m", 100_000), Ok(40_000));
        assert!(parse_time("yesterday", 0).is_err());
        assert_eq!(rfc3339_from_ms(1500), "1970-01-01T00:00:01.5Z");
    }
}
