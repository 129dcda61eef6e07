//! Quotes, escapes and `$` in a word.

use super::pattern::{Extent, Pattern, TooMuch, Work};

/// How deep `${…}` may nest.
const DEPTH: usize = 100;

/// What a word is read with.
pub(super) trait Variables {
    /// The value of a variable. `optional` says that the word tells what to do without one.
    fn value(&mut self, name: &str, optional: bool) -> Result<Option<String>, Fault>;
    /// Counts bytes that were not in the word. The error is that they become too many.
    fn charge(&mut self, bytes: usize) -> Result<(), Fault>;
    /// What patterns may still cost.
    fn work(&mut self) -> &mut Work;
}

/// What is wrong with a word.
#[derive(Debug)]
pub(super) enum Fault {
    /// It breaks a rule at this byte.
    Syntax(usize, String),
    /// Something becomes larger than a limit.
    Limit(&'static str, u64),
}

/// Which characters of a word mean something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quotes {
    /// Quotes group, and are removed.
    Removed,
    /// Quotes are text, as in a here-document.
    Kept,
}

/// The most bytes of a value.
pub(super) const VALUE: usize = 64 << 10;

/// What an expansion gives.
#[derive(Debug, Default)]
pub(super) struct Expansion {
    /// All of it.
    pub(super) text: String,
    /// It split at the blanks that are neither quoted nor escaped.
    pub(super) words: Vec<String>,
    /// The bytes at which an escape character was dropped before a character that needs none.
    pub(super) dropped: Option<usize>,
    word: String,
}

impl Expansion {
    /// Adds text that no blank splits.
    fn add_whole(&mut self, text: &str) {
        self.text.push_str(text);
        self.word.push_str(text);
    }

    /// Adds text that blanks split.
    fn add(&mut self, text: &str) {
        self.text.push_str(text);
        for (position, part) in text.split(char::is_whitespace).enumerate() {
            if position > 0 {
                self.end_word();
            }
            self.word.push_str(part);
        }
    }

    fn end_word(&mut self) {
        if !self.word.is_empty() {
            self.words.push(std::mem::take(&mut self.word));
        }
    }
}

/// Expands a word.
///
/// # Spec
/// Dockerfile reference, § Environment replacement.
pub(super) fn expand(
    text: &str,
    escape: char,
    quotes: Quotes,
    variables: &mut impl Variables,
) -> Result<Expansion, Fault> {
    let mut lexer = Lexer { text, at: 0, escape, quotes, depth: 0, variables };
    let mut expansion = lexer.until(None, Escapes::Removed)?;
    expansion.end_word();
    Ok(expansion)
}

/// What becomes of escape characters.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Escapes {
    Removed,
    /// They stay, for a pattern to read.
    Kept,
}

struct Lexer<'a, V> {
    text: &'a str,
    at: usize,
    escape: char,
    quotes: Quotes,
    depth: usize,
    variables: &'a mut V,
}

