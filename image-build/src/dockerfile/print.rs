//! From instructions back to text.

use std::fmt;

use super::{directive::Directive, file::Dockerfile, instruction::Instruction, line::continued};

impl fmt::Display for Instruction {
    /// The instruction on one line, and its here-documents.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        for heredoc in self.heredocs() {
            write!(f, "\n{}{}", heredoc.content, heredoc.name)?;
        }
        Ok(())
    }
}

impl fmt::Display for Directive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax(value) => write!(f, "# syntax={value}"),
            Self::Escape(value) => write!(f, "# escape={value}"),
            Self::Check(value) => write!(f, "# check={value}"),
        }
    }
}

impl fmt::Display for Dockerfile {
    /// The directives and the instructions, each on one line; comments are lost.
    ///
    /// What is printed of a file that was parsed parses to an equal file. Of [`ImageSteps`](crate::ImageSteps), it is
    /// for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for directive in self.directives() {
            writeln!(f, "{directive}")?;
        }
        for instruction in self.instructions() {
            f.write_str(&instruction.text)?;
            // A line that lost trailing blanks may end as if it were continued. A vertical tab
            // is a blank to the instruction, but not to the continuation.
            if continued(&instruction.text, self.escape()).is_some() {
                f.write_str("\u{b}")?;
            }
            for heredoc in instruction.heredocs() {
                write!(f, "\n{}{}", heredoc.content, heredoc.name)?;
            }
            f.write_str("\n")?;
        }
        Ok(())
    }
}
