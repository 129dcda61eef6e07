//! A whole Dockerfile.

use std::str;

use crate::error::{Error, Result};

use super::{
    directive::{Directive, directives},
    instruction::{Command, Instruction},
    lint::{Checks, Lints, Warning, lint},
    parser::Parser,
    source::{Locator, Source},
    span::Span,
};

/// The most bytes of a Dockerfile.
const LIMIT: usize = 16 << 20;

/// The most instructions of a Dockerfile.
const INSTRUCTIONS: usize = 100_000;

/// The most words and here-documents of all its instructions.
const WORDS: usize = 500_000;

/// A Dockerfile: its directives and instructions, and where each stands.
///
/// Two are equal when they say the same, wherever it stands.
///
/// ```
/// use image_build::dockerfile::{Command, Dockerfile};
///
/// let file = Dockerfile::parse("FROM scratch\nCOPY --chown=1 app /app\n")?;
/// let [from, copy] = file.instructions() else { panic!("two instructions") };
/// assert!(matches!(&from.command, Command::From(from) if from.image.as_str() == "scratch"));
/// assert_eq!(copy.span.line, 2);
///
/// let error = Dockerfile::parse("FROM scratch\nCOPY --form=build /app /app\n").unwrap_err();
/// assert_eq!(error.to_string(), "Dockerfile:2:6: unknown flag --form for COPY (did you mean --from?)");
/// # Ok::<(), image_build::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Dockerfile {
    source: Source,
    directives: Vec<Directive>,
    escape: char,
    instructions: Vec<Instruction>,
    warnings: Vec<Warning>,
    checks: Checks,
    /// Whether the words are values already, in which nothing is expanded.
    literal: bool,
}

impl PartialEq for Dockerfile {
    fn eq(&self, other: &Self) -> bool {
        (&self.directives, &self.instructions, self.literal) == (&other.directives, &other.instructions, other.literal)
    }
}

impl Eq for Dockerfile {}

impl Dockerfile {
    /// Parses a file; errors call it `Dockerfile`.
    ///
    /// Lines may be of any length. An instruction has at most 1 MiB without its
    /// here-documents, the file at most 16 MiB, 100,000 instructions and 500,000 words.
    ///
    /// # Errors
    /// [`Error::Dockerfile`] where it breaks a rule of the grammar, holds other text than
    /// UTF-8, or has no FROM; [`Error::LimitExceeded`].
    ///
    /// # Spec
    /// Dockerfile reference; where it is silent, as BuildKit's frontend 1.20 has it.
    pub fn parse(source: impl AsRef<[u8]>) -> Result<Self> {
        Self::parse_named("Dockerfile", source)
    }

    /// Parses a file that errors call by its name.
    ///
    /// # Errors
    /// As [`Dockerfile::parse`].
    pub fn parse_named(name: &str, source: impl AsRef<[u8]>) -> Result<Self> {
        let file = Self::read(name, source.as_ref())?;
        file.check_stages()?;
        Ok(file)
    }

    /// Parses a trigger from the `OnBuild` of an image's configuration: one instruction, which
    /// has no FROM before it.
    ///
    /// # Errors
    /// As [`Dockerfile::parse`].
    pub fn parse_trigger(name: &str, trigger: &str) -> Result<Self> {
        let file = Self::read(name, trigger.as_bytes())?;
        let mut instructions = file.instructions.iter();
        let reason = match (instructions.next(), instructions.next()) {
            (None, _) => "a trigger without an instruction",
            (Some(_), Some(_)) => "a trigger of more than one instruction",
            (Some(one), None) => match one.command {
                Command::Onbuild(_) | Command::From(_) | Command::Maintainer(_) => {
                    "an instruction that cannot be a trigger"
                }
                _ => return Ok(file),
            },
        };
        let span = file.instructions.last().map_or_else(|| file.source.span(0, 0), |last| last.span);
        Err(file.source.fault(span, reason))
    }

    fn read(name: &str, bytes: &[u8]) -> Result<Self> {
        if bytes.len() > LIMIT {
            return Err(Error::LimitExceeded { what: name.to_owned(), limit: LIMIT as u64 });
        }
        let source = Source::new(name, text(name, bytes)?);
        let directives = directives(&source)?;
        let mut lints = Lints::new(directives.checks.clone());
        let locator = Locator::new(&source);
        let mut parser = Parser::new(&locator, directives.escape, &mut lints);
        let mut instructions: Vec<Instruction> = Vec::new();
        let mut words = 0;
        while let Some(instruction) = parser.next()? {
            words += instruction.command.count();
            check_counts(&source, &instruction, instructions.len(), words)?;
            instructions.push(instruction);
        }
        lint(&source, &instructions, &mut lints);
        let warnings = lints.finish();
        let (escape, checks) = (directives.escape, directives.checks);
        Ok(Self { source, directives: directives.list, escape, instructions, warnings, checks, literal: false })
    }

