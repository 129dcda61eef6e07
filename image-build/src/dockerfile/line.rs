//! From the lines of a file to the lines that instructions stand on.

use std::ops::Range;

use crate::error::Error;

use super::{
    source::{Locator, Source},
    span::{Span, Spanned},
};

/// A line of the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    /// The offset of its first byte.
    pub(super) start: usize,
    /// All of it, line end included.
    pub(super) full: &'a str,
}

impl<'a> Line<'a> {
    /// It without its line end.
    pub(super) fn text(self) -> &'a str {
        self.full.trim_end_matches(['\r', '\n'])
    }

    pub(super) fn is_comment(self) -> bool {
        self.full.trim_start().starts_with('#')
    }

    pub(super) fn is_blank(self) -> bool {
        self.full.trim_start().is_empty()
    }
}

/// The lines of a file.
#[derive(Clone, Debug)]
pub(super) struct Lines<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lines<'a> {
    /// The lines, without a byte order mark before the first.
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: text.len() - text.trim_start_matches('\u{feff}').len() }
    }

    /// The offset of the next line.
    pub(super) fn offset(&self) -> usize {
        self.at
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        let start = self.at;
        let full = self.text.get(start..)?.split_inclusive('\n').next()?;
        self.at += full.len();
        Some(Line { start, full })
    }
}

/// What stands before the escape character that continues a line; nothing where none does.
///
/// # Spec
/// Dockerfile reference, § escape: an escape character before it takes its meaning away.
pub(super) fn continued(text: &str, escape: char) -> Option<&str> {
    let before = text.trim_end_matches([' ', '\t']).strip_suffix(escape)?;
    (!before.ends_with(escape)).then_some(before)
}

/// Lines of the file joined to the one that an instruction stands on.
#[derive(Debug, Default)]
pub(super) struct LogicalLine {
    text: String,
    /// Offsets in `text`, ascending, each with the offset in the file that it comes from.
    pieces: Vec<(usize, usize)>,
}

impl LogicalLine {
    pub(super) fn push(&mut self, text: &str, start: usize) {
        if !text.is_empty() || self.pieces.is_empty() {
            self.pieces.push((self.text.len(), start));
            self.text.push_str(text);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    pub(super) fn fragment<'a>(&'a self, locator: &'a Locator<'a>) -> Fragment<'a> {
        Fragment { line: self, locator, start: 0, end: self.text.len() }
    }

    /// Where a byte of the line stands in the file.
    fn offset(&self, at: usize) -> usize {
        let next = self.pieces.partition_point(|(start, _)| *start <= at);
        self.pieces.get(next.saturating_sub(1)).map_or(0, |(start, offset)| offset + (at - start))
    }
}

/// A part of a logical line that knows where it stands in the file.
#[derive(Clone, Copy)]
pub(super) struct Fragment<'a> {
    line: &'a LogicalLine,
    locator: &'a Locator<'a>,
    start: usize,
    end: usize,
}

/// The blanks between words: not those of Unicode, and no line end.
pub(super) const BLANKS: [char; 5] = ['\t', '\u{b}', '\u{c}', '\r', ' '];

impl<'a> Fragment<'a> {
    pub(super) fn as_str(self) -> &'a str {
        self.line.text.get(self.start..self.end).unwrap_or_default()
    }

    pub(super) fn is_empty(self) -> bool {
        self.start == self.end
    }

    pub(super) fn span(self) -> Span {
        let start = self.line.offset(self.start);
        let end = if self.is_empty() { start } else { self.line.offset(self.end - 1) + 1 };
        self.locator.span(start, end)
    }

    /// The error that it breaks a rule.
    pub(super) fn fault(self, reason: impl Into<String>) -> Error {
        self.fault_like(reason, None)
    }

    /// The error that it breaks a rule, with what may have been meant.
    pub(super) fn fault_like(self, reason: impl Into<String>, suggestion: Option<String>) -> Error {
        self.source().fault_like(self.span(), reason, suggestion)
    }

    /// The file it comes from.
    pub(super) fn source(self) -> &'a Source {
        self.locator.source()
    }

    /// The part of it that `range` names.
    pub(super) fn slice(self, range: Range<usize>) -> Self {
        Self { start: self.start + range.start, end: self.start + range.end, ..self }
    }

    pub(super) fn text(self) -> Spanned<String> {
        self.spanned(self.as_str().to_owned())
    }

    pub(super) fn spanned<T>(self, value: T) -> Spanned<T> {
        Spanned::new(value, self.span())
    }

    pub(super) fn trim(self) -> Self {
        let text = self.as_str();
        let start = text.len() - text.trim_start().len();
        self.slice(start..start + text.trim().len())
    }

    /// What stands before the first of some characters and what stands behind it and its like.
    pub(super) fn cut(self, at: impl Fn(char) -> bool) -> (Self, Self) {
        let text = self.as_str();
        let head = text.find(&at).unwrap_or(text.len());
        let rest = text.get(head..).unwrap_or_default();
        let skipped = rest.len() - rest.trim_start_matches(&at).len();
        (self.slice(0..head), self.slice(head + skipped..text.len()))
    }

    /// What stands before the first such character and what stands behind it.
    pub(super) fn split_once(self, at: char) -> Option<(Self, Self)> {
        let text = self.as_str();
        let head = text.find(at)?;
        Some((self.slice(0..head), self.slice(head + at.len_utf8()..text.len())))
    }

    /// The words between blanks; of trimmed text none is empty.
    pub(super) fn words(self) -> impl Iterator<Item = Self> + Clone {
        let mut rest = self;
        std::iter::from_fn(move || {
            let word;
            (word, rest) = rest.cut(|c| BLANKS.contains(&c));
            (!word.is_empty()).then_some(word)
        })
    }

    /// The words between blanks that are neither quoted nor escaped; quotes and escapes stay.
    pub(super) fn quoted_words(self, escape: char) -> Vec<Self> {
        let text = self.as_str();
        let mut words = Vec::new();
        let (mut start, mut quote) = (None, None);
        let mut chars = text.char_indices();
        while let Some((at, c)) = chars.next() {
            if start.is_none() && !c.is_whitespace() {
                start = Some(at);
            }
            match quote {
                None if c.is_whitespace() => {
                    words.extend(start.take().map(|start| self.slice(start..at)));
                }
                // One that ends the line escapes nothing and is dropped.
                _ if c == escape && quote != Some('\'') && chars.next().is_none() => {
                    words.extend(start.take().filter(|start| *start < at).map(|start| self.slice(start..at)));
                }
                None if c == '"' || c == '\'' => quote = Some(c),
                Some(open) if c == open => quote = None,
                _ => {}
            }
        }
        words.extend(start.map(|start| self.slice(start..text.len())));
        words
    }
}
