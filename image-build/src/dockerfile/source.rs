//! The text of a Dockerfile, its lines, and the excerpts that errors show of it.

use std::{cell::Cell, fmt, sync::Arc};

use crate::error::Error;

use super::span::Span;

/// The most characters of one line that an excerpt shows.
const EXCERPT: usize = 120;

/// A Dockerfile's name and text; cheap to clone.
#[derive(Clone)]
pub(crate) struct Source {
    name: Arc<str>,
    text: Arc<str>,
    /// The offset of the first byte of each line.
    starts: Arc<Vec<u32>>,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("name", &self.name).field("bytes", &self.text.len()).finish()
    }
}

impl Source {
    pub(crate) fn new(name: &str, text: &str) -> Self {
        let first = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        let rest = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        let starts = std::iter::once(first).chain(rest).map_while(|at| u32::try_from(at).ok()).collect();
        Self { name: name.into(), text: text.into(), starts: Arc::new(starts) }
    }

    /// The offset of the first byte of a line, counted from 0.
    fn start(&self, line: usize) -> usize {
        self.starts.get(line).map_or(0, |start| *start as usize)
    }

    /// The line above the one that `span` begins on.
    pub(super) fn line_above(&self, span: Span) -> Option<&str> {
        let above = (span.line as usize).checked_sub(2)?;
        self.text.get(self.start(above)..self.start(above + 1))
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The text that `span` names; empty where it is not one of this text.
    pub(crate) fn slice(&self, span: Span) -> &str {
        self.text.get(span.start..span.end).unwrap_or_default()
    }

    pub(crate) fn span(&self, start: usize, end: usize) -> Span {
        Locator::new(self).span(start, end)
    }

    /// The error that the text at `span` breaks a rule.
    pub(crate) fn fault(&self, span: Span, reason: impl Into<String>) -> Error {
        self.fault_like(span, reason, None)
    }

    /// The error that the text at `span` breaks a rule, with what may have been meant.
    pub(crate) fn fault_like(&self, span: Span, reason: impl Into<String>, suggestion: Option<String>) -> Error {
        Error::Dockerfile { location: Box::new(self.location(span)), reason: reason.into(), suggestion }
    }

    /// Where `span` is, with what an error shows of it.
    pub(crate) fn location(&self, span: Span) -> Location {
        let start = self.start(span.line.saturating_sub(1) as usize);
        let line = self.text.get(start..).unwrap_or_default().lines().next().unwrap_or_default();
        let column = span.column.saturating_sub(1) as usize;
        let skipped = column.saturating_sub(EXCERPT / 2);
        let excerpt: String = line.chars().skip(skipped).take(EXCERPT).map(printable).collect();
        let marked = line.get(span.start.saturating_sub(start)..).unwrap_or_default();
        let marked = marked.char_indices().take_while(|(at, _)| *at < span.len()).count();
        Location { file: Arc::clone(&self.name), span, excerpt, indent: column - skipped, marked: marked.max(1) }
    }
}

/// A terminal obeys control characters, and an excerpt is foreign text.
fn printable(c: char) -> char {
    if c.is_control() && c != '\t' { '\u{fffd}' } else { c }
}

/// Finds lines and columns; in linear time when asked in ascending order.
pub(crate) struct Locator<'a> {
    source: &'a Source,
    /// An offset found before, its line counted from 0, and its column counted from 0.
    last: Cell<(usize, usize, usize)>,
}

impl<'a> Locator<'a> {
    pub(crate) fn new(source: &'a Source) -> Self {
        Self { source, last: Cell::new((source.start(0), 0, 0)) }
    }

    pub(crate) fn source(&self) -> &'a Source {
        self.source
    }

    pub(crate) fn span(&self, start: usize, end: usize) -> Span {
        let (line, column) = self.place(start);
        let place = |number: usize| u32::try_from(number).unwrap_or(u32::MAX).saturating_add(1);
        Span { start, end: end.max(start), line: place(line), column: place(column) }
    }

    fn place(&self, offset: usize) -> (usize, usize) {
        let line = self.source.starts.partition_point(|start| *start as usize <= offset).saturating_sub(1);
        let (known, known_line, known_column) = self.last.get();
        let (from, column) =
            if known_line == line && known <= offset { (known, known_column) } else { (self.source.start(line), 0) };
        let column = column + self.source.text.get(from..offset).map_or(0, |text| text.chars().count());
        self.last.set((offset, line, column));
        (line, column)
    }
}

/// A place in a Dockerfile, and what stands there.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Location {
    file: Arc<str>,
    span: Span,
    /// The line, or the part of it around the place.
    excerpt: String,
    /// The characters of the excerpt before the place.
    indent: usize,
    /// The characters to mark.
    marked: usize,
}

impl Location {
    /// The Dockerfile's name.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The place.
    #[must_use]
    pub fn span(&self) -> Span {
        self.span
    }

    /// The line with a caret below each character that this is about; nothing where that is the file as a whole.
    pub(crate) fn picture(&self) -> String {
        if self.excerpt.is_empty() || self.is_whole_file() {
            return String::new();
        }
        let number = self.span.line.to_string();
        let margin = " ".repeat(number.len());
        // Tabs stay, so that the carets stand below what they mark however wide a tab is shown.
        let indent: String =
            self.excerpt.chars().take(self.indent).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        let shown = self.excerpt.chars().count().saturating_sub(self.indent).max(1);
        let carets = "^".repeat(self.marked.min(shown));
        format!("\n{margin} |\n{number} | {}\n{margin} | {indent}{carets}", self.excerpt)
    }

    /// Lines are counted from 1.
    fn is_whole_file(&self) -> bool {
        self.span.line == 0
    }
}

impl fmt::Display for Location {
    /// `file:line:column`, or `file` where no place in it is meant.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_whole_file() {
            return f.write_str(&self.file);
        }
        write!(f, "{}:{}", self.file, self.span)
    }
}
