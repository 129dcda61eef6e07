//! Wildcards in the sources of COPY, by the rules of Go's `path.Match`.

use image_overlay::{FileTree, Follow, NodeRef};

use crate::error::{Error, Result, excerpt};

/// Whether a path holds a wildcard that no backslash takes away.
pub(crate) fn has_wildcard(path: &[u8]) -> bool {
    let mut bytes = path.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => drop(bytes.next()),
            b'*' | b'?' | b'[' => return true,
            _ => {}
        }
    }
    false
}

/// The paths in a tree that a pattern matches, in the order of a walk. Symlinks are followed up to the
/// first component with a wildcard, and not behind it.
pub(crate) fn expand<C>(tree: &FileTree<C>, pattern: &[u8]) -> Result<Vec<Vec<u8>>> {
    let names: Vec<&[u8]> = pattern.split(|b| *b == b'/').filter(|name| !name.is_empty()).collect();
    let fixed = names.iter().take_while(|name| !has_wildcard(name)).count();
    let (fixed, wild) = names.split_at(fixed);
    let base = fixed.iter().map(|name| unescape(name)).collect::<Vec<_>>().join(&b'/');
    let Some(start) = tree.lookup(&base, Follow::Last)? else { return Ok(Vec::new()) };
    let mut found: Vec<NodeRef<'_, C>> = vec![start];
    for pattern in wild {
        let pattern = Pattern::parse(pattern)?;
        found = found.into_iter().flat_map(NodeRef::children).filter(|node| pattern.matches(node.name())).collect();
    }
    Ok(found.into_iter().map(|node| node.path().as_bytes().to_vec()).collect())
}

fn unescape(name: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len());
    let mut bytes = name.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => out.extend(bytes.next()),
            byte => out.push(*byte),
        }
    }
    out
}

enum Token {
    /// `*`: any characters, or none.
    Any,
    /// `?`: one character.
    One,
    /// One character.
    Literal(u32),
    /// `[a-z]`, `[^a-z]`: one character of these ranges, or of none of them.
    Class { negated: bool, ranges: Vec<(u32, u32)> },
}

/// A pattern for one component of a path.
struct Pattern(Vec<Token>);

impl Pattern {
    fn parse(text: &[u8]) -> Result<Self> {
        let mut chars = Chars(text);
        let mut tokens = Vec::new();
        let malformed = || Error::InvalidSource { pattern: excerpt(&String::from_utf8_lossy(text), 256) };
        while let Some(c) = chars.next() {
            tokens.push(match u8::try_from(c) {
                Ok(b'*') => Token::Any,
                Ok(b'?') => Token::One,
                Ok(b'[') => class(&mut chars).ok_or_else(malformed)?,
                Ok(b'\\') => Token::Literal(chars.next().ok_or_else(malformed)?),
                _ => Token::Literal(c),
            });
        }
        Ok(Self(tokens))
    }

    /// Whether a name matches. Takes back only to the last `*`, so never more than
    /// the product of both lengths in steps.
    fn matches(&self, name: &[u8]) -> bool {
        let (mut tokens, mut chars) = (&self.0[..], Chars(name));
        let mut back = None;
        loop {
            match tokens.split_first() {
                Some((Token::Any, rest)) => {
                    back = Some((rest, chars));
                    tokens = rest;
                    continue;
                }
                Some((token, rest)) => {
                    let mut ahead = chars;
                    if ahead.next().is_some_and(|c| token.matches(c)) {
                        (tokens, chars) = (rest, ahead);
                        continue;
                    }
                }
                None if chars.0.is_empty() => return true,
                None => {}
            }
            let Some((rest, mut from)) = back else { return false };
            if from.next().is_none() {
                return false;
            }
            back = Some((rest, from));
            (tokens, chars) = (rest, from);
        }
    }
}

impl Token {
    fn matches(&self, c: u32) -> bool {
        match self {
            Self::Any => false,
            Self::One => true,
            Self::Literal(literal) => *literal == c,
            Self::Class { negated, ranges } => ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *negated,
        }
    }
}

