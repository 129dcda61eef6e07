//! Which rules can match a path at all, told by the plain text in them.
//!
//! Most patterns hold a text that every match begins with, ends with, or has somewhere. A path is looked through for all
//! these texts at once, and only the rules whose text it has are tried: how long that takes hardly depends on how many
//! rules there are.

use super::texts::Texts;

/// The most bytes of a text that is looked for at every place of a path.
const PART: usize = 32;

/// Text that is in everything that a pattern matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Text {
    /// At the begin.
    Start(Vec<u8>),
    /// At the end.
    End(Vec<u8>),
    /// Somewhere.
    Part(Vec<u8>),
}

/// The rules of a list by the texts in their patterns.
#[derive(Debug, Clone, Default)]
pub(super) struct Index {
    starts: Texts,
    /// The texts backwards.
    ends: Texts,
    parts: Texts,
    /// Rules that may match whatever a path looks like.
    others: Vec<usize>,
}

impl Index {
    /// Adds a rule behind all others.
    pub(super) fn push(&mut self, rule: usize, text: &Text) {
        match text {
            Text::Start(text) | Text::End(text) | Text::Part(text) if text.is_empty() => self.others.push(rule),
            Text::Start(text) => self.starts.push(text.iter(), rule),
            Text::End(text) => self.ends.push(text.iter().rev(), rule),
            Text::Part(text) => self.parts.push(text.iter().take(PART), rule),
        }
    }

    /// The last rule that matches a path, of those from `first` on.
    pub(super) fn last(&self, path: &[u8], first: usize, matches: impl Fn(usize) -> bool) -> Option<usize> {
        let mut found = Last { first, rule: None };
        found.look(&self.others, &matches);
        for text in self.starts.beginning(path.iter()) {
            found.look(self.starts.rules(text), &matches);
        }
        for text in self.ends.beginning(path.iter().rev()) {
            found.look(self.ends.rules(text), &matches);
        }
        if !self.parts.is_empty() {
            let begins = (0..path.len()).filter_map(|at| path.get(at..));
            let texts = begins.flat_map(|path| self.parts.beginning(path.iter()));
            let may_count = |text: &usize| self.parts.rules(*text).last().is_some_and(|last| *last >= found.first);
            let mut texts: Vec<usize> = texts.filter(may_count).collect();
            // A text may be in a path many times, and its rules are tried once.
            texts.sort_unstable();
            texts.dedup();
            texts.into_iter().for_each(|text| found.look(self.parts.rules(text), &matches));
        }
        found.rule
    }
}

/// The last rule that matches, of those that were tried.
struct Last {
    /// Those before it do not count.
    first: usize,
    rule: Option<usize>,
}

impl Last {
    /// Tries some rules, which are in order.
    fn look(&mut self, rules: &[usize], matches: impl Fn(usize) -> bool) {
        let mut later = rules.iter().rev().take_while(|rule| **rule >= self.first);
        if let Some(rule) = later.find(|rule| matches(**rule)) {
            *self = Self { first: *rule + 1, rule: Some(*rule) };
        }
    }
}
