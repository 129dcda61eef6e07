//! Warnings: what is allowed but unwise.

use std::{collections::HashMap, fmt};

use crate::error::{Result, excerpt};

use super::{
    instruction::{Command, CommandLine, Instruction, KeyValues},
    source::Source,
    span::{Span, Spanned},
};

/// A warning of a Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Warning {
    /// The rule.
    pub rule: Rule,
    /// What is wrong here.
    pub message: String,
    /// Where.
    pub span: Span,
}

impl fmt::Display for Warning {
    /// `line:column: rule: message`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.span, self.rule, self.message)
    }
}

macro_rules! rules {
    ($($(#[$doc:meta])+ $name:ident,)+) => {
        /// A rule of which a [`Warning`] tells.
        ///
        /// # Spec
        /// Dockerfile reference, Build checks: the names are those that the `check` directive skips by.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Rule {
            $($(#[$doc])+ $name,)+
        }

        impl Rule {
            /// The rule's name.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)+ }
            }
        }
    };
}

rules! {
    /// Instructions are all in upper case or all in lower case.
    ConsistentInstructionCasing,
    /// COPY and ADD take nothing that the ignore file leaves out.
    CopyIgnoredFile,
    /// The name of a stage is given once.
    DuplicateStageName,
    /// A port is exposed without an address or a port of the host.
    ExposeInvalidFormat,
    /// The protocol of a port is in lower case.
    ExposeProtoCasing,
    /// FROM and AS are in the same case.
    FromAsCasing,
    /// A platform of FROM names a variable.
    FromPlatformFlagConstDisallowed,
    /// A here-document of COPY or ADD loses a backslash that a shell would keep.
    HeredocBackslash,
    /// A base image is for the platform that is built for.
    InvalidBaseImagePlatform,
    /// The defaults of ARG make a name of an image in FROM.
    InvalidDefaultArgInFrom,
    /// A comment right above a stage or an ARG begins with its name. Only where `experimental` asks for it.
    InvalidDefinitionDescription,
    /// CMD and ENTRYPOINT are JSON arrays, so that signals reach the program.
    JSONArgsRecommended,
    /// ENV and LABEL are written with `=`.
    LegacyKeyValueFormat,
    /// A label names the author.
    MaintainerDeprecated,
    /// Of CMD, ENTRYPOINT and HEALTHCHECK a stage has one.
    MultipleInstructionsDisallowed,
    /// No line between continued ones is empty.
    NoEmptyContinuation,
    /// A platform of FROM is not the one that it has anyway.
    RedundantTargetPlatform,
    /// A stage is not called `scratch` or `context`.
    ReservedStageName,
    /// No ARG or ENV is named as a secret.
    SecretsUsedInArgOrEnv,
    /// The name of a stage is in lower case.
    StageNameCasing,
    /// A variable of FROM is declared before the first FROM.
    UndefinedArgInFrom,
    /// A variable is defined where it is used.
    UndefinedVar,
    /// A relative WORKDIR has an absolute one before it.
    WorkdirRelativePath,
}

impl Rule {
    /// Whether it is only given where the `check` directive asks for it by `experimental`.
    #[must_use]
    pub fn is_experimental(self) -> bool {
        self == Self::InvalidDefinitionDescription
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the `check` directive says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Checks {
    /// Whether `skip=all` leaves out every warning.
    pub skip_all: bool,
    /// The names of rules after `skip=`.
    pub skip: Vec<String>,
    /// Whether `experimental=all` asks for every rule that is not given by itself.
    pub experimental_all: bool,
    /// The names of such rules after `experimental=`.
    pub experimental: Vec<String>,
    /// Whether `error=true` makes an error of a warning; the build obeys it.
    pub error: bool,
}

impl Checks {
    /// Whether a rule is asked for.
    #[must_use]
    pub fn wants(&self, rule: Rule) -> bool {
        let names = |names: &[String]| names.iter().any(|name| name.eq_ignore_ascii_case(rule.as_str()));
        let is_given = !rule.is_experimental() || self.experimental_all || names(&self.experimental);
        is_given && !self.skip_all && !names(&self.skip)
    }

    /// Reads `skip=Rule,Rule;error=true`.
    pub(super) fn parse(text: &Spanned<String>, source: &Source) -> Result<Self> {
        let mut checks = Self::default();
        for option in text.value.split(';') {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            match (name.trim(), value.trim()) {
                ("skip", "all") => checks.skip_all = true,
                ("skip", names) => checks.skip = list(names),
                ("experimental", "all") => checks.experimental_all = true,
                ("experimental", names) => checks.experimental = list(names),
                ("error", "true" | "True" | "TRUE" | "t" | "T" | "1") => checks.error = true,
                ("error", "false" | "False" | "FALSE" | "f" | "F" | "0") => checks.error = false,
                _ => {
                    let reason = format!("invalid check option {:?}", excerpt(option.trim(), 64));
                    return Err(source.fault(text.span, reason));
                }
            }
        }
        Ok(checks)
    }
}

fn list(names: &str) -> Vec<String> {
    names.split(',').map(|name| name.trim().to_owned()).collect()
}

/// The warnings gathered so far.
pub(super) struct Lints {
    checks: Checks,
    warnings: Vec<Warning>,
}

impl Lints {
    pub(super) fn new(checks: Checks) -> Self {
        Self { checks, warnings: Vec::new() }
    }

    pub(super) fn add(&mut self, rule: Rule, span: Span, message: String) {
        if self.checks.wants(rule) {
            self.warnings.push(Warning { rule, message, span });
        }
    }

    pub(super) fn finish(mut self) -> Vec<Warning> {
        self.warnings.sort_by_key(|warning| (warning.span, warning.rule));
        self.warnings
    }
}

/// What a stage has so far.
#[derive(Default)]
struct Stage {
    cmd: Option<Span>,
    entrypoint: Option<Span>,
    healthcheck: Option<Span>,
    shell: bool,
    workdir: bool,
}

/// Gathers the warnings that need no expansion.
pub(super) fn lint(source: &Source, instructions: &[Instruction], lints: &mut Lints) {
    casing(instructions, lints);
    instructions.iter().for_each(|instruction| description(source, instruction, lints));
    let mut stages = HashMap::new();
    let mut stage = Stage::default();
    let mut name = None;
    for instruction in instructions {
        if let Command::From(from) = &instruction.command {
            if let Some(before) = name.replace(from.alias.as_ref()).flatten() {
                stages.insert(before.as_str(), stage.workdir);
            }
            // A stage on another one has that one's WORKDIR.
            let workdir = stages.get(from.image.value.to_lowercase().as_str()).copied().unwrap_or_default();
            stage = Stage { workdir, ..Stage::default() };
            if let Some(alias) = &from.alias {
                stage_name(instruction, alias, stages.contains_key(alias.as_str()), lints);
            }
            if let Some(platform) = from.platform.as_ref().filter(|platform| !platform.value.contains('$')) {
                let message = format!("FROM --platform flag should not use constant value {:?}", short(platform));
                lints.add(Rule::FromPlatformFlagConstDisallowed, platform.span, message);
            }
            if let Some(platform) = from.platform.as_ref().filter(|platform| is_target(platform)) {
                let message = format!(
                    "Setting platform to predefined {platform} in FROM is redundant as this is the default behavior"
                );
                lints.add(Rule::RedundantTargetPlatform, platform.span, message);
            }
        }
        in_stage(instruction, &mut stage, lints);
    }
}

fn is_target(platform: &Spanned<String>) -> bool {
    matches!(platform.as_str(), "$TARGETPLATFORM" | "${TARGETPLATFORM}")
}

/// A comment on the line above a named stage or an ARG is taken to describe it.
fn description(source: &Source, instruction: &Instruction, lints: &mut Lints) {
    let names: Vec<&str> = match &instruction.command {
        Command::From(from) => from.alias.iter().map(Spanned::as_str).collect(),
        Command::Arg(declarations) => declarations.iter().map(|arg| arg.name.as_str()).collect(),
        _ => return,
    };
    let comment = source.line_above(instruction.span).and_then(|line| line.trim().strip_prefix('#'));
    let (Some(comment), [first, rest @ ..]) = (comment, names.as_slice()) else { return };
    if comment.split_whitespace().next().is_some_and(|word| names.iter().any(|name| word.eq_ignore_ascii_case(name))) {
        return;
    }
    let name = if rest.is_empty() { first } else { "<arg_key>" };
    let keyword = instruction.command.name();
    let message = format!("Comment for {keyword} should follow the format: `# {name} <description>`");
    lints.add(Rule::InvalidDefinitionDescription, instruction.keyword.span, message);
}

fn short(text: &Spanned<String>) -> String {
    excerpt(&text.value, 64)
}

fn casing(instructions: &[Instruction], lints: &mut Lints) {
    let lower = |name: &str| !name.contains(|c: char| c.is_ascii_uppercase());
    let upper = |name: &str| !name.contains(|c: char| c.is_ascii_lowercase());
    let count = |is: &dyn Fn(&str) -> bool| instructions.iter().filter(|i| is(i.keyword.as_str())).count();
    let mostly_lower = count(&lower) > count(&upper);
    for keyword in instructions.iter().map(|instruction| &instruction.keyword) {
        let (consistent, case) =
            if mostly_lower { (lower(keyword.as_str()), "lowercase") } else { (upper(keyword.as_str()), "uppercase") };
        if !consistent {
            let message = format!("Command '{keyword}' should match the case of the command majority ({case})");
            lints.add(Rule::ConsistentInstructionCasing, keyword.span, message);
        }
    }
}

fn stage_name(from: &Instruction, alias: &Spanned<String>, duplicate: bool, lints: &mut Lints) {
    let name = short(alias);
    // The alias is in lower case; the line has it as written, behind AS.
    let mut written = from.text.split_whitespace().rev();
    let (as_written, keyword) = (written.next().unwrap_or_default(), written.next().unwrap_or_default());
    if as_written != alias.value {
        let message = format!("Stage name '{}' should be lowercase", excerpt(as_written, 64));
        lints.add(Rule::StageNameCasing, alias.span, message);
    }
    let differs = match from.keyword.as_str() {
        "FROM" => keyword != "AS",
        "from" => keyword != "as",
        _ => false,
    };
    if differs {
        let message = format!("'{keyword}' and '{}' keywords' casing do not match", from.keyword);
        lints.add(Rule::FromAsCasing, from.keyword.span, message);
    }
    if matches!(alias.as_str(), "scratch" | "context") {
        let message = format!("Stage name should not use the same name as reserved stage {name:?}");
        lints.add(Rule::ReservedStageName, alias.span, message);
    }
    if duplicate {
        let message = format!("Duplicate stage name {name:?}, stage names should be unique");
        lints.add(Rule::DuplicateStageName, alias.span, message);
    }
}

fn in_stage(instruction: &Instruction, stage: &mut Stage, lints: &mut Lints) {
    let name = instruction.command.name();
    let once = |before: &mut Option<Span>, lints: &mut Lints| {
        if let Some(before) = before.replace(instruction.span) {
            let message = format!(
                "Multiple {name} instructions should not be used in the same stage because only the last one will be used"
            );
            lints.add(Rule::MultipleInstructionsDisallowed, before, message);
        }
    };
    match &instruction.command {
        Command::Cmd(line) => {
            once(&mut stage.cmd, lints);
            json_recommended(instruction, line, stage, lints);
        }
        Command::Entrypoint(line) => {
            once(&mut stage.entrypoint, lints);
            json_recommended(instruction, line, stage, lints);
        }
        Command::Healthcheck(_) => once(&mut stage.healthcheck, lints),
        Command::Shell(_) => stage.shell = true,
        Command::Maintainer(_) => {
            let message = "Maintainer instruction is deprecated in favor of using label".into();
            lints.add(Rule::MaintainerDeprecated, instruction.span, message);
        }
        Command::Label(pairs) => legacy(instruction, pairs, lints),
        Command::Env(pairs) => {
            legacy(instruction, pairs, lints);
            pairs.pairs.iter().for_each(|pair| secret(name, &pair.key, lints));
        }
        Command::Arg(declarations) => declarations.iter().for_each(|arg| secret(name, &arg.name, lints)),
        Command::Workdir(path) => {
            let relative = !path.value.trim_start_matches(['"', '\'']).starts_with(['/', '$']);
            if relative && !std::mem::replace(&mut stage.workdir, true) {
                let message =
                    format!("Relative workdir {:?} can have unexpected results if the base image changes", short(path));
                lints.add(Rule::WorkdirRelativePath, instruction.span, message);
            }
            stage.workdir = true;
        }
        Command::Expose(ports) => ports.iter().for_each(|port| exposed(port, lints)),
        _ => {}
    }
}

fn json_recommended(instruction: &Instruction, line: &CommandLine, stage: &Stage, lints: &mut Lints) {
    if matches!(line, CommandLine::Shell(_)) && !stage.shell {
        let name = instruction.command.name();
        let message =
            format!("JSON arguments recommended for {name} to prevent unintended behavior related to OS signals");
        lints.add(Rule::JSONArgsRecommended, instruction.span, message);
    }
}

fn legacy(instruction: &Instruction, pairs: &KeyValues, lints: &mut Lints) {
    if pairs.legacy {
        let name = instruction.command.name();
        let message = format!("\"{name} key=value\" should be used instead of legacy \"{name} key value\" format");
        lints.add(Rule::LegacyKeyValueFormat, instruction.span, message);
    }
}

/// A name of which one word is a secret's, and none says that it is public.
fn secret(instruction: &str, key: &Spanned<String>, lints: &mut Lints) {
    const SECRET: [&str; 10] =
        ["apikey", "auth", "credential", "credentials", "key", "password", "pword", "passwd", "secret", "token"];
    const HARMLESS: [&str; 3] = ["public", "file", "version"];
    let holds = |words: &[&str]| key.value.split('_').any(|part| words.iter().any(|w| part.eq_ignore_ascii_case(w)));
    if holds(&SECRET) && !holds(&HARMLESS) {
        let message = format!("Do not use ARG or ENV instructions for sensitive data ({instruction} {:?})", short(key));
        lints.add(Rule::SecretsUsedInArgOrEnv, key.span, message);
    }
}

fn exposed(port: &Spanned<String>, lints: &mut Lints) {
    if port.value.contains('$') {
        return;
    }
    let (address, protocol) = port.value.split_once('/').unwrap_or((&port.value, ""));
    if protocol.contains(|c: char| c.is_ascii_uppercase()) {
        let message = format!("Defined protocol '{}' in EXPOSE instruction should be lowercase", short(port));
        lints.add(Rule::ExposeProtoCasing, port.span, message);
    }
    if address.contains(':') {
        let message =
            format!("EXPOSE instruction should not define an IP address or host-port mapping, found '{}'", short(port));
        lints.add(Rule::ExposeInvalidFormat, port.span, message);
    }
}
