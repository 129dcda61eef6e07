//! Patterns with wildcards.

use super::index::Text;

/// A pattern as a list of what its parts match.
#[derive(Debug, Clone)]
pub(super) struct Glob {
    tokens: Vec<Token>,
    /// The bytes that every match begins with.
    prefix: Vec<u8>,
    /// The bytes that every match ends with.
    suffix: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// A character.
    One(u32),
    /// `?`: any character but `/`.
    Any,
    /// `*`: any characters but `/`.
    Run,
    /// `**` before something: nothing, or anything that ends with `/`.
    Directories,
    /// `**` at the end: anything.
    All,
    /// `[…]`: one of these characters, or with `^` one of the others; never `/`.
    Class { negated: bool, ranges: Vec<(u32, u32)> },
}

/// The character at the begin of a path and the number of its bytes. A byte that is not
/// UTF-8 is a character of its own, behind all others.
pub(super) fn character(bytes: &[u8]) -> Option<(u32, usize)> {
    let first = *bytes.first()?;
    if first.is_ascii() {
        return Some((u32::from(first), 1));
    }
    let window = bytes.get(..4.min(bytes.len())).unwrap_or_default();
    let chunk = window.utf8_chunks().next()?;
    match chunk.valid().chars().next() {
        Some(c) => Some((u32::from(c), c.len_utf8())),
        None => Some((BYTES + u32::from(first), 1)),
    }
}

const SLASH: u32 = b'/' as u32;

/// The characters from here on are bytes that are not UTF-8.
const BYTES: u32 = 0x11_0000;

impl Token {
    /// The bytes of a character.
    fn bytes(&self) -> Vec<u8> {
        let Self::One(c) = self else { return Vec::new() };
        match char::from_u32(*c) {
            Some(c) => c.to_string().into_bytes(),
            None => u8::try_from(c.saturating_sub(BYTES)).into_iter().collect(),
        }
    }

    fn takes(&self, c: u32) -> bool {
        match self {
            Self::One(expected) => *expected == c,
            Self::Any | Self::Run => c != SLASH,
            Self::Directories | Self::All => true,
            Self::Class { negated, ranges } => {
                c != SLASH && *negated != ranges.iter().any(|(low, high)| (*low..=*high).contains(&c))
            }
        }
    }
}

impl Glob {
    pub(super) fn new(tokens: Vec<Token>) -> Self {
        let byte = |token: &Token| match token {
            Token::One(c) => u8::try_from(*c).ok().filter(u8::is_ascii),
            _ => None,
        };
        let prefix = tokens.iter().map_while(byte).collect();
        let mut suffix: Vec<u8> = tokens.iter().rev().map_while(byte).collect();
        suffix.reverse();
        Self { tokens, prefix, suffix }
    }

    pub(super) fn matches(&self, path: &[u8]) -> bool {
        path.starts_with(&self.prefix)
            && path.ends_with(&self.suffix)
            && self.run(path, &[]).last() == Some(&self.tokens.len())
    }

    /// The longest text that is in everything that it matches.
    pub(super) fn text(&self) -> Text {
        let is_text = |token: &Token| matches!(token, Token::One(_));
        let parts = self.tokens.split(|token| !is_text(token)).map(|part| part.iter().flat_map(Token::bytes).collect());
        let part: Vec<u8> = parts.max_by_key(Vec::len).unwrap_or_default();
        // Where it has to be is known of two, which makes them easier to look for.
        if part.len() > self.prefix.len().max(self.suffix.len()) {
            Text::Part(part)
        } else if self.prefix.len() > self.suffix.len() {
            Text::Start(self.prefix.clone())
        } else {
            Text::End(self.suffix.clone())
        }
    }

    /// Whether it can match anything below a directory.
    pub(super) fn reaches_below(&self, directory: &[u8]) -> bool {
        // What begins otherwise need not be read to the end.
        let may_begin = self.prefix.iter().zip(directory.iter().chain(b"/")).all(|(expected, byte)| expected == byte);
        may_begin && self.run(directory, b"/").first().is_some_and(|state| *state < self.tokens.len())
    }

    /// The tokens that may come next once a path, given in two parts, is read. All ways to
    /// match are followed at once, so the time is at most the product of both lengths.
    fn run(&self, path: &[u8], end: &[u8]) -> Vec<usize> {
        let mut states = Vec::new();
        let mut next = Vec::new();
        self.enter(&mut states, 0);
        for mut rest in [path, end] {
            while let Some((c, size)) = character(rest) {
                if states.is_empty() {
                    return states;
                }
                rest = rest.get(size..).unwrap_or_default();
                next.clear();
                for state in &states {
                    if let Some(token) = self.tokens.get(*state).filter(|token| token.takes(c)) {
                        self.step(&mut next, *state, token, c);
                    }
                }
                std::mem::swap(&mut states, &mut next);
            }
        }
        states
    }

    fn step(&self, next: &mut Vec<usize>, state: usize, token: &Token, c: u32) {
        match token {
            Token::Run | Token::All => self.enter(next, state),
            Token::Directories => {
                if next.last().is_none_or(|last| *last < state) {
                    next.push(state);
                }
                if c == SLASH {
                    self.enter(next, state + 1);
                }
            }
            Token::One(_) | Token::Any | Token::Class { .. } => self.enter(next, state + 1),
        }
    }

    /// Adds a state and those that match nothing in between lead to. States come in
    /// ascending order.
    fn enter(&self, states: &mut Vec<usize>, state: usize) {
        let mut state = state;
        while states.last().is_none_or(|last| *last < state) {
            states.push(state);
            match self.tokens.get(state) {
                Some(Token::Run | Token::Directories | Token::All) => state += 1,
                _ => return,
            }
        }
    }
}
