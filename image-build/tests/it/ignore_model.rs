//! Ignore files beside trying every pattern in every way.

use image_build::ignore::{Ignore, Verdict};
use proptest::{collection::vec, prelude::*, sample::select, test_runner::TestCaseError};

use super::ignore::{ignore, walk};

/// Whether a pattern matches, tried in every way; the pattern is cleaned up.
fn slow(pattern: &str, path: &str) -> bool {
    let special = |text: &str| text.contains(['*', '?', '\\', '[', ']']);
    if let Some(rest) = pattern.strip_prefix("**").filter(|rest| !special(rest)) {
        return match rest.strip_prefix('/') {
            Some(end) => path == end || path.ends_with(&format!("/{end}")),
            None => path.ends_with(rest),
        };
    }
    fn tried(pattern: &str, path: &str) -> bool {
        if let Some(rest) = pattern.strip_prefix("**") {
            let rest = rest.strip_prefix('/').unwrap_or(rest);
            let ends = path.match_indices('/').map(|(at, _)| at + 1).chain([0]);
            return rest.is_empty() || ends.into_iter().any(|end| tried(rest, &path[end..]));
        }
        let mut chars = pattern.chars();
        let Some(first) = chars.next() else { return path.is_empty() };
        let rest = chars.as_str();
        match first {
            '*' => {
                let component = path.find('/').unwrap_or(path.len());
                (0..=component).filter(|at| path.is_char_boundary(*at)).any(|at| tried(rest, &path[at..]))
            }
            '?' => path.chars().next().is_some_and(|c| c != '/' && tried(rest, &path[c.len_utf8()..])),
            '[' => {
                let (members, rest) = rest.split_once(']').unwrap();
                let first = path.chars().next();
                first.is_some_and(|c| is_member(members, c) && tried(rest, &path[c.len_utf8()..]))
            }
            '\\' => {
                let escaped = chars.next().unwrap();
                path.strip_prefix(escaped).is_some_and(|path| tried(chars.as_str(), path))
            }
            c => path.strip_prefix(c).is_some_and(|path| tried(rest, path)),
        }
    }
    tried(pattern, path)
}

/// Whether a class, of members without escapes, takes a character.
fn is_member(members: &str, c: char) -> bool {
    let others = members.strip_prefix('^');
    let members: Vec<char> = others.unwrap_or(members).chars().collect();
    let is_range = members.get(1) == Some(&'-');
    let is_one = if is_range { (members[0]..=members[2]).contains(&c) } else { members.contains(&c) };
    c != '/' && is_one != others.is_some()
}

/// The reference's rule: the last pattern that matches a path or one of its parents decides.
fn slow_list(patterns: &[String], path: &str) -> bool {
    let mut matched = false;
    for pattern in patterns {
        let (exception, pattern) = match pattern.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, pattern.as_str()),
        };
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        if ends.into_iter().any(|end| slow(pattern, &path[..end])) {
            matched = !exception;
        }
    }
    matched
}

fn arb_component() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[ab]{1,2}",
        2 => select(vec!["*", "**", "?", "a*", "*b", "a**", "**b", "a**b", "?*", "***", "a?b*", "\\a", "é", "[ab]", "a[^b]*", "[a-b]b"]).prop_map(str::to_owned),
    ]
}

fn arb_pattern() -> impl Strategy<Value = String> {
    (prop::bool::weighted(0.3), vec(arb_component(), 1..4))
        .prop_map(|(exception, parts)| format!("{}{}", if exception { "!" } else { "" }, parts.join("/")))
}

fn arb_path() -> impl Strategy<Value = String> {
    vec("[abé]{1,3}", 1..5).prop_map(|parts| parts.join("/"))
}

fn arb_word() -> impl Strategy<Value = &'static str> {
    select(vec!["src", "src2", "main.rs", "target", "lib", "lib.rs", "a", "é", ".git", "x.tmp", "lib.lib", "rs"])
}

/// Words, some of them with wildcards around them.
fn arb_wordy_pattern() -> impl Strategy<Value = String> {
    let before = select(vec!["*", "**", "?", "[a-z]", "[^a]", ""]);
    let after = select(vec!["*", "**", "?", "[0-9]", "[^a]"]);
    let part = prop_oneof![
        4 => arb_word().prop_map(str::to_owned),
        2 => (before, arb_word()).prop_map(|(before, word)| format!("{before}{word}")),
        2 => (arb_word(), after).prop_map(|(word, after)| format!("{word}{after}")),
        2 => select(vec!["*", "**", "*.rs", "*.*", "l*b"]).prop_map(str::to_owned),
    ];
    (prop::bool::weighted(0.3), vec(part, 1..4))
        .prop_map(|(exception, parts)| format!("{}{}", if exception { "!" } else { "" }, parts.join("/")))
}

fn arb_wordy_path() -> impl Strategy<Value = String> {
    vec(arb_word(), 1..5).prop_map(|words| words.join("/"))
}

/// Compares the answers on a path with those of trying every pattern.
fn compare(patterns: &[String], path: &str) -> Result<(), TestCaseError> {
    let lines: Vec<&str> = patterns.iter().map(String::as_str).collect();
    let list = ignore(&lines);
    prop_assert_eq!(list.matches(path.as_bytes()), slow_list(patterns, path));
    prop_assert_eq!(walk(&list, path).is_excluded(), list.matches(path.as_bytes()));
    // Nothing below a directory that may be skipped is wanted.
    for (end, _) in path.match_indices('/') {
        let directory = &path[..end];
        if list.may_skip(walk(&list, directory), directory.as_bytes()) {
            prop_assert!(list.matches(path.as_bytes()), "{:?} is skipped", directory);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn agrees_with_trying_everything(patterns in vec(arb_pattern(), 0..5), path in arb_path()) {
        compare(&patterns, &path)?;
    }

    /// Of many patterns few are tried, and these have to be the right ones.
    #[test]
    fn long_lists_agree_with_trying_everything(
        patterns in vec(prop_oneof![arb_pattern(), arb_wordy_pattern()], 5..80),
        path in prop_oneof![arb_path(), arb_wordy_path()],
    ) {
        compare(&patterns, &path)?;
    }

    #[test]
    fn bytes_never_panic(bytes in vec(select(b"ab/*?[]^-\\!# \n\r.\xc3\xa9\xff".to_vec()), 0..30), path in vec(any::<u8>(), 0..20)) {
        if let Ok(list) = Ignore::parse("x", &bytes) {
            let verdict = list.verdict(Verdict::default(), &path);
            prop_assert!(verdict.is_excluded() || !list.may_skip(verdict, &path));
            prop_assert!(!list.matches(&path) || !list.is_empty());
        }
    }
}
