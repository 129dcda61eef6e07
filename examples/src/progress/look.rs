//! How lines look: in colour and no wider than the terminal, if it is one.

use std::env;

use console::Term;

/// What a line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    /// A step that was not carried out again.
    Cached,
    /// A step that was carried out.
    Done,
    /// Why it was.
    Because,
    /// Something that somebody should look at.
    Warning,
    /// All else.
    Plain,
}

/// How lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Look {
    /// Where lines are broken; never where nobody looks at them on a terminal.
    width: Option<usize>,
    colour: bool,
}

impl Look {
    /// As they are.
    pub(super) const PLAIN: Self = Self { width: None, colour: false };

    /// As on the terminal that standard error is; plain where it is none. There is no colour where `NO_COLOR` is set, or the
    /// terminal has none.
    pub(super) fn of_stderr() -> Self {
        let term = Term::stderr();
        if !term.is_term() {
            return Self::PLAIN;
        }
        #[expect(clippy::disallowed_methods, reason = "a program asks the environment what its user wants")]
        let variable = |name| env::var_os(name).filter(|value| !value.is_empty());
        let colour = variable("NO_COLOR").is_none() && variable("TERM").is_some_and(|term| term != "dumb");
        Self { width: term.size_checked().map(|(_, columns)| usize::from(columns)), colour }
    }

    /// A line, broken where it is too wide: what follows is indented by so much. Its first word has the tone's colour,
    /// and of a reason all.
    pub(super) fn line(self, tone: Tone, text: &str, indent: usize) -> String {
        let text = match self.width {
            Some(width) => wrap(text, width, indent),
            None => text.to_owned(),
        };
        let code = match tone {
            Tone::Cached => "36",
            Tone::Done => "32",
            Tone::Because => "2",
            Tone::Warning => "33",
            Tone::Plain => return text,
        };
        if !self.colour {
            return text;
        }
        let end = if tone == Tone::Because { text.len() } else { text.find(' ').unwrap_or(text.len()) };
        let (coloured, rest) = text.split_at(end);
        format!("\u{1b}[{code}m{coloured}\u{1b}[0m{rest}")
    }
}

/// Breaks text between words so that no line is wider than so many columns, and within words that are wider themselves.
fn wrap(text: &str, width: usize, indent: usize) -> String {
    // In a terminal of a few columns there is nothing to be won.
    if width < 2 * indent + 8 {
        return text.to_owned();
    }
    let mut wrapped = String::with_capacity(text.len());
    let mut column = 0;
    let begin_line = |wrapped: &mut String| {
        wrapped.push('\n');
        wrapped.push_str(&" ".repeat(indent));
        indent
    };
    for (place, word) in text.split(' ').enumerate() {
        let columns = console::measure_text_width(word);
        if place > 0 {
            if column + 1 + columns > width && column > indent {
                column = begin_line(&mut wrapped);
            } else {
                wrapped.push(' ');
                column += 1;
            }
        }
        for letter in word.chars() {
            let columns = console::measure_text_width(letter.encode_utf8(&mut [0; 4]));
            if column + columns > width {
                column = begin_line(&mut wrapped);
            }
            wrapped.push(letter);
            column += columns;
        }
    }
    wrapped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let check = |text: &str, expected: &str| {
            assert_eq!(wrap(text, 20, 4), expected);
            assert!(expected.lines().all(|line| console::measure_text_width(line) <= 20), "{expected}");
        };
        check("", "");
        check("as it is", "as it is");
        check("exactly twenty wide.", "exactly twenty wide.");
        check("exactly twenty wide. and", "exactly twenty wide.\n    and");
        check("DONE [a 1/2] COPY one two three", "DONE [a 1/2] COPY\n    one two three");
        check("a-word-that-is-wider-than-a-line", "a-word-that-is-wider\n    -than-a-line");
        check("  because of something", "  because of\n    something");
        check("二十二十二十二十二十二", "二十二十二十二十二十\n    二");
        assert_eq!(wrap("nothing to be won", 10, 4), "nothing to be won");
    }

    #[test]
    fn colours_are_for_terminals_alone() {
        let coloured = Look { width: Some(40), colour: true };
        assert_eq!(coloured.line(Tone::Done, "DONE 1s x", 2), "\u{1b}[32mDONE\u{1b}[0m 1s x");
        assert_eq!(coloured.line(Tone::Because, "  because y", 4), "\u{1b}[2m  because y\u{1b}[0m");
        for tone in [Tone::Cached, Tone::Done, Tone::Because, Tone::Warning, Tone::Plain] {
            assert_eq!(Look::PLAIN.line(tone, "a b", 2), "a b");
        }
    }
}