impl<V: Variables> Lexer<'_, V> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn eat(&mut self, c: char) -> bool {
        let found = self.peek() == Some(c);
        if found {
            self.at += c.len_utf8();
        }
        found
    }

    /// Reads up to a character that is taken but not kept, or to the end of the text.
    fn until(&mut self, stop: Option<char>, escapes: Escapes) -> Result<Expansion, Fault> {
        let start = self.at;
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(Fault::Syntax(start, format!("substitutions nest deeper than {DEPTH}")));
        }
        let mut out = Expansion::default();
        loop {
            let Some(c) = self.peek() else {
                if stop.is_some() {
                    return Err(Fault::Syntax(start, missing(stop)));
                }
                break;
            };
            if Some(c) == stop {
                self.next();
                break;
            }
            self.piece(c, escapes, &mut out)?;
        }
        self.depth -= 1;
        Ok(out)
    }

    /// Reads a quoted part, a variable, an escape or a character.
    fn piece(&mut self, c: char, escapes: Escapes, out: &mut Expansion) -> Result<(), Fault> {
        match c {
            '$' => out.add(&self.dollar()?),
            '\'' if self.quotes == Quotes::Removed => out.add_whole(&self.single_quoted()?),
            '"' if self.quotes == Quotes::Removed => out.add_whole(&self.double_quoted(escapes)?),
            _ if c == self.escape => {
                let start = self.at;
                self.next();
                let escaped = self.next();
                if escapes == Escapes::Kept {
                    out.add_whole(c.encode_utf8(&mut [0; 4]));
                } else if escaped.is_some_and(|e| !matches!(e, '$' | '`') && e != c) {
                    out.dropped.get_or_insert(start);
                }
                if let Some(escaped) = escaped {
                    out.add_whole(escaped.encode_utf8(&mut [0; 4]));
                }
            }
            _ => {
                self.next();
                out.add(c.encode_utf8(&mut [0; 4]));
            }
        }
        Ok(())
    }

    fn single_quoted(&mut self) -> Result<String, Fault> {
        let start = self.at;
        self.next();
        let end = self.rest().find('\'').ok_or_else(|| Fault::Syntax(start, "a single quote is not closed".into()))?;
        let quoted = self.rest().get(..end).unwrap_or_default().to_owned();
        self.at += end + 1;
        Ok(quoted)
    }

    /// In double quotes an escape character only acts on a quote, a `$` and itself.
    fn double_quoted(&mut self, escapes: Escapes) -> Result<String, Fault> {
        let start = self.at;
        let mut quoted = String::new();
        self.next();
        loop {
            match self.peek() {
                None => return Err(Fault::Syntax(start, "a double quote is not closed".into())),
                Some('"') => {
                    self.next();
                    return Ok(quoted);
                }
                Some('$') => quoted.push_str(&self.dollar()?),
                Some(c) => {
                    self.next();
                    if c != self.escape {
                        quoted.push(c);
                        continue;
                    }
                    let acts = self.peek().filter(|next| matches!(next, '"' | '$') || *next == c);
                    if escapes == Escapes::Kept {
                        quoted.push(c);
                    }
                    if acts.is_some() {
                        quoted.extend(self.next());
                    } else if self.peek().is_some() {
                        quoted.push(c);
                    }
                }
            }
        }
    }

    /// Reads `$name` or `${…}`; a `$` before anything else is itself.
    fn dollar(&mut self) -> Result<String, Fault> {
        let start = self.at;
        self.next();
        if self.eat('{') {
            return self.braces(start);
        }
        let name = self.name();
        if name.is_empty() {
            return Ok("$".into());
        }
        Ok(self.variables.value(&name, false)?.unwrap_or_default())
    }

    /// A name, or a digit string or special parameter, which a build never sets; may be empty.
    fn name(&mut self) -> String {
        let rest = self.rest();
        let end = match rest.chars().next() {
            Some(c) if c.is_ascii_digit() => rest.find(|c: char| !c.is_ascii_digit()),
            Some('@' | '*' | '#' | '?' | '-' | '$' | '!') => Some(1),
            _ => rest.find(|c: char| !c.is_alphanumeric() && c != '_'),
        };
        let name = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default().to_owned();
        self.at += name.len();
        name
    }

    /// Reads what follows `${`.
    fn braces(&mut self, start: usize) -> Result<String, Fault> {
        let name = self.name();
        if name.is_empty() {
            let reason = if self.peek().is_none() { missing(Some('}')) } else { "bad substitution".into() };
            return Err(Fault::Syntax(start, reason));
        }
        let operator = self.next().ok_or_else(|| Fault::Syntax(start, missing(Some('}'))))?;
        match operator {
            '}' => Ok(self.variables.value(&name, false)?.unwrap_or_default()),
            '#' | '%' => self.trimmed(&name, operator, start),
            '/' => self.replaced(&name, start),
            ':' => match self.next() {
                Some(c @ ('-' | '+' | '?')) => self.conditional(&name, c, Empty::IsUnset, start),
                other => Err(unsupported(start, &format!(":{}", other.map(String::from).unwrap_or_default()))),
            },
            '-' | '+' | '?' => self.conditional(&name, operator, Empty::IsSet, start),
            other => Err(unsupported(start, other.encode_utf8(&mut [0; 4]))),
        }
    }

    /// `-word`, `+word` and `?word`.
    fn conditional(&mut self, name: &str, operator: char, empty: Empty, start: usize) -> Result<String, Fault> {
        let word = self.until(Some('}'), Escapes::Removed)?.text;
        let value = self.variables.value(name, true)?;
        let usable = value.clone().filter(|value| empty == Empty::IsSet || !value.is_empty());
        match (operator, usable) {
            ('+', None) => Ok(String::new()),
            ('-', None) | ('+', Some(_)) => Ok(word),
            (_, Some(value)) => Ok(value),
            (_, None) => {
                let default = if value.is_none() { "is not allowed to be unset" } else { "is not allowed to be empty" };
                let reason = if word.is_empty() { default } else { &word };
                Err(Fault::Syntax(start, format!("{name}: {}", crate::error::excerpt(reason, 256))))
            }
        }
    }

    /// `#pattern` and `%pattern`; doubled, the longest match counts.
    fn trimmed(&mut self, name: &str, operator: char, start: usize) -> Result<String, Fault> {
        let word = self.until(Some('}'), Escapes::Kept)?.text;
        let (pattern, extent) = match word.strip_prefix(operator) {
            Some(pattern) => (pattern, Extent::Longest),
            None => (word.as_str(), Extent::Shortest),
        };
        let pattern = parse(pattern, start)?;
        let value = self.variables.value(name, false)?.unwrap_or_default();
        let work = self.variables.work();
        let trimmed = match operator {
            '#' => pattern.trim_start(&value, extent, work),
            _ => pattern.trim_end(&value, extent, work),
        };
        trimmed.map_err(|TooMuch| too_slow(start))
    }

    /// `/pattern/text`; with two slashes every match counts.
    fn replaced(&mut self, name: &str, start: usize) -> Result<String, Fault> {
        let all = self.eat('/');
        let pattern = self.until(Some('/'), Escapes::Kept)?.text;
        let with = self.until(Some('}'), Escapes::Kept)?.text;
        let pattern = parse(&pattern, start)?;
        let value = self.variables.value(name, false)?.unwrap_or_default();
        let work = self.variables.work();
        let replaced = pattern.replace(&value, &with, all, VALUE, work).map_err(|TooMuch| too_slow(start))?;
        if replaced.len() > VALUE {
            return Err(Fault::Limit("an expanded value", VALUE as u64));
        }
        self.variables.charge(replaced.len().saturating_sub(value.len()))?;
        Ok(replaced)
    }
}

/// What a variable is whose value is empty.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Empty {
    IsSet,
    IsUnset,
}

fn missing(stop: Option<char>) -> String {
    format!("'{}' is missing", stop.unwrap_or('}'))
}

fn unsupported(start: usize, modifier: &str) -> Fault {
    Fault::Syntax(
        start,
        format!(
            "unsupported modifier {:?} in a substitution: there are :- - :+ + :? ? # ## % %% / //",
            crate::error::excerpt(modifier, 8)
        ),
    )
}

fn too_slow(start: usize) -> Fault {
    Fault::Syntax(start, "the pattern takes too long on this value".into())
}

fn parse(pattern: &str, start: usize) -> Result<Pattern, Fault> {
    Pattern::parse(pattern).map_err(|escape| {
        let escape = crate::error::excerpt(&escape, 8);
        Fault::Syntax(start, format!("a pattern cannot hold the escape {escape}"))
    })
}
