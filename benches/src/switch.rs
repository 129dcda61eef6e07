//! What the caller chose.

use std::{
    ffi::OsString,
    io::{Write, stderr},
};

/// The value of a variable of the environment, if it is set to any.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the benches' documented switches")]
pub fn switch(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// Whether rough figures will do: with `--quick`, or where nobody asked for a bench, as when tests run all programs.
#[must_use]
pub fn is_quick() -> bool {
    let has = |wanted| std::env::args().any(|argument| argument == wanted);
    has("--quick") || !has("--bench")
}

/// Tells the caller something that is no result.
pub fn note(text: impl std::fmt::Display) {
    drop(writeln!(stderr(), "{text}"));
}
