//! Expansion of the words of one instruction.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    dockerfile::{Dockerfile, Heredoc, Rule, Span, Spanned, Warning},
    env::Env,
    error::{Error, Result, excerpt},
    suggest::nearest,
};

use super::{
    lexer::{Expansion, Fault, Quotes, VALUE, Variables, expand},
    pattern::Work,
};

/// The most bytes of values that go into one instruction.
const INSTRUCTION: u64 = 1 << 20;

/// The most undefined variables of one instruction that warnings tell of.
const WARNINGS: usize = 16;

/// The most variables that are compared with an undefined one.
const CANDIDATES: usize = 1000;

/// Puts the values of variables into the words of one instruction, and keeps account of them.
///
/// In instructions that a program gives ([`ImageSteps`](crate::ImageSteps)) there is nothing to expand: their words are
/// values.
///
/// Make one for each instruction: its limits are those of an instruction, 64 KiB for a word
/// and 1 MiB for all values together.
///
/// ```
/// use image_build::{Env, dockerfile::{Command, Dockerfile}, expand::Expander};
///
/// let file = Dockerfile::parse("FROM scratch\nWORKDIR /srv/${APP:-app}/$VERSION\n")?;
/// let Command::Workdir(path) = &file.instructions()[1].command else { panic!("WORKDIR") };
/// let env = Env::from_config(["VERSION=1.2"]);
/// let mut expander = Expander::new(&file, &env);
/// assert_eq!(expander.word(path)?, "/srv/app/1.2");
/// assert_eq!(expander.variables()["VERSION"].as_deref(), Some("1.2"));
/// assert_eq!(expander.variables()["APP"], None);
/// # Ok::<(), image_build::Error>(())
/// ```
#[derive(Debug)]
pub struct Expander<'a> {
    file: &'a Dockerfile,
    env: &'a Env,
    rule: Rule,
    account: Account<'a>,
    warnings: Vec<Warning>,
}

impl<'a> Expander<'a> {
    /// An expander for one instruction of a file.
    #[must_use]
    pub fn new(file: &'a Dockerfile, env: &'a Env) -> Self {
        let account = Account {
            env,
            values: INSTRUCTION,
            work: Work::default(),
            used: BTreeMap::new(),
            undefined: Vec::new(),
            reported: BTreeSet::new(),
        };
        Self { file, env, rule: Rule::UndefinedVar, account, warnings: Vec::new() }
    }

    /// Speaks of FROM in warnings, which knows only the variables before the first FROM.
    #[must_use]
    pub fn for_from(self) -> Self {
        Self { rule: Rule::UndefinedArgInFrom, ..self }
    }

    /// Expands a word to one string, quotes and escapes removed.
    ///
    /// # Errors
    /// [`Error::Dockerfile`] where a quote or a substitution is not well-formed or a
    /// variable that must be set is not; [`Error::LimitExceeded`].
    ///
    /// # Spec
    /// Dockerfile reference, § Environment replacement.
    pub fn word(&mut self, word: &Spanned<String>) -> Result<String> {
        if self.file.is_literal() {
            return Ok(word.value.clone());
        }
        let expansion = self.expand(&word.value, word.span, self.file.escape(), Quotes::Removed)?;
        if expansion.text.len() > VALUE {
            return Err(self.error(word, Fault::Limit("an expanded value", VALUE as u64)));
        }
        Ok(expansion.text)
    }

    /// Expands a word and splits the result at the blanks that are neither quoted nor escaped;
    /// an empty value is no word.
    ///
    /// # Errors
    /// As [`Expander::word`].
    pub fn words(&mut self, word: &Spanned<String>) -> Result<Vec<String>> {
        if self.file.is_literal() {
            return Ok(vec![word.value.clone()]);
        }
        let expansion = self.expand(&word.value, word.span, self.file.escape(), Quotes::Removed)?;
        if expansion.text.len() > VALUE {
            return Err(self.error(word, Fault::Limit("an expanded value", VALUE as u64)));
        }
        Ok(expansion.words)
    }