/// What stands behind a `[`, up to and with the `]`; `None` where that is malformed.
fn class(chars: &mut Chars<'_>) -> Option<Token> {
    let negated = chars.0.first() == Some(&b'^');
    if negated {
        chars.next();
    }
    let mut ranges = Vec::new();
    loop {
        if chars.0.first() == Some(&b']') && !ranges.is_empty() {
            chars.next();
            return Some(Token::Class { negated, ranges });
        }
        let low = bound(chars)?;
        let mut high = low;
        if chars.0.first() == Some(&b'-') {
            chars.next();
            high = bound(chars)?;
        }
        ranges.push((low, high));
    }
}

fn bound(chars: &mut Chars<'_>) -> Option<u32> {
    match chars.next()? {
        c if c == u32::from(b'-') || c == u32::from(b']') => None,
        c if c == u32::from(b'\\') => chars.next(),
        c => Some(c),
    }
}

/// The characters of a text in UTF-8; a byte that is none counts as one of its own, above all others.
#[derive(Clone, Copy)]
struct Chars<'a>(&'a [u8]);

impl Iterator for Chars<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let chunk = self.0.utf8_chunks().next()?;
        let (c, len) = match chunk.valid().chars().next() {
            Some(c) => (u32::from(c), c.len_utf8()),
            None => (0x11_0000 + u32::from(*self.0.first()?), 1),
        };
        self.0 = self.0.get(len..).unwrap_or_default();
        Some(c)
    }
}

#[cfg(test)]
mod tests {
    use super::{Pattern, has_wildcard};

    #[test]
    fn patterns_match_as_in_go() {
        // Cases as in the table of Go's path/match_test.go, for one component.
        let cases: &[(&str, &str, Option<bool>)] = &[
            ("abc", "abc", Some(true)),
            ("*", "abc", Some(true)),
            ("*c", "abc", Some(true)),
            ("a*", "a", Some(true)),
            ("a*", "abc", Some(true)),
            ("a*b*c*d*e*", "axbxcxdxe", Some(true)),
            ("a*b*c*d*e*", "axbxcxdxexxx", Some(true)),
            ("a*b?c*x", "abxbbxdbxebxczzx", Some(true)),
            ("a*b?c*x", "abxbbxdbxebxczzy", Some(false)),
            ("ab[c]", "abc", Some(true)),
            ("ab[b-d]", "abc", Some(true)),
            ("ab[e-g]", "abc", Some(false)),
            ("ab[^c]", "abc", Some(false)),
            ("ab[^e-g]", "abc", Some(true)),
            ("a\\*b", "a*b", Some(true)),
            ("a\\*b", "ab", Some(false)),
            ("a?b", "a☺b", Some(true)),
            ("a[^a]b", "a☺b", Some(true)),
            ("a???b", "a☺b", Some(false)),
            ("[a-ζ]*", "α", Some(true)),
            ("*[a-ζ]", "A", Some(false)),
            ("[\\]a]", "]", Some(true)),
            ("[\\-]", "-", Some(true)),
            ("[x\\-]", "z", Some(false)),
            ("[]a]", "]", None),
            ("[-]", "-", None),
            ("[x-]", "x", None),
            ("[-x]", "x", None),
            ("\\", "a", None),
            ("[a-b-c]", "a", None),
            ("[", "a", None),
            ("[^", "a", None),
            ("a[", "ab", None),
            ("*x", "xxx", Some(true)),
            ("", "", Some(true)),
            ("", "a", Some(false)),
        ];
        for (pattern, name, expected) in cases {
            let found = Pattern::parse(pattern.as_bytes()).ok().map(|pattern| pattern.matches(name.as_bytes()));
            assert_eq!(found, *expected, "{pattern:?} on {name:?}");
        }
    }

    #[test]
    fn matching_is_not_exponential() {
        let pattern = Pattern::parse(format!("{}b", "a*".repeat(200)).as_bytes()).unwrap();
        assert!(!pattern.matches("a".repeat(5000).as_bytes()));
    }

    #[test]
    fn a_backslash_takes_a_wildcard_away() {
        assert!(has_wildcard(b"a/*.js"));
        assert!(!has_wildcard(b"a/\\*.js"));
    }
}
