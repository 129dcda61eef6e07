//! Durations of HEALTHCHECK: `1m30s`, in the syntax of Go.

use std::time::Duration;

/// A duration of zero or more.
///
/// # Spec
/// Dockerfile reference, § HEALTHCHECK; Go, package time, `ParseDuration`.
pub(super) fn parse(text: &str) -> Result<Duration, &'static str> {
    const INVALID: &str = "not a duration such as 30s or 1m30s";
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if unsigned == "0" {
        return Ok(Duration::ZERO);
    }
    let mut total: u128 = 0;
    let mut rest = unsigned;
    if rest.is_empty() {
        return Err(INVALID);
    }
    while !rest.is_empty() {
        let (whole, after) = digits(rest);
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => digits(after),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return Err(INVALID);
        }
        let end = after.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(end).ok_or(INVALID)?;
        let unit = nanoseconds(unit).ok_or("a duration needs a unit: ns, us, ms, s, m or h")?;
        total = scaled(whole, fraction, unit)
            .and_then(|part| total.checked_add(part))
            .filter(|total| i64::try_from(*total).is_ok())
            .ok_or("a duration is at most 292 years")?;
        rest = after;
    }
    if negative && total > 0 {
        return Err("a duration cannot be negative");
    }
    Ok(u64::try_from(total).map_or(Duration::MAX, Duration::from_nanos))
}

fn digits(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

fn nanoseconds(unit: &str) -> Option<u128> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

/// `whole.fraction` of a unit, in nanoseconds, what is less than one dropped.
fn scaled(whole: &str, fraction: &str, unit: u128) -> Option<u128> {
    let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let fraction = fraction.get(..18).unwrap_or(fraction);
    let part: u128 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    let scale = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    whole.checked_mul(unit)?.checked_add(part.checked_mul(unit)? / scale)
}
