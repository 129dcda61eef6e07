//! How often a law is tried.

use crate::skip::variable;

/// On how many cases a law is tried that takes long for each: on as many as `PROPTEST_CASES` in the environment says,
/// as all others are, but without it on no more than `usual`.
///
/// # Panics
/// Where the variable is no number.
#[must_use]
pub fn cases(usual: u32) -> u32 {
    let said = variable("PROPTEST_CASES");
    said.map_or(usual, |said| said.to_str().and_then(|said| said.parse().ok()).expect("PROPTEST_CASES is a number"))
}
