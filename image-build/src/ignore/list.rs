//! The patterns of an ignore file, in order.

use std::str;

use crate::error::{Error, Result, excerpt};

use super::{clean::clean, index::Index, pattern::Pattern};

/// The most bytes of an ignore file.
const LIMIT: usize = 1 << 20;

/// The patterns of an ignore file.
///
/// ```
/// use image_build::ignore::Ignore;
///
/// let ignore = Ignore::parse(".dockerignore", b"**/*.md\n!README.md\n/target\n")?;
/// assert!(ignore.matches(b"docs/intro.md"));
/// assert!(!ignore.matches(b"README.md"));
/// assert!(ignore.matches(b"target/debug/app"));
/// assert!(!ignore.matches(b"crate/target"));
/// # Ok::<(), image_build::Error>(())
/// ```
///
/// A walk carries the verdict on each directory to what is in it, which costs less than
/// [`Ignore::matches`] and tells which directories need not be entered:
///
/// ```
/// # use image_build::ignore::{Ignore, Verdict};
/// # let ignore = Ignore::parse(".dockerignore", b"target\n!target/keep\n")?;
/// let target = ignore.verdict(Verdict::default(), b"target");
/// assert!(target.is_excluded() && !ignore.may_skip(target, b"target"));
/// let keep = ignore.verdict(target, b"target/keep");
/// assert!(!keep.is_excluded());
/// let debug = ignore.verdict(target, b"target/debug");
/// assert!(debug.is_excluded() && ignore.may_skip(debug, b"target/debug"));
/// # Ok::<(), image_build::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Ignore {
    rules: Vec<Rule>,
    index: Box<Index>,
}

#[derive(Debug, Clone)]
struct Rule {
    pattern: Pattern,
    /// Whether it takes back (`!`) instead of leaving out.
    exception: bool,
}

/// What an ignore file says of one path; the default is that of the context's root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[must_use]
pub struct Verdict {
    /// One more than the position of the last rule that matches the path or a directory above.
    decided: usize,
    excluded: bool,
}

impl Verdict {
    /// Whether the path is left out. A directory that is left out can still hold a path that
    /// is not: see [`Ignore::may_skip`].
    #[must_use]
    pub fn is_excluded(self) -> bool {
        self.excluded
    }
}

impl Ignore {
    /// Reads an ignore file that errors call by its name.
    ///
    /// # Errors
    /// [`Error::InvalidPattern`] with the line; [`Error::LimitExceeded`] past 1 MiB.
    ///
    /// # Spec
    /// Dockerfile reference, .dockerignore file.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self> {
        if bytes.len() > LIMIT {
            return Err(Error::LimitExceeded { what: name.to_owned(), limit: LIMIT as u64 });
        }
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let mut ignore = Self::default();
        for (position, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            if line.first() == Some(&b'#') {
                continue;
            }
            let rule = rule(line).map_err(|reason| Error::InvalidPattern {
                file: name.to_owned(),
                line: position + 1,
                pattern: excerpt(&String::from_utf8_lossy(trim(line)), 256),
                reason,
            })?;
            ignore.add(rule);
        }
        Ok(ignore)
    }

    /// Adds a pattern behind the others. It is no line of a file, so it may begin with `#`.
    pub(crate) fn push(&mut self, pattern: &[u8]) -> Result<(), &'static str> {
        self.add(rule(pattern)?);
        Ok(())
    }

    fn add(&mut self, rule: Option<Rule>) {
        if let Some(rule) = rule {
            self.index.push(self.rules.len(), &rule.pattern.text());
            self.rules.push(rule);
        }
    }

    /// Whether there is no pattern.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether a pattern takes back what others leave out.
    #[must_use]
    pub fn has_exceptions(&self) -> bool {
        self.rules.iter().any(|rule| rule.exception)
    }

    /// Whether a path is left out.
    ///
    /// The path is relative to the context's root and clean: no `.`, no `..`, one slash
    /// between components, none at the ends. The root itself is never left out.
    #[must_use]
    pub fn matches(&self, path: &[u8]) -> bool {
        let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        let verdict = ends
            .chain([path.len()])
            .fold(Verdict::default(), |verdict, end| self.verdict(verdict, path.get(..end).unwrap_or_default()));
        verdict.is_excluded()
    }

    /// The verdict on a path, given that on the directory it is in.
    ///
    /// The path is as for [`Ignore::matches`].
    pub fn verdict(&self, parent: Verdict, path: &[u8]) -> Verdict {
        if path.is_empty() {
            return parent;
        }
        // The last match decides, and what matches the directory matches all in it: only
        // the rules behind the one that decided there can change anything.
        let matches = |rule: usize| self.rules.get(rule).is_some_and(|rule| rule.pattern.matches(path));
        match self.index.last(path, parent.decided, matches) {
            Some(found) => {
                Verdict { decided: found + 1, excluded: self.rules.get(found).is_some_and(|rule| !rule.exception) }
            }
            None => parent,
        }
    }

    /// Whether a walk need not enter a directory, given the verdict on it: it is left out, and
    /// no later exception can match anything below.
    #[must_use]
    pub fn may_skip(&self, directory: Verdict, path: &[u8]) -> bool {
        let later = self.rules.get(directory.decided..).unwrap_or_default();
        directory.excluded && !later.iter().any(|rule| rule.exception && rule.pattern.reaches_below(path))
    }
}

/// The rule of a pattern; nothing where it is empty.
fn rule(line: &[u8]) -> Result<Option<Rule>, &'static str> {
    let text = trim(line);
    let (exception, text) = match text.strip_prefix(b"!") {
        Some(rest) => (true, trim(rest)),
        None => (false, text),
    };
    if text.is_empty() {
        return if exception { Err("a '!' without a pattern") } else { Ok(None) };
    }
    let path = clean(text);
    let path = match path.strip_prefix(b"/") {
        // The root itself: no path is called so.
        Some(b"") => return if exception { Err("a '!' without a pattern") } else { Ok(None) },
        Some(relative) => relative,
        None => &path,
    };
    Ok(Some(Rule { pattern: Pattern::parse(path)?, exception }))
}

/// A line without the blanks at its ends.
fn trim(line: &[u8]) -> &[u8] {
    str::from_utf8(line).map_or_else(|_| line.trim_ascii(), |text| text.trim().as_bytes())
}
