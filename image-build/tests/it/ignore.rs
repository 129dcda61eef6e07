//! Matching of ignore files.
//!
//! The tables named after patternmatcher state what its public tests (moby/patternmatcher)
//! expect.

use std::time::Duration;

use image_build::{
    Error,
    ignore::{Ignore, Verdict},
};
use test_support::thread_time;

pub(crate) fn ignore(lines: &[&str]) -> Ignore {
    Ignore::parse(".dockerignore", lines.join("\n").as_bytes()).unwrap_or_else(|error| panic!("{lines:?}: {error}"))
}

#[test]
fn single_patterns_of_the_reference_table() {
    // TestMatches
    for (pattern, path, expected) in [
        ("**", "file", true),
        ("**/", "file", true),
        ("**", "dir/file", true),
        ("**/**", "dir/file", true),
        ("dir/**", "dir/file", true),
        ("dir/**", "dir/dir2/file", true),
        ("**/dir", "dir", true),
        ("**/dir", "dir/file", true),
        ("**/dir2/*", "dir/dir2/file", true),
        ("**/dir2/**", "dir/dir2/dir3/file", true),
        ("**file", "file", true),
        ("**file", "dir/file", true),
        ("**file", "dir/dir/file", true),
        ("**/file", "dir/dir/file", true),
        ("**/file*", "dir/dir/file.txt", true),
        ("**/file*txt", "dir/dir/file.txt", true),
        ("**/file*.txt*", "dir/dir/file.txt", true),
        ("**/**/*.txt", "dir/dir/file.txt", true),
        ("**/**/*.txt2", "dir/dir/file.txt", false),
        ("**/*.txt", "file.txt", true),
        ("**/**/*.txt", "file.txt", true),
        ("a**/*.txt", "a/file.txt", true),
        ("a**/*.txt", "a/dir/dir/file.txt", true),
        ("a/*.txt", "a/dir/file.txt", false),
        ("a/*.txt", "a/file.txt", true),
        ("a/*.txt**", "a/file.txt", true),
        ("a[b-d]e", "ae", false),
        ("a[b-d]e", "ace", true),
        ("a[b-d]e", "aae", false),
        ("a[^b-d]e", "aze", true),
        (".*", ".foo", true),
        (".*", "foo", false),
        ("abc.def", "abcdef", false),
        ("abc.def", "abc.def", true),
        ("abc.def", "abcZdef", false),
        ("abc?def", "abcZdef", true),
        ("abc?def", "abcdef", false),
        ("a\\\\", "a\\", true),
        ("**/foo/bar", "foo/bar", true),
        ("**/foo/bar", "dir/dir2/foo/bar", true),
        ("abc/**", "abc", false),
        ("abc/**", "abc/def/ghi", true),
        ("**/.foo", ".foo", true),
        ("**/.foo", "bar.foo", false),
        ("a(b)c/def", "a(b)c/def", true),
        ("a(b)c/def", "a(b)c/xyz", false),
        ("a.|)$(}+{bc", "a.|)$(}+{bc", true),
        ("dist/*.whl", "dist/proxy.py-2.4.0rc3.dev36+g08acad9-py3-none-any.whl", true),
        ("a\\*b", "a*b", true),
        // TestMatch
        ("abc", "abc", true),
        ("*", "abc", true),
        ("*c", "abc", true),
        ("a*", "a", true),
        ("a*", "ab/c", true),
        ("a*/b", "abc/b", true),
        ("a*/b", "a/c/b", false),
        ("a*b*c*d*e*/f", "axbxcxdxe/f", true),
        ("a*b*c*d*e*/f", "axbxcxdxexxx/f", true),
        ("a*b*c*d*e*/f", "axbxcxdxe/xxx/f", false),
        ("a*b*c*d*e*/f", "axbxcxdxexxx/fff", false),
        ("a*b?c*x", "abxbbxdbxebxczzx", true),
        ("a*b?c*x", "abxbbxdbxebxczzy", false),
        ("ab[c]", "abc", true),
        ("ab[e-g]", "abc", false),
        ("ab[^c]", "abc", false),
        ("ab[^e-g]", "abc", true),
        ("a\\*b", "ab", false),
        ("a?b", "a☺b", true),
        ("a[^a]b", "a☺b", true),
        ("a???b", "a☺b", false),
        ("a[^a][^a][^a]b", "a☺b", false),
        ("[a-ζ]*", "α", true),
        ("*[a-ζ]", "A", false),
        ("a?b", "a/b", false),
        ("a*b", "a/b", false),
        ("[\\]a]", "]", true),
        ("[\\-]", "-", true),
        ("[x\\-]", "x", true),
        ("[x\\-]", "z", false),
        ("[\\-x]", "a", false),
        ("*x", "xxx", true),
        // The rest of both, whose like stands above.
        ("**/", "dir/file", true),
        ("**file", "dir/file", true),
        ("**/file", "dir/file", true),
        ("**/file*", "dir/dir/file", true),
        ("**/file*.txt", "dir/dir/file.txt", true),
        ("a**/*.txt", "a/dir/file.txt", true),
        ("**/foo/bar", "dir/foo/bar", true),
        ("abc/**", "abc/def", true),
        (
            "dist/proxy.py-2.4.0rc3.dev36+g08acad9-py3-none-any.whl",
            "dist/proxy.py-2.4.0rc3.dev36+g08acad9-py3-none-any.whl",
            true,
        ),
        ("a*", "abc", true),
        ("ab[b-d]", "abc", true),
        ("ab[^b-d]", "abc", false),
        ("[x\\-]", "-", true),
        ("[\\-x]", "x", true),
        ("[\\-x]", "-", true),
        ("*", "fileutils.go", true),
        ("*.go", "fileutils.go", true),
        // How lines are read (ignorefile), and what the reference says of rooted patterns.
        ("/a/file/here", "a/file/here", true),
        ("foo/", "foo", true),
        ("foo", "a/foo", false),
        ("./foo/../bar", "bar", true),
        ("../foo", "foo", false),
        ("  foo  ", "foo", true),
        ("#foo", "#foo", false),
        (" #foo", "#foo", true),
        ("\\#foo", "#foo", true),
        (".", "foo", false),
        ("/", "foo", false),
        ("**x", "ax", true),
        ("**x*", "ax", false),
        ("a**b", "a/x/b", true),
        ("a**b", "axb", false),
        ("a**b", "ax/b", true),
        ("***", "a", true),
        // A class never matches a slash, and members are no wildcards.
        ("a[^b]c", "a/c", false),
        ("a[.-0]c", "a/c", false),
        ("a[*?]c", "a*c", true),
        ("a[*?]c", "axc", false),
        ("\\d", "d", true),
        ("\\d", "1", false),
        ("a^*", "a^b", true),
        ("a]*", "a]b", true),
    ] {
        assert_eq!(ignore(&[pattern]).matches(path.as_bytes()), expected, "{pattern:?} {path:?}");
    }
}

