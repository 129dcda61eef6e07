//! From the lines of a file to its instructions.

use crate::{
    error::{Error, Result, excerpt},
    suggest::nearest,
};

use super::{
    command::{Words, array},
    flag::FlagWords,
    heredoc::heredocs,
    instruction::{Command, Instruction, Onbuild},
    line::{BLANKS, Fragment, Line, Lines, LogicalLine, continued},
    lint::{Lints, Rule},
    source::Locator,
};

/// The most bytes of one instruction, its here-documents aside.
const INSTRUCTION: usize = 1 << 20;

const NAMES: [&str; 18] = [
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// Where an instruction stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// On a line of its own.
    Line,
    /// Behind ONBUILD.
    Trigger,
}

pub(super) struct Parser<'a> {
    locator: &'a Locator<'a>,
    lines: Lines<'a>,
    escape: char,
    lints: &'a mut Lints,
}

impl<'a> Parser<'a> {
    pub(super) fn new(locator: &'a Locator<'a>, escape: char, lints: &'a mut Lints) -> Self {
        Self { locator, lines: Lines::new(locator.source().text()), escape, lints }
    }

    /// The next instruction; nothing at the end of the file.
    pub(super) fn next(&mut self) -> Result<Option<Instruction>> {
        while let Some(line) = self.lines.next() {
            if !line.is_comment() && !line.is_blank() {
                let line = self.join(line)?;
                return self.instruction(line.fragment(self.locator).trim(), Place::Line).map(Some);
            }
        }
        Ok(None)
    }

    /// Joins a line with those that it continues on.
    ///
    /// # Spec
    /// Dockerfile reference, § Format and § escape: comment lines between are dropped, and so,
    /// with a warning, are empty ones; blanks at the begin of a later line stay.
    fn join(&mut self, first: Line<'_>) -> Result<LogicalLine> {
        let mut joined = LogicalLine::default();
        let mut empty = None;
        let text = first.text();
        let mut more =
            self.append(&mut joined, text.trim_start(), first.start + (text.len() - text.trim_start().len()))?;
        while more {
            let Some(line) = self.lines.next() else { break };
            if line.is_comment() {
                continue;
            }
            if line.is_blank() {
                empty.get_or_insert(line.start);
                continue;
            }
            more = self.append(&mut joined, line.text(), line.start)?;
        }
        if let Some(start) = empty {
            self.lints.add(
                Rule::NoEmptyContinuation,
                self.locator.span(start, start),
                "empty continuation line".into(),
            );
        }
        Ok(joined)
    }

    /// Adds a line to those before it, and says whether the next one belongs to it too.
    fn append(&self, joined: &mut LogicalLine, text: &str, start: usize) -> Result<bool> {
        let before = continued(text, self.escape);
        joined.push(before.unwrap_or(text), start);
        if joined.len() > INSTRUCTION {
            let location = self.locator.source().location(joined.fragment(self.locator).slice(0..0).span());
            return Err(Error::LimitExceeded {
                what: format!("{location}: an instruction"),
                limit: INSTRUCTION as u64,
            });
        }
        Ok(before.is_some())
    }

    fn instruction(&mut self, whole: Fragment<'_>, place: Place) -> Result<Instruction> {
        let (keyword, rest) = whole.cut(|c| BLANKS.contains(&c));
        let name = name(keyword)?;
        let (flags, arguments) = FlagWords::split(name, rest, self.escape);
        let mut words =
            Words { name, keyword, flags, arguments, array: None, heredocs: Vec::new(), escape: self.escape };
        if matches!(name, "ADD" | "CMD" | "COPY" | "ENTRYPOINT" | "RUN" | "SHELL" | "VOLUME") {
            words.array = array(arguments)?;
        }
        let mut end = None;
        if matches!(name, "ADD" | "COPY" | "RUN") && words.array.is_none() {
            (words.heredocs, end) = heredocs(whole, &mut self.lines, self.locator)?;
        }
        let mut span = whole.span();
        span.end = end.unwrap_or(span.end);
        let command = match (name, place) {
            ("ONBUILD", Place::Trigger) => return Err(keyword.fault("ONBUILD cannot trigger ONBUILD")),
            ("FROM" | "MAINTAINER", Place::Trigger) => {
                return Err(keyword.fault(format!("ONBUILD cannot trigger {name}")));
            }
            ("ONBUILD", Place::Line) => {
                words.required()?;
                words.flags.finish()?;
                let trigger = self.instruction(arguments, Place::Trigger)?;
                span.end = span.end.max(trigger.span.end);
                Command::Onbuild(Onbuild { expression: trigger.to_string(), trigger: Box::new(trigger) })
            }
            _ => words.command()?,
        };
        Ok(Instruction { command, keyword: keyword.text(), text: whole.as_str().to_owned(), span })
    }
}

/// The instruction's name in upper case.
fn name(keyword: Fragment<'_>) -> Result<&'static str> {
    let upper = keyword.as_str().to_ascii_uppercase();
    NAMES.iter().find(|name| **name == upper).copied().ok_or_else(|| {
        if keyword.is_empty() {
            return keyword.fault("a continued line without an instruction");
        }
        let lower = !keyword.as_str().contains(|c: char| c.is_ascii_uppercase());
        let meant = nearest(&upper, NAMES).map(|name| if lower { name.to_ascii_lowercase() } else { name.to_owned() });
        keyword.fault_like(format!("unknown instruction {}", excerpt(keyword.as_str(), 64)), meant)
    })
}
