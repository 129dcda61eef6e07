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

/// The edits that make one word of another, no part edited twice. Neither has more than [`LONGEST`] characters.
fn distance(left: &str, right: &str) -> usize {
    let (mut characters, mut count) = (['\0'; LONGEST], 0);
    for (place, character) in characters.iter_mut().zip(right.chars()) {
        *place = character;
        count += 1;
    }
    let right = &characters[..count];
    // Each row is one longer than the word, and there are three: this one, the last, and the one before.
    let mut rows = [[0; LONGEST + 1]; 3];
    let [before, last, row] = &mut rows;
    (0..=count).for_each(|column| last[column] = column);
    let mut previous: Option<char> = None;
    for (i, l) in left.chars().enumerate() {
        row[0] = i + 1;
        for (j, r) in right.iter().enumerate() {
            let edit = (last[j] + usize::from(l != *r)).min(last[j + 1] + 1).min(row[j] + 1);
            let is_exchanged = j > 0 && previous == Some(*r) && right[j - 1] == l;
            row[j + 1] = if is_exchanged { edit.min(before[j - 1] + 1) } else { edit };
        }
        std::mem::swap(before, last);
        std::mem::swap(last, row);
        previous = Some(l);
    }
    last[count]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_known() {
        let longest = "x".repeat(LONGEST);
        for (left, right, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "abc", 0),
            ("kitten", "sitting", 3),
            ("from", "form", 1),
            ("ca", "abc", 3), // no part is edited twice
            ("größe", "grösse", 2),
            (&longest, &longest, 0),
            (&longest, &longest[1..], 1),
            (&longest, "", LONGEST),
        ] {
            assert_eq!(distance(left, right), expected, "{left:?} {right:?}");
            assert_eq!(distance(right, left), expected, "{right:?} {left:?}");
        }
    }

    #[test]
    fn longer_words_mean_nothing_else() {
        let long = "x".repeat(LONGEST + 1);
        assert_eq!(nearest(&long, [&long[1..]]), None);
        assert_eq!(nearest(&long[1..], [&*long]), None);
        assert_eq!(nearest(&long[1..], [&long[2..]]), Some(&long[2..]));
    }
}