#[test]
fn lists_of_the_reference_tables() {
    for (patterns, path, expected) in [
        (vec!["**", "!util/docker/web"], "util/docker/web/foo", false),
        (vec!["**", "!util/docker/web", "util/docker/web/foo"], "util/docker/web/foo", true),
        (vec!["**", "!dist/*.whl"], "dist/proxy-py3.whl", false),
        (vec!["**", "!dist/a.b-1.dev36+g08-py3.whl"], "dist/a.b-1.dev36+g08-py3.whl", false),
        (vec!["docs", "  !docs/README.md"], "docs/README.md", false),
        (vec!["docs", "!docs/README.md  "], "docs/README.md", false),
        (vec!["docs", "config", ""], "config", true),
        // ignorefile_test
        (vec!["test1", "/test2", "/a/file/here", "", "lastfile", "# this is a comment"], "test2", true),
        (vec!["test1", "/test2", "/a/file/here", "", "lastfile", "# this is a comment"], "lastfile", true),
        (vec!["**", "! /inverted/abs/path"], "inverted/abs/path", false),
        (vec!["!fileutils.go", "*.go"], "fileutils.go", true),
        (vec!["*.go", "!fileutils.go"], "fileutils.go", false),
        (vec!["docs", "!docs/README.md"], "docs/README.md", false),
        (vec!["docs/", "!docs/README.md"], "docs/README.md", false),
        (vec!["docs/*", "!docs/README.md"], "docs/README.md", false),
        (vec!["docs", "! /docs/README.md"], "docs/README.md", false),
        (vec!["docs", "!docs/README.md"], "docs/other", true),
        (vec![], "any/path", false),
        // A directory that an exception matches counts for what is in it, whatever matched before.
        (vec!["**/*.md", "!docs"], "docs/a.md", false),
        (vec!["**/*.md", "!docs", "docs/secret*"], "docs/secret.md", true),
        (vec!["*.md", "!README*.md", "README-secret.md"], "README-secret.md", true),
        (vec!["*.md", "README-secret.md", "!README*.md"], "README-secret.md", false),
    ] {
        assert_eq!(ignore(&patterns).matches(path.as_bytes()), expected, "{patterns:?} {path:?}");
    }
    assert!(!ignore(&["**"]).matches(b""));
    assert!(ignore(&["\u{feff}# comment", "", "  "]).is_empty());
    assert!(ignore(&["\u{feff}a"]).matches(b"a"));
    assert!(Ignore::parse("x", b"a\r\nb\r\n").unwrap().matches(b"b"));
    assert!(Ignore::parse("x", b"a?\xff").unwrap().matches(b"a\xfe\xff"));
    assert!(ignore(&["!a"]).has_exceptions() && !ignore(&["a"]).has_exceptions());
}

