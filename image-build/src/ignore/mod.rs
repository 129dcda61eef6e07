//! `.dockerignore`: what of a build context a build does not see.
//!
//! Patterns are rooted: `foo` names only the `foo` at the top of the context, `**/foo` every
//! one. The last pattern that matches a path or a directory above it decides; one with `!`
//! takes back what those before it leave out.

mod clean;
mod glob;
mod index;
mod list;
mod pattern;
mod texts;

pub use list::{Ignore, Verdict};
