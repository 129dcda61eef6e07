//! The patterns of `${name#pattern}`, `${name%pattern}` and `${name/pattern/text}`.

/// A pattern over the characters of a line: neither wildcard matches a line end.
#[derive(Debug)]
pub(super) struct Pattern(Vec<Element>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Element {
    /// `*`: any characters.
    Run,
    /// `?`: any character.
    Any,
    /// A character.
    One(char),
}

/// Which of several matches counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    Shortest,
    Longest,
}

/// How often a pattern may be compared with a character before that is too much.
#[derive(Debug)]
pub(super) struct Work(u64);

/// The pattern takes too long on this value.
#[derive(Debug)]
pub(super) struct TooMuch;

impl Default for Work {
    fn default() -> Self {
        Self(1 << 26)
    }
}

impl Work {
    fn spend(&mut self, steps: usize) -> Result<(), TooMuch> {
        self.0 = self.0.checked_sub(steps as u64).ok_or(TooMuch)?;
        Ok(())
    }
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// A backslash takes its meaning from `*`, `?` and another one; before `/` and `}` it only
    /// serves to write them. The error is the escape that means nothing.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut elements = Vec::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            let element = match c {
                '*' => Element::Run,
                '?' => Element::Any,
                '\\' => match chars.next() {
                    Some(c @ ('*' | '?' | '\\' | '/' | '}')) => Element::One(c),
                    other => return Err(other.map_or_else(|| "\\".to_owned(), |c| format!("\\{c}"))),
                },
                c => Element::One(c),
            };
            if element != Element::Run || elements.last() != Some(&Element::Run) {
                elements.push(element);
            }
        }
        Ok(Self(elements))
    }

    /// `value` without what matches at its begin.
    pub(super) fn trim_start(&self, value: &str, extent: Extent, work: &mut Work) -> Result<String, TooMuch> {
        let value: Vec<char> = value.chars().collect();
        let end = self.end(&value, extent, work)?.unwrap_or(0);
        Ok(value.into_iter().skip(end).collect())
    }

    /// `value` without what matches at its end.
    pub(super) fn trim_end(&self, value: &str, extent: Extent, work: &mut Work) -> Result<String, TooMuch> {
        let reversed = Self(self.0.iter().rev().copied().collect());
        let value: Vec<char> = value.chars().rev().collect();
        let end = reversed.end(&value, extent, work)?.unwrap_or(0);
        Ok(value.into_iter().skip(end).rev().collect())
    }

    /// `value` with the first match replaced, or with all of them; cut off past `limit` bytes.
    ///
    /// Of the matches that begin first, the longest counts. An empty match directly behind
    /// another match is none.
    pub(super) fn replace(
        &self,
        value: &str,
        with: &str,
        all: bool,
        limit: usize,
        work: &mut Work,
    ) -> Result<String, TooMuch> {
        let value: Vec<char> = value.chars().collect();
        let mut result = String::new();
        let (mut copied, mut search, mut matched) = (0, 0, false);
        while let Some((start, end)) = self.find(&value, search, work)? {
            result.extend(value.get(copied..start).unwrap_or_default());
            if end > copied || !matched {
                result.push_str(with);
            }
            (copied, search, matched) = (end, end.max(search + 1), true);
            if !all || result.len() > limit {
                break;
            }
        }
        result.extend(value.get(copied..).unwrap_or_default());
        Ok(result)
    }

    /// The first match from `search` on.
    fn find(&self, value: &[char], search: usize, work: &mut Work) -> Result<Option<(usize, usize)>, TooMuch> {
        let mut start = search;
        while start <= value.len() {
            let rest = value.get(start..).unwrap_or_default();
            if let Some(length) = self.end(rest, Extent::Longest, work)? {
                return Ok(Some((start, start + length)));
            }
            // A pattern that begins with * and fails here fails up to the end of the line.
            let line = rest.iter().position(|c| *c == '\n').unwrap_or(rest.len());
            start += if self.0.first() == Some(&Element::Run) { line.max(1) } else { 1 };
        }
        Ok(None)
    }

    /// The number of characters of a match that begins with the first one.
    ///
    /// All matches are followed at once, so the time is at most the product of both lengths.
    fn end(&self, value: &[char], extent: Extent, work: &mut Work) -> Result<Option<usize>, TooMuch> {
        let mut states = Vec::new();
        self.enter(&mut states, 0);
        let mut found = None;
        for at in 0..=value.len() {
            if states.last() == Some(&self.0.len()) {
                found = Some(at);
                if extent == Extent::Shortest {
                    break;
                }
            }
            work.spend(states.len() + 1)?;
            let Some(c) = value.get(at).filter(|_| !states.is_empty()) else { break };
            let mut next = Vec::with_capacity(states.len() + 1);
            for state in states {
                match self.0.get(state) {
                    Some(Element::Run) if *c != '\n' => self.enter(&mut next, state),
                    Some(Element::Any) if *c != '\n' => self.enter(&mut next, state + 1),
                    Some(Element::One(expected)) if expected == c => self.enter(&mut next, state + 1),
                    _ => {}
                }
            }
            states = next;
        }
        Ok(found)
    }

    /// Adds a state and those that an empty run leads to. States come in ascending order.
    fn enter(&self, states: &mut Vec<usize>, state: usize) {
        if states.last().is_none_or(|last| *last < state) {
            states.push(state);
            if self.0.get(state) == Some(&Element::Run) {
                states.push(state + 1);
            }
        }
    }
}