#[test]
fn malformed_patterns_name_their_line() {
    for (pattern, reason) in [
        ("!", "a '!' without a pattern"),
        ("!  ", "a '!' without a pattern"),
        ("!/", "a '!' without a pattern"),
        ("[", "a character class is not closed"),
        ("[^", "a character class is not closed"),
        ("[^bc", "a character class is not closed"),
        ("a[", "a character class is not closed"),
        ("[]a]", "an empty character class"),
        ("[-]", "a '-' or ']' in a character class needs an escape"),
        ("[x-]", "a '-' or ']' in a character class needs an escape"),
        ("[-x]", "a '-' or ']' in a character class needs an escape"),
        ("[a-b-c]", "a '-' or ']' in a character class needs an escape"),
        ("[Local-Only]/", "a range of characters that ends before it begins"),
        ("\\", "an escape at the end"),
        ("a/b*\\", "an escape at the end"),
    ] {
        let error = Ignore::parse("app.dockerignore", format!("# x\n\n{pattern}\n").as_bytes()).unwrap_err();
        let shown = pattern.trim();
        assert_eq!(error.to_string(), format!("app.dockerignore:3: invalid pattern {shown:?}: {reason}"));
    }
    assert!(matches!(Ignore::parse("x", &vec![b'a'; (1 << 20) + 1]), Err(Error::LimitExceeded { .. })));
}

#[test]
fn directories_are_skipped_unless_an_exception_reaches_into_them() {
    for (patterns, directory, expected) in [
        (vec!["a"], "a", true),
        (vec!["a"], "b", false),
        (vec!["a", "!a/b"], "a", false),
        (vec!["a", "!a/b"], "a/c", true),
        (vec!["a", "!a/b/c"], "a/b", false),
        (vec!["a", "!b"], "a", true),
        (vec!["a", "!ab"], "a", true),
        (vec!["!a/b", "a"], "a", true),
        (vec!["a", "!**/x"], "a/q", false),
        (vec!["a", "!**x"], "a", false),
        (vec!["a", "!a/b**"], "a", false),
        (vec!["a", "!a/b**"], "a/c", true),
        (vec!["a", "!a/*/c"], "a/b", false),
        (vec!["a", "!a/*/c"], "a/b/d", true),
        (vec!["a", "!b/*"], "a", true),
        (vec!["a", "![b-c]/*"], "a", true),
        (vec!["a", "!?/x**/y"], "a/z", true),
        (vec!["a", "!?/x**/y"], "a/xz", false),
        (vec!["*", "!src"], "node_modules", true),
        (vec!["*", "!src"], "src", false),
    ] {
        let list = ignore(&patterns);
        let verdict = walk(&list, directory);
        assert_eq!(list.may_skip(verdict, directory.as_bytes()), expected, "{patterns:?} {directory:?}");
    }
}

/// The verdict on a path, carried down from the root.
pub(crate) fn walk(list: &Ignore, path: &str) -> Verdict {
    let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
    ends.fold(Verdict::default(), |verdict, end| list.verdict(verdict, &path.as_bytes()[..end]))
}

#[test]
fn a_large_context_is_walked_quickly() {
    let lines: Vec<String> = (0..200)
        .map(|n| match n % 5 {
            0 => format!("dir{n}/sub"),
            1 => format!("**/*.ext{n}"),
            2 => format!("**/name{n}"),
            3 => format!("build{n}/**"),
            _ => format!("!**/keep{n}*/x?[a-c]*"),
        })
        .collect();
    let list = ignore(&lines.iter().map(String::as_str).collect::<Vec<_>>());
    let begin = thread_time();
    let mut excluded = 0;
    for directory in 0..1000 {
        let parent = format!("some/dir{directory}");
        let verdict = walk(&list, &parent);
        for file in 0..100 {
            let path = format!("{parent}/file{file}.ext{}", directory % 200);
            excluded += usize::from(list.verdict(verdict, path.as_bytes()).is_excluded());
        }
    }
    assert_eq!(excluded, 100 * 1000 / 5);
    assert!(thread_time() - begin < Duration::from_secs(20), "{:?}", thread_time() - begin);
    // A pattern that takes a backtracking matcher for ever.
    let list = ignore(&[&"*a".repeat(2000), &"**/x*".repeat(500)]);
    assert!(!list.matches(format!("{}b", "a".repeat(4000)).as_bytes()));
    assert!(thread_time() - begin < Duration::from_secs(40), "{:?}", thread_time() - begin);
}