    /// The body of a here-document of COPY or ADD, expanded unless its delimiter is quoted.
    ///
    /// Quotes are text. A backslash escapes any character, as BuildKit has it, where a shell
    /// would keep one before a character that needs none: a warning tells of that.
    ///
    /// # Errors
    /// As [`Expander::word`], but for the length of the body.
    ///
    /// # Spec
    /// Dockerfile reference, § Here-Documents.
    pub fn heredoc(&mut self, heredoc: &Heredoc) -> Result<String> {
        let body = heredoc.body();
        if !heredoc.expand {
            return Ok(body.into_owned());
        }
        let expansion = self.expand(&body, heredoc.content_span, '\\', Quotes::Kept)?;
        if let Some(at) = expansion.dropped {
            let span = self.narrow(&body, heredoc.content_span, at);
            let message = "the backslash is dropped, though a shell would keep it: write two".to_owned();
            self.warn(Rule::HeredocBackslash, span, message);
        }
        Ok(expansion.text)
    }

    /// The variables asked for up to now, each with its value or with none where it is unset.
    #[must_use]
    pub fn variables(&self) -> &BTreeMap<String, Option<String>> {
        &self.account.used
    }

    /// What is unwise in the words expanded up to now.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    fn expand(&mut self, text: &str, span: Span, escape: char, quotes: Quotes) -> Result<Expansion> {
        let expansion = expand(text, escape, quotes, &mut self.account);
        for name in std::mem::take(&mut self.account.undefined) {
            let meant = nearest(&name, self.env.iter().take(CANDIDATES).map(|(name, _)| name));
            let meant = meant.map(|name| format!(" (did you mean ${name}?)")).unwrap_or_default();
            let name = excerpt(&name, 64);
            let message = match self.rule {
                Rule::UndefinedArgInFrom => format!("FROM argument '{name}' is not declared{meant}"),
                _ => format!("Usage of undefined variable '${name}'{meant}"),
            };
            self.warn(self.rule, span, message);
        }
        expansion.map_err(|fault| self.error(&Spanned::new(text.to_owned(), span), fault))
    }

    fn warn(&mut self, rule: Rule, span: Span, message: String) {
        if self.file.checks().wants(rule) {
            self.warnings.push(Warning { rule, message, span });
        }
    }

    fn error(&self, word: &Spanned<String>, fault: Fault) -> Error {
        match fault {
            Fault::Syntax(at, reason) => self.file.fault(self.narrow(&word.value, word.span, at), reason),
            Fault::Limit(what, limit) => {
                let location = self.file.source().location(word.span);
                Error::LimitExceeded { what: format!("{location}: {what}"), limit }
            }
        }
    }

    /// The span from a byte of a word to the word's end; all of it where the word is not
    /// written as it is, because of a continuation.
    fn narrow(&self, text: &str, span: Span, at: usize) -> Span {
        if self.file.original(span) == text { self.file.source().span(span.start + at, span.end) } else { span }
    }
}

/// What the values of one instruction cost, and which they are.
#[derive(Debug)]
struct Account<'a> {
    env: &'a Env,
    /// The bytes that values may still have.
    values: u64,
    work: Work,
    used: BTreeMap<String, Option<String>>,
    /// The unset variables of which a warning is still to be given.
    undefined: Vec<String>,
    /// Those of which one is given, which is once.
    reported: BTreeSet<String>,
}

impl Variables for Account<'_> {
    fn value(&mut self, name: &str, optional: bool) -> Result<Option<String>, Fault> {
        let value = self.env.get(name);
        self.charge(value.map_or(0, str::len))?;
        if !self.used.contains_key(name) {
            self.used.insert(name.to_owned(), value.map(str::to_owned));
        }
        let report = !optional && self.reported.len() < WARNINGS && !self.env.knows(name);
        if report && self.reported.insert(name.to_owned()) {
            self.undefined.push(name.to_owned());
        }
        Ok(value.map(str::to_owned))
    }

    fn charge(&mut self, bytes: usize) -> Result<(), Fault> {
        let limit = Fault::Limit("all values of an instruction", INSTRUCTION);
        self.values = self.values.checked_sub(bytes as u64).ok_or(limit)?;
        Ok(())
    }

    fn work(&mut self) -> &mut Work {
        &mut self.work
    }
}
