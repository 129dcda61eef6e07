//! One pattern of an ignore file.

use super::{
    glob::{Glob, Token, character},
    index::Text,
};

/// A pattern without its `!`.
///
/// What `**` means depends on where it stands and on what else the pattern holds; both are
/// as in the reference implementation: at the end it matches anything, at the begin of an
/// otherwise plain pattern it is any prefix (`**x` matches `ax`), elsewhere nothing or whole
/// directories (`**x*` does not match `ax`).
///
/// # Spec
/// Dockerfile reference, .dockerignore; Go, package path/filepath, `Match`.
#[derive(Debug, Clone)]
pub(super) enum Pattern {
    /// This path.
    Exact(Vec<u8>),
    /// What begins so.
    Prefix(Vec<u8>),
    /// What ends so.
    Suffix(Vec<u8>),
    /// What ends with these components.
    Components(Vec<u8>),
    /// What these wildcards match.
    Glob(Glob),
}

impl Pattern {
    /// Reads a pattern that is cleaned up.
    pub(super) fn parse(text: &[u8]) -> Result<Self, &'static str> {
        let plain = |text: &[u8]| !text.iter().any(|byte| matches!(byte, b'*' | b'?' | b'[' | b']' | b'\\'));
        if plain(text) {
            return Ok(Self::Exact(text.to_vec()));
        }
        if let Some(rest) = text.strip_prefix(b"**").filter(|rest| plain(rest)) {
            return Ok(match rest.strip_prefix(b"/") {
                Some(components) => Self::Components(components.to_vec()),
                None => Self::Suffix(rest.to_vec()),
            });
        }
        if let Some(rest) = text.strip_suffix(b"**").filter(|rest| plain(rest)) {
            return Ok(Self::Prefix(rest.to_vec()));
        }
        tokens(text).map(|tokens| Self::Glob(Glob::new(tokens)))
    }

    pub(super) fn matches(&self, path: &[u8]) -> bool {
        match self {
            Self::Exact(exact) => path == exact,
            Self::Prefix(prefix) => path.starts_with(prefix),
            Self::Suffix(suffix) => path.ends_with(suffix),
            Self::Components(end) => {
                path.strip_suffix(end.as_slice()).is_some_and(|d| d.is_empty() || d.ends_with(b"/"))
            }
            Self::Glob(glob) => glob.matches(path),
        }
    }

    /// Text that is in everything that it matches.
    pub(super) fn text(&self) -> Text {
        match self {
            Self::Exact(text) | Self::Prefix(text) => Text::Start(text.clone()),
            Self::Suffix(text) | Self::Components(text) => Text::End(text.clone()),
            Self::Glob(glob) => glob.text(),
        }
    }

    /// Whether it can match anything below a directory.
    pub(super) fn reaches_below(&self, directory: &[u8]) -> bool {
        let below = |path: &[u8]| path.strip_prefix(directory).is_some_and(|rest| rest.starts_with(b"/"));
        match self {
            Self::Exact(exact) => below(exact),
            Self::Prefix(prefix) => directory.starts_with(prefix) || below(prefix),
            Self::Suffix(_) | Self::Components(_) => true,
            Self::Glob(glob) => glob.reaches_below(directory),
        }
    }
}

fn tokens(text: &[u8]) -> Result<Vec<Token>, &'static str> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some((c, size)) = character(rest) {
        rest = rest.get(size..).unwrap_or_default();
        tokens.push(match u8::try_from(c).unwrap_or_default() {
            b'*' => match rest.strip_prefix(b"*") {
                Some(after) => {
                    rest = after.strip_prefix(b"/").unwrap_or(after);
                    if rest.is_empty() { Token::All } else { Token::Directories }
                }
                None => Token::Run,
            },
            b'?' => Token::Any,
            b'[' => class(&mut rest)?,
            b'\\' => Token::One(next(&mut rest).ok_or("an escape at the end")?),
            _ => Token::One(c),
        });
    }
    Ok(tokens)
}

fn next(rest: &mut &[u8]) -> Option<u32> {
    let (c, size) = character(rest)?;
    *rest = rest.get(size..).unwrap_or_default();
    Some(c)
}

/// Reads a class whose `[` is read.
fn class(rest: &mut &[u8]) -> Result<Token, &'static str> {
    let negated = rest.strip_prefix(b"^");
    *rest = negated.unwrap_or(rest);
    let mut ranges = Vec::new();
    loop {
        match rest.strip_prefix(b"]") {
            Some(_) if ranges.is_empty() => return Err("an empty character class"),
            Some(after) => {
                *rest = after;
                return Ok(Token::Class { negated: negated.is_some(), ranges });
            }
            None => {}
        }
        let low = member(rest)?;
        let high = match rest.strip_prefix(b"-") {
            Some(after) => {
                *rest = after;
                member(rest)?
            }
            None => low,
        };
        if high < low {
            return Err("a range of characters that ends before it begins");
        }
        ranges.push((low, high));
    }
}

/// Reads one end of a range.
fn member(rest: &mut &[u8]) -> Result<u32, &'static str> {
    const OPEN: &str = "a character class is not closed";
    match rest.first() {
        Some(b'-' | b']') => Err("a '-' or ']' in a character class needs an escape"),
        Some(b'\\') => {
            *rest = rest.get(1..).unwrap_or_default();
            next(rest).ok_or(OPEN)
        }
        _ => next(rest).ok_or(OPEN),
    }
}
