//! Which step of an earlier run a step corresponds to.

use std::collections::{HashMap, VecDeque};

/// The counterpart of a step in an earlier run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counterpart {
    /// Its position then.
    pub(crate) position: usize,
    /// Whether it stood elsewhere among the steps that are still there.
    pub(crate) moved: bool,
}

/// For each new step its counterpart among the old ones; `None` for a step that is new.
///
/// Equal texts correspond first, the first of several to the first. Then what is left between two
/// that stayed in order corresponds in order, where the first word is the same.
pub(crate) fn align(old: &[String], new: &[String]) -> Vec<Option<Counterpart>> {
    let mut found = same_texts(old, new);
    let stayed = longest_rising(&found);
    for (at, counterpart) in found.iter_mut().enumerate() {
        if let Some(counterpart) = counterpart {
            counterpart.moved = stayed.binary_search(&at).is_err();
        }
    }
    rewritten(old, new, &stayed, &mut found);
    found
}

/// A text as it is compared: blanks do not count.
pub(crate) fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn same_texts(old: &[String], new: &[String]) -> Vec<Option<Counterpart>> {
    let mut places: HashMap<String, Vec<usize>> = HashMap::new();
    for (position, text) in old.iter().enumerate().rev() {
        places.entry(plain(text)).or_default().push(position);
    }
    let counterpart = |text: &String| {
        let position = places.get_mut(&plain(text))?.pop()?;
        Some(Counterpart { position, moved: false })
    };
    new.iter().map(counterpart).collect()
}

/// The new positions of a longest run of counterparts whose old positions rise.
fn longest_rising(found: &[Option<Counterpart>]) -> Vec<usize> {
    let place = |at: usize| found[at].map(|counterpart| counterpart.position);
    // The last member of the best run of each length, and before each member the one that precedes it.
    let mut ends: Vec<usize> = Vec::new();
    let mut before = vec![None; found.len()];
    for at in (0..found.len()).filter(|at| found[*at].is_some()) {
        let length = ends.partition_point(|end| place(*end) < place(at));
        before[at] = length.checked_sub(1).map(|shorter| ends[shorter]);
        match ends.get_mut(length) {
            Some(end) => *end = at,
            None => ends.push(at),
        }
    }
    let mut run: Vec<usize> = std::iter::successors(ends.last().copied(), |at| before[*at]).collect();
    run.reverse();
    run
}

/// Finds counterparts of steps whose text is new, between those that stayed.
fn rewritten(old: &[String], new: &[String], stayed: &[usize], found: &mut [Option<Counterpart>]) {
    let mut taken = vec![false; old.len()];
    for counterpart in found.iter().flatten() {
        taken[counterpart.position] = true;
    }
    let place = |at: &usize, found: &[Option<Counterpart>]| found[*at].map_or(0, |counterpart| counterpart.position);
    let mut from = (0, 0);
    for end in stayed.iter().map(Some).chain([None]) {
        let to = end.map_or((old.len(), new.len()), |at| (place(at, found), *at));
        let mut left: HashMap<String, VecDeque<usize>> = HashMap::new();
        for position in (from.0..to.0).filter(|position| !taken[*position]) {
            left.entry(keyword(&old[position])).or_default().push_back(position);
        }
        // What corresponds stays in order, so what stands before the last one found is of no use any more.
        let mut candidates = from.0;
        for at in (from.1..to.1).filter(|at| found[*at].is_none()).collect::<Vec<_>>() {
            let Some(positions) = left.get_mut(&keyword(&new[at])) else { continue };
            while positions.front().is_some_and(|position| *position < candidates) {
                positions.pop_front();
            }
            if let Some(position) = positions.pop_front() {
                found[at] = Some(Counterpart { position, moved: false });
                candidates = position + 1;
            }
        }
        from = (to.0 + 1, to.1 + 1);
    }
}

fn keyword(text: &str) -> String {
    text.split_whitespace().next().unwrap_or_default().to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Steps as letters (their text) with a keyword; counterparts as positions, `!` where moved, `-` where new.
    fn check(old: &str, new: &str, expected: &str) {
        let steps =
            |text: &str| text.split(' ').filter(|s| !s.is_empty()).map(|s| s.replace('_', " ")).collect::<Vec<_>>();
        let said: Vec<String> = align(&steps(old), &steps(new))
            .iter()
            .map(|found| match found {
                Some(found) => format!("{}{}", found.position, if found.moved { "!" } else { "" }),
                None => "-".into(),
            })
            .collect();
        assert_eq!(said.join(" "), expected, "{old} → {new}");
    }

    #[test]
    fn steps_find_their_counterparts() {
        check("", "a", "-");
        check("a b c", "a b c", "0 1 2");
        check("a b c", "a c", "0 2");
        check("a c", "a b c", "0 - 1");
        check("a b c", "a c b", "0 2! 1");
        check("a b c d", "d a b c", "3! 0 1 2");
        check("a b c d", "b c d a", "1 2 3 0!");
        check("a a", "a a a", "0 1 -");
        check("f r_1 c", "f r_2 c", "0 1 2");
        check("f r_1 r_2 c", "f r_3 c", "0 1 3");
        check("f r_1 c", "f R_2 r_3 c", "0 1 - 2");
        check("f r_1 c", "f x c", "0 - 2");
        check("f r_1", "r_2", "1");
        check("a__b", "a_b", "0");
    }
}