    /// Instructions whose words are values, with a line for each that says in `text` what it does.
    pub(crate) fn of_values(name: &str, text: &str, instructions: Vec<Instruction>) -> Result<Self> {
        let source = Source::new(name, text);
        let mut words = 0;
        for (position, instruction) in instructions.iter().enumerate() {
            words += instruction.command.count();
            check_counts(&source, instruction, position, words)?;
        }
        let checks = Checks::default();
        let (directives, warnings) = (Vec::new(), Vec::new());
        Ok(Self { source, directives, escape: '\\', instructions, warnings, checks, literal: true })
    }

    /// Only ARG may stand before the first FROM, and there must be one.
    fn check_stages(&self) -> Result<()> {
        for instruction in &self.instructions {
            match &instruction.command {
                Command::From(_) => return Ok(()),
                Command::Arg(_) => {}
                other => {
                    let reason = format!("{} stands before the first FROM", other.name());
                    return Err(self.source.fault(instruction.keyword.span, reason));
                }
            }
        }
        let end = self.source.text().trim_end().len();
        let reason = if self.instructions.is_empty() { "no instruction in the file" } else { "no FROM in the file" };
        Err(self.source.fault(self.source.span(end, end), reason))
    }

    /// The parser directives in force.
    #[must_use]
    pub fn directives(&self) -> &[Directive] {
        &self.directives
    }

    /// The escape character: `\` or `` ` ``.
    #[must_use]
    pub fn escape(&self) -> char {
        self.escape
    }

    /// The instructions in the order written.
    #[must_use]
    pub fn instructions(&self) -> &[Instruction] {
        &self.instructions
    }

    /// What is allowed but unwise, in the order of the file.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Which warnings the `check` directive asks for.
    #[must_use]
    pub fn checks(&self) -> &Checks {
        &self.checks
    }

    /// Whether the words are values already: those of [`ImageSteps`](crate::ImageSteps).
    pub(crate) fn is_literal(&self) -> bool {
        self.literal
    }

    /// The text as it was read, for instance of [`Instruction::span`].
    #[must_use]
    pub fn original(&self, span: Span) -> &str {
        self.source.slice(span)
    }

    /// The error that something in the file, read well, cannot be done.
    #[must_use]
    pub fn fault(&self, span: Span, reason: impl Into<String>) -> Error {
        self.source.fault(span, reason)
    }

    /// As [`Dockerfile::fault`], with what may have been meant.
    #[must_use]
    pub fn fault_like(&self, span: Span, reason: impl Into<String>, suggestion: Option<String>) -> Error {
        self.source.fault_like(span, reason, suggestion)
    }

    /// The error that something in the file is not supported yet.
    #[must_use]
    pub fn unsupported(&self, span: Span, what: impl Into<String>) -> Error {
        Error::UnsupportedInstruction { location: Box::new(self.source.location(span)), what: what.into() }
    }

    /// The error that nothing runs the command that stands here.
    pub(crate) fn no_executor(&self, span: Span) -> Error {
        Error::NoExecutor { location: Box::new(self.source.location(span)) }
    }

    pub(crate) fn source(&self) -> &Source {
        &self.source
    }
}

/// Refuses an instruction that is one too many, or brings one word too many.
fn check_counts(source: &Source, instruction: &Instruction, before: usize, words: usize) -> Result<()> {
    let limit = |what, limit| {
        let location = source.location(instruction.keyword.span);
        Err(Error::LimitExceeded { what: format!("{location}: the number of {what}"), limit: limit as u64 })
    };
    if before == INSTRUCTIONS {
        return limit("instructions", INSTRUCTIONS);
    }
    if words > WORDS {
        return limit("words", WORDS);
    }
    Ok(())
}

/// The text of a file that is UTF-8 without NUL.
fn text<'a>(name: &str, bytes: &'a [u8]) -> Result<&'a str> {
    let fault = |at: usize, length: usize, reason: &str| {
        let source = Source::new(name, &String::from_utf8_lossy(bytes));
        Err(source.fault(source.span(at, at + length), reason))
    };
    match str::from_utf8(bytes) {
        Err(error) => fault(error.valid_up_to(), '\u{fffd}'.len_utf8(), "the file is not UTF-8 from here"),
        Ok(text) => match text.find('\0') {
            Some(at) => fault(at, 1, "the file holds a NUL byte"),
            None => Ok(text),
        },
    }
}
