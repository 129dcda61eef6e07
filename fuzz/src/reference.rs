//! Any text is a reference, a digest and a platform, or none; what is one says the same when it is read again.

use std::{fmt::Display, str::FromStr};

use image_core::{Digest, Platform, Reference};

/// Runs the target on one input.
pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    check::<Reference>(text);
    check::<Digest>(text);
    check::<Platform>(text);
}

fn check<T: FromStr + Display>(text: &str) {
    let Ok(value) = text.parse::<T>() else { return };
    let said = value.to_string();
    let Ok(again) = said.parse::<T>() else { panic!("{text:?} is read, but {said:?} is not") };
    assert_eq!(again.to_string(), said);
}
