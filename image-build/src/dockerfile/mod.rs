//! Dockerfiles: from bytes to instructions, without any I/O.
//!
//! [`Dockerfile::parse`] gives typed [`Instruction`]s, every word with its [`Span`]. Words
//! are as written; [`crate::expand`] puts in the values of variables.

mod command;
mod directive;
mod duration;
mod file;
mod flag;
mod heredoc;
mod instruction;
mod json;
mod line;
mod lint;
mod parser;
mod print;
mod source;
mod span;

pub(crate) use command::{invalid_stage_name, stage_name};
pub use directive::Directive;
pub use file::Dockerfile;
pub use flag::{AddFlags, CopyFlags, RunFlags};
pub use heredoc::Heredoc;
pub use instruction::{
    Add, ArgDeclaration, Command, CommandLine, Copy, FileContent, FromImage, Healthcheck, HealthcheckTest, Instruction,
    KeyValue, KeyValues, Onbuild, Run,
};
pub use lint::{Checks, Rule, Warning};
pub use source::Location;
pub use span::{Span, Spanned};
