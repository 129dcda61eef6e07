//! Here-documents: `RUN <<EOF`, `COPY <<EOF /file`.

use std::{borrow::Cow, ops::Range};

use crate::error::{Result, excerpt};

use super::{
    line::{Fragment, Lines},
    source::Locator,
    span::Span,
};

/// A here-document of RUN, COPY or ADD.
///
/// Two are equal when they say the same, wherever they stand.
///
/// # Spec
/// Dockerfile reference, § Here-Documents.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Heredoc {
    /// The delimiter without its quotes; for COPY and ADD it names the file.
    pub name: String,
    /// The file descriptor before `<<`, where one is written: `3<<EOF`.
    pub descriptor: Option<u32>,
    /// Whether variables in the body are expanded: no part of the delimiter is quoted.
    pub expand: bool,
    /// Whether leading tabs of each line do not count: `<<-`.
    pub strip_tabs: bool,
    /// The lines between, byte for byte, without the closing delimiter.
    pub content: String,
    /// Where the word with `<<` stands.
    pub span: Span,
    /// Where the content stands.
    pub content_span: Span,
}

impl PartialEq for Heredoc {
    fn eq(&self, other: &Self) -> bool {
        let key = |h: &Self| (h.descriptor, h.expand, h.strip_tabs);
        key(self) == key(other) && self.name == other.name && self.content == other.content
    }
}

impl Eq for Heredoc {}

impl Heredoc {
    /// The content, without leading tabs where `<<-` asks for that.
    #[must_use]
    pub fn body(&self) -> Cow<'_, str> {
        if self.strip_tabs && self.content.contains('\t') {
            Cow::Owned(self.content.split_inclusive('\n').map(|line| line.trim_start_matches('\t')).collect())
        } else {
            Cow::Borrowed(&self.content)
        }
    }

    /// Reads the lines up to the closing delimiter, which end at the offset given back with it.
    fn read(mut self, lines: &mut Lines<'_>, locator: &Locator<'_>) -> Result<(Self, usize)> {
        let start = lines.offset();
        for line in lines.by_ref() {
            let text = line.text();
            if self.name == if self.strip_tabs { text.trim_start_matches('\t') } else { text } {
                self.content_span = locator.span(start, line.start);
                locator.source().slice(self.content_span).clone_into(&mut self.content);
                return Ok((self, line.start + text.len()));
            }
        }
        let name = excerpt(&self.name, 64);
        Err(locator.source().fault(self.span, format!("here-document is not closed: no line is {name}")))
    }
}

/// Reads the here-documents whose delimiters stand on a line, and the offset at which they end.
pub(super) fn heredocs(
    line: Fragment<'_>,
    lines: &mut Lines<'_>,
    locator: &Locator<'_>,
) -> Result<(Vec<Heredoc>, Option<usize>)> {
    let mut heredocs = Vec::new();
    let mut end = None;
    if line.as_str().contains("<<") {
        for word in words(line.as_str()) {
            if let Some(heredoc) = delimiter(line.slice(word), locator)? {
                let (heredoc, closed) = heredoc.read(lines, locator)?;
                heredocs.push(heredoc);
                end = Some(closed);
            }
        }
    }
    Ok((heredocs, end))
}

/// The words of a shell line in which `<<` keeps the blanks behind it; none where a quote is
/// left open, as then no shell reads it as it stands.
///
/// The backslash escapes whatever the directive says: the line is the shell's.
fn words(text: &str) -> Vec<Range<usize>> {
    let mut words = Vec::new();
    let mut start = None;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if c.is_whitespace() {
            words.extend(start.take().map(|start| start..at));
            continue;
        }
        start.get_or_insert(at);
        match c {
            '\\' => {
                chars.next();
            }
            '\'' | '"' => loop {
                match chars.next() {
                    None => return Vec::new(),
                    Some((_, '\\')) if c == '"' => {
                        chars.next();
                    }
                    Some((_, close)) if close == c => break,
                    Some(_) => {}
                }
            },
            '<' if chars.next_if(|(_, c)| *c == '<').is_some() => {
                while chars.next_if(|(_, c)| matches!(c, '\t' | '\r' | ' ')).is_some() {}
            }
            _ => {}
        }
    }
    words.extend(start.map(|start| start..text.len()));
    words
}

/// The here-document that a word announces: `[descriptor]<<[-]delimiter`.
fn delimiter(word: Fragment<'_>, locator: &Locator<'_>) -> Result<Option<Heredoc>> {
    let Some((descriptor, rest)) = word.as_str().split_once("<<") else { return Ok(None) };
    if !descriptor.bytes().all(|b| b.is_ascii_digit()) || rest.contains('<') {
        return Ok(None);
    }
    let (strip_tabs, rest) = match rest.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    let (name, quoted) = unquoted(rest.trim_ascii_start());
    if name.is_empty() {
        return Ok(None);
    }
    let descriptor = match descriptor {
        "" => None,
        digits => Some(digits.parse().map_err(|_| locator.source().fault(word.span(), "no such file descriptor"))?),
    };
    let span = word.span();
    let content = String::new();
    Ok(Some(Heredoc { name, descriptor, expand: !quoted, strip_tabs, content, span, content_span: span }))
}

/// A delimiter without quotes and escapes, and whether it had quotes.
fn unquoted(text: &str) -> (String, bool) {
    let mut name = String::new();
    let (mut open, mut quoted) = (None, false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match open {
            None if c == '\'' || c == '"' => {
                open = Some(c);
                quoted = true;
            }
            Some(quote) if c == quote => open = None,
            None if c == '\\' => name.extend(chars.next()),
            Some('"') if c == '\\' => name.push(chars.next_if(|c| matches!(c, '"' | '$' | '\\')).unwrap_or(c)),
            _ => name.push(c),
        }
    }
    (name, quoted)
}
