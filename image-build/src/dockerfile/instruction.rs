//! What a Dockerfile says, one type for each instruction.
//!
//! Words are as written: nothing is expanded and, but for JSON strings and flags, no quote
//! is removed.

use std::{sync::Arc, time::Duration};

use super::{
    flag::{AddFlags, CopyFlags, RunFlags},
    heredoc::Heredoc,
    span::{Span, Spanned},
};

/// One instruction: what it says, and how and where it is written.
///
/// Two are equal when they say the same in the same words, wherever they stand.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Instruction {
    /// What it says.
    pub command: Command,
    /// The instruction's name as written, in any case.
    pub keyword: Spanned<String>,
    /// The whole as one line: continuations joined, comments between them dropped, blanks at
    /// both ends trimmed. This is what history and progress show.
    pub text: String,
    /// From the instruction's name to its end, the lines of its here-documents included.
    pub span: Span,
}

impl PartialEq for Instruction {
    fn eq(&self, other: &Self) -> bool {
        self.command == other.command && self.keyword == other.keyword && self.text == other.text
    }
}

impl Eq for Instruction {}

impl Instruction {
    /// The here-documents in the order of their delimiters.
    #[must_use]
    pub fn heredocs(&self) -> &[Heredoc] {
        self.command.heredocs()
    }
}

/// What an instruction says.
///
/// # Spec
/// Dockerfile reference, § Overview.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// `ADD`
    Add(Add),
    /// `ARG`: one or more declarations.
    Arg(Vec<ArgDeclaration>),
    /// `CMD`
    Cmd(CommandLine),
    /// `COPY`
    Copy(Copy),
    /// `ENTRYPOINT`
    Entrypoint(CommandLine),
    /// `ENV`
    Env(KeyValues),
    /// `EXPOSE`: ports in the order written.
    Expose(Vec<Spanned<String>>),
    /// `FROM`
    From(FromImage),
    /// `HEALTHCHECK`
    Healthcheck(Healthcheck),
    /// `LABEL`
    Label(KeyValues),
    /// `MAINTAINER`
    Maintainer(Spanned<String>),
    /// `ONBUILD`
    Onbuild(Onbuild),
    /// `RUN`
    Run(Run),
    /// `SHELL`: never empty.
    Shell(Vec<Spanned<String>>),
    /// `STOPSIGNAL`
    Stopsignal(Spanned<String>),
    /// `USER`
    User(Spanned<String>),
    /// `VOLUME`: never empty.
    Volume(Vec<Spanned<String>>),
    /// `WORKDIR`
    Workdir(Spanned<String>),
}

impl Command {
    /// The instruction's name in upper case.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Add(_) => "ADD",
            Self::Arg(_) => "ARG",
            Self::Cmd(_) => "CMD",
            Self::Copy(_) => "COPY",
            Self::Entrypoint(_) => "ENTRYPOINT",
            Self::Env(_) => "ENV",
            Self::Expose(_) => "EXPOSE",
            Self::From(_) => "FROM",
            Self::Healthcheck(_) => "HEALTHCHECK",
            Self::Label(_) => "LABEL",
            Self::Maintainer(_) => "MAINTAINER",
            Self::Onbuild(_) => "ONBUILD",
            Self::Run(_) => "RUN",
            Self::Shell(_) => "SHELL",
            Self::Stopsignal(_) => "STOPSIGNAL",
            Self::User(_) => "USER",
            Self::Volume(_) => "VOLUME",
            Self::Workdir(_) => "WORKDIR",
        }
    }

    /// The number of its words, or pairs of words, and here-documents.
    pub(super) fn count(&self) -> usize {
        let line = |line: &CommandLine| match line {
            CommandLine::Shell(_) => 1,
            CommandLine::Exec(words) => words.len(),
        };
        let words = match self {
            Self::Add(add) => add.sources.len() + add.flags.exclude.len(),
            Self::Copy(copy) => copy.sources.len() + copy.contents.len() + copy.flags.exclude.len(),
            Self::Arg(declarations) => declarations.len(),
            Self::Env(pairs) | Self::Label(pairs) => pairs.pairs.len(),
            Self::Cmd(command) | Self::Entrypoint(command) => line(command),
            Self::Run(run) => line(&run.command) + run.flags.mounts.len(),
            Self::Expose(words) | Self::Shell(words) | Self::Volume(words) => words.len(),
            Self::Onbuild(onbuild) => match &onbuild.trigger.command {
                Self::Onbuild(_) => 0,
                command => return command.count(),
            },
            _ => 1,
        };
        words + self.heredocs().len()
    }

    fn heredocs(&self) -> &[Heredoc] {
        match self {
            Self::Add(add) => &add.heredocs,
            Self::Copy(copy) => &copy.heredocs,
            Self::Run(run) => &run.heredocs,
            // An ONBUILD never holds another one.
            Self::Onbuild(onbuild) => match &onbuild.trigger.command {
                Self::Onbuild(_) => &[],
                command => command.heredocs(),
            },
            _ => &[],
        }
    }
}

