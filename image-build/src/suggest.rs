//! What a misspelt word may have meant.

/// The longest word that is compared at all.
const LONGEST: usize = 64;

/// The candidate that differs least from `word`: in at most two characters added, dropped,
/// replaced or exchanged with their neighbour, and in less than half of them. Of equals the first.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > LONGEST {
        return None;
    }
    let near = |distance: usize, candidate: &str| {
        (1..=2).contains(&distance) && distance * 2 < word.chars().count().max(candidate.chars().count())
    };
    candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= LONGEST)
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, candidate)| near(*distance, candidate))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// The edits that make one word of another, no part edited twice.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let at = |row: &[usize], column: usize| row.get(column).copied().unwrap_or(usize::MAX);
    let (mut before, mut last): (Vec<usize>, Vec<usize>) = (Vec::new(), (0..=right.len()).collect());
    let mut previous: Option<char> = None;
    for (i, l) in left.chars().enumerate() {
        let mut row = vec![i + 1];
        for (j, r) in right.iter().enumerate() {
            let edit = at(&last, j).saturating_add(usize::from(l != *r)).min(at(&last, j + 1) + 1).min(at(&row, j) + 1);
            let exchanged = previous == Some(*r) && j.checked_sub(1).and_then(|j| right.get(j)) == Some(&l);
            row.push(if exchanged { edit.min(at(&before, j - 1) + 1) } else { edit });
        }
        (before, last, previous) = (last, row, Some(l));
    }
    last.last().copied().unwrap_or_default()
}
