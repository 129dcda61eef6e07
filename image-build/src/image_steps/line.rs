//! The line that stands for a step in progress and errors, and the words of the step.

use crate::dockerfile::{Span, Spanned};

/// Collects the words of one step: the values that the instruction has, and the line that shows them.
///
/// The line is never parsed: what a value holds cannot become another word or another step.
pub(super) struct Words {
    span: Span,
    line: String,
    fault: Option<String>,
}

impl Words {
    /// Of a step whose line begins at an offset, and has this number.
    pub(super) fn new(keyword: &str, start: usize, line: usize) -> Self {
        let line = u32::try_from(line).unwrap_or(u32::MAX);
        Self { span: Span { start, end: start, line, column: 1 }, line: keyword.into(), fault: None }
    }

    /// A value, shown as a word of the line.
    pub(super) fn word(&mut self, value: impl Into<String>) -> Spanned<String> {
        let value = value.into();
        self.show(&quoted(&value));
        self.value(value)
    }

    /// A value that may not be empty.
    pub(super) fn required(&mut self, what: &str, value: impl Into<String>) -> Spanned<String> {
        let value = value.into();
        if value.is_empty() {
            self.fault(format!("{what} is empty"));
        }
        self.word(value)
    }

    /// A value, shown as it is.
    pub(super) fn text(&mut self, value: impl Into<String>) -> Spanned<String> {
        let value = value.into();
        self.show(&value);
        self.value(value)
    }

    /// Values, shown as a list.
    pub(super) fn list(&mut self, values: impl IntoIterator<Item = impl Into<String>>) -> Vec<Spanned<String>> {
        let values: Vec<String> = values.into_iter().map(Into::into).collect();
        let shown: Vec<String> = values.iter().map(|value| always_quoted(value)).collect();
        self.show(&format!("[{}]", shown.join(", ")));
        values.into_iter().map(|value| self.value(value)).collect()
    }

    /// A pair, shown as `key=value`. The key names something: it holds no `=` and is not empty.
    pub(super) fn pair(
        &mut self,
        key: impl Into<String>,
        value: impl Into<String>,
    ) -> (Spanned<String>, Spanned<String>) {
        let (key, value) = (key.into(), value.into());
        if key.is_empty() || key.contains('=') {
            self.fault(format!("a name is not empty and holds no '=', unlike {key:?}"));
        }
        self.show(&format!("{}={}", quoted(&key), quoted(&value)));
        (self.value(key), self.value(value))
    }

    /// A flag with a value, where there is one.
    pub(super) fn flag(&mut self, name: &str, value: Option<String>) -> Option<Spanned<String>> {
        let value = value?;
        if value.is_empty() {
            self.fault(format!("the value of --{name} is empty"));
        }
        self.show(&format!("--{name}={}", quoted(&value)));
        Some(self.value(value))
    }

    /// A flag that is on, where it is.
    pub(super) fn switch(&mut self, name: &str, is_on: bool) -> Option<Spanned<bool>> {
        is_on.then(|| {
            self.show(&format!("--{name}"));
            Spanned::new(true, self.span)
        })
    }

    /// A flag that is on or off.
    pub(super) fn truth(&mut self, name: &str, value: bool) -> Option<Spanned<bool>> {
        self.show(&format!("--{name}={value}"));
        Some(Spanned::new(value, self.span))
    }

    /// Shows something.
    pub(super) fn show(&mut self, text: &str) {
        self.line.push(' ');
        self.line.extend(text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }));
    }

    /// Says that the step cannot be: the first reason counts.
    pub(super) fn fault(&mut self, reason: impl Into<String>) {
        self.fault.get_or_insert_with(|| reason.into());
    }

    /// The line, where it stands, and what is wrong.
    pub(super) fn finish(self) -> (String, Span, Option<String>) {
        let span = Span { end: self.span.start + self.line.len(), ..self.span };
        (self.line, span, self.fault)
    }

    fn value(&mut self, value: String) -> Spanned<String> {
        if value.contains('\0') {
            self.fault("a value holds a NUL byte");
        }
        Spanned::new(value, self.span)
    }
}

/// A word as it would stand in a Dockerfile, in quotes where it needs them.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, '"' | '\'' | '\\' | '$');
    if !word.is_empty() && word.chars().all(is_plain) { word.to_owned() } else { always_quoted(word) }
}

fn always_quoted(word: &str) -> String {
    let mut out = String::from("\"");
    for c in word.chars() {
        match c {
            '"' | '\\' | '$' => out.extend(['\\', c]),
            c if c.is_control() => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