/// `FROM [--platform=…] image [AS alias]`: the begin of a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FromImage {
    /// An image, an earlier stage, or `scratch`; may name variables.
    pub image: Spanned<String>,
    /// The stage's name, in lower case.
    pub alias: Option<Spanned<String>>,
    /// `--platform`; may name variables.
    pub platform: Option<Spanned<String>>,
}

/// One declaration of `ARG name[=default]`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ArgDeclaration {
    /// The variable's name; may itself name variables.
    pub name: Spanned<String>,
    /// The value where none is given; may name variables.
    pub default: Option<Spanned<String>>,
}

/// The pairs of `ENV` and `LABEL`, in the order written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyValues {
    /// The pairs, at least one; both sides may name variables.
    pub pairs: Vec<KeyValue>,
    /// Whether it is written as `ENV key value`, which can only be one pair.
    pub legacy: bool,
}

/// One pair of `ENV` or `LABEL`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyValue {
    /// What stands before the `=`: never empty.
    pub key: Spanned<String>,
    /// What stands behind it.
    pub value: Spanned<String>,
}

/// A command in one of its two forms.
///
/// # Spec
/// Dockerfile reference, § Shell and exec form.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CommandLine {
    /// A line for the shell; may be empty.
    Shell(Spanned<String>),
    /// A JSON array: program and arguments; may be empty.
    Exec(Vec<Spanned<String>>),
}

/// `RUN`
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Run {
    /// `--mount`, `--network`, `--security`.
    pub flags: RunFlags,
    /// The command, the words with `<<` included.
    pub command: CommandLine,
    /// The here-documents of the shell form.
    pub heredocs: Vec<Heredoc>,
}

/// `COPY`
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Copy {
    /// Its flags.
    pub flags: CopyFlags,
    /// The source paths; may be empty where there are here-documents.
    pub sources: Vec<Spanned<String>>,
    /// The files whose content stands in the Dockerfile.
    pub heredocs: Vec<Heredoc>,
    /// The files whose content a program gives; none in what was parsed.
    pub contents: Vec<FileContent>,
    /// The destination.
    pub destination: Spanned<String>,
}

/// A file whose content a program gives, as a here-document does in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileContent {
    /// Its name: one component of a path.
    pub name: String,
    /// Its bytes.
    pub content: Arc<[u8]>,
}

/// `ADD`
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Add {
    /// Its flags.
    pub flags: AddFlags,
    /// The source paths, URLs and repositories; may be empty where there are here-documents.
    pub sources: Vec<Spanned<String>>,
    /// The files whose content stands in the Dockerfile.
    pub heredocs: Vec<Heredoc>,
    /// The destination.
    pub destination: Spanned<String>,
}

/// `HEALTHCHECK`
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Healthcheck {
    /// `NONE`: the base's check is switched off.
    None,
    /// `CMD …`
    Check(HealthcheckTest),
}

/// The check of `HEALTHCHECK`; what is absent or zero is inherited.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HealthcheckTest {
    /// The command, never empty.
    pub command: CommandLine,
    /// `--interval`: from one check to the next.
    pub interval: Option<Duration>,
    /// `--timeout`: how long one may take.
    pub timeout: Option<Duration>,
    /// `--start-period`: how long failures do not count after the start.
    pub start_period: Option<Duration>,
    /// `--start-interval`: from one check to the next in that time.
    pub start_interval: Option<Duration>,
    /// `--retries`: failures in a row that make the container unhealthy.
    pub retries: Option<u32>,
}

impl HealthcheckTest {
    /// Runs a program with its arguments; the program comes first.
    #[must_use]
    pub fn exec(args: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let args = args.into_iter().map(|arg| Spanned::new(arg.into(), Span::default()));
        Self::new(CommandLine::Exec(args.collect()))
    }

    /// Runs a line by the shell.
    #[must_use]
    pub fn shell(line: impl Into<String>) -> Self {
        Self::new(CommandLine::Shell(Spanned::new(line.into(), Span::default())))
    }

    fn new(command: CommandLine) -> Self {
        Self { command, interval: None, timeout: None, start_period: None, start_interval: None, retries: None }
    }

    /// With so much time from one check to the next.
    #[must_use]
    pub fn with_interval(self, interval: Duration) -> Self {
        Self { interval: Some(interval), ..self }
    }

    /// With so much time for one.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }

    /// With so much time after the start in which failures do not count.
    #[must_use]
    pub fn with_start_period(self, start_period: Duration) -> Self {
        Self { start_period: Some(start_period), ..self }
    }

    /// With so much time from one check to the next in that time.
    #[must_use]
    pub fn with_start_interval(self, start_interval: Duration) -> Self {
        Self { start_interval: Some(start_interval), ..self }
    }

    /// With so many failures in a row that make the container unhealthy.
    #[must_use]
    pub fn with_retries(self, retries: u32) -> Self {
        Self { retries: Some(retries), ..self }
    }
}

/// `ONBUILD`
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Onbuild {
    /// The instruction to run in a build on top of the image; never ONBUILD, FROM or MAINTAINER.
    pub trigger: Box<Instruction>,
    /// The trigger as the image's configuration keeps it: its line and its here-documents.
    pub expression: String,
}
