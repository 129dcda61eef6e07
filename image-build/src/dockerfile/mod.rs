//! Dockerfiles: from bytes to instructions, without any I/O.

mod flag;
mod heredoc;
mod instruction;
mod span;

pub use flag::{AddFlags, CopyFlags, RunFlags};
pub use heredoc::Heredoc;
pub use instruction::{
    Add, ArgDeclaration, Command, CommandLine, Copy, FromImage, Healthcheck, HealthcheckTest, Instruction, KeyValue,
    KeyValues, Onbuild, Run,
};
pub use span::{Span, Spanned};
