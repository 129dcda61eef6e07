//! The values of variables in the words of a Dockerfile.

mod expander;
mod lexer;
mod pattern;

pub use expander::Expander;
