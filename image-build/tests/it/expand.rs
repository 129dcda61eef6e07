//! Expansion of variables.
//!
//! The tables named after BuildKit state what its public test data
//! (moby/buildkit, frontend/dockerfile/shell) expects.

use std::time::Duration;

use image_build::{
    Env, Error,
    dockerfile::{Command, Dockerfile, Spanned},
    expand::Expander,
};
use proptest::prelude::*;
use test_support::thread_time;

fn env(pairs: &[(&str, &str)]) -> Env {
    pairs.iter().copied().collect()
}

/// A word of which no file knows: its errors have no place.
fn word(text: &str) -> Spanned<String> {
    Spanned::new(text.to_owned(), Default::default())
}

fn file() -> Dockerfile {
    Dockerfile::parse("FROM scratch").unwrap()
}

fn expand(text: &str, env: &Env) -> Result<String, Error> {
    Expander::new(&file(), env).word(&word(text))
}

#[test]
fn words_of_buildkits_variable_table() {
    // shell/envVarTest; an error is written as None.
    let env = env(&[("PWD", "/home"), ("SHELL", "bash"), ("KOREAN", "한국어"), ("NULL", "")]);
    for (source, expected) in [
        ("hello", Some("hello")),
        ("he'll'o", Some("hello")),
        ("he'llo", None),
        (r"he\'llo", Some("he'llo")),
        (r"he\\'llo", None),
        (r"abc\tdef", Some("abctdef")),
        (r#""abc\tdef""#, Some(r"abc\tdef")),
        (r#""abc\\tdef""#, Some(r"abc\tdef")),
        (r"'abc\tdef'", Some(r"abc\tdef")),
        (r"hello\", Some("hello")),
        (r"hello\\", Some(r"hello\")),
        (r#""hello"#, None),
        (r#""hello\""#, None),
        (r#""hel'lo""#, Some("hel'lo")),
        ("'hello", None),
        (r"'hello\'", Some(r"hello\")),
        (r"'hello\\there'", Some(r"hello\\there")),
        (r#""''""#, Some("''")),
        ("$.", Some("$.")),
        ("he$1x", Some("hex")),
        ("he$.x", Some("he$.x")),
        ("he$pwd.", Some("he.")),
        ("he$PWD", Some("he/home")),
        (r"he\$PWD", Some("he$PWD")),
        (r"he\\$PWD", Some(r"he\/home")),
        (r#""he\$PWD""#, Some("he$PWD")),
        (r#""he\\$PWD""#, Some(r"he\/home")),
        (r"\${}", Some("${}")),
        (r"he\${}xx", Some("he${}xx")),
        ("${}", None),
        ("he${}xx", None),
        ("he${hi}xx", Some("hexx")),
        ("he${PWD}", Some("he/home")),
        ("he${.}", None),
        ("he${XXX:-000}xx", Some("he000xx")),
        ("he${PWD:-000}xx", Some("he/homexx")),
        ("he${XXX:-$PWD}xx", Some("he/homexx")),
        ("he${XXX:-${PWD:-yyy}}xx", Some("he/homexx")),
        ("he${XXX:-${YYY:-yyy}}xx", Some("heyyyxx")),
        ("he${XXX:YYY}", None),
        ("he${XXX?}", None),
        ("he${XXX:?}", None),
        ("he${PWD?}", Some("he/home")),
        ("he${PWD:?}", Some("he/home")),
        ("he${NULL?}", Some("he")),
        ("he${NULL:?}", None),
        ("he${XXX:+${PWD}}xx", Some("hexx")),
        ("he${PWD:+${XXX}}xx", Some("hexx")),
        ("he${PWD:+${SHELL}}xx", Some("hebashxx")),
        ("he${XXX:+000}xx", Some("hexx")),
        ("he${PWD:+000}xx", Some("he000xx")),
        ("'he${XX}'", Some("he${XX}")),
        (r#""he'$PWD'""#, Some("he'/home'")),
        (r"'\$PWD'", Some(r"\$PWD")),
        (r#"'"hello"'"#, Some(r#""hello""#)),
        ("he${PWD", None),
        ("he${PWD:=000}xx", None),
        ("he${PWD:+${PWD}:}xx", Some("he/home:xx")),
        (r"he${XXX:-\$PWD:}xx", Some("he$PWD:xx")),
        (r"he${XXX:-\${PWD}z}xx", Some("he${PWDz}xx")),
        ("안'녕'하세요", Some("안녕하세요")),
        ("안'녕하세요", None),
        (r"안녕\'하세요", Some("안녕'하세요")),
        (r#""안녕\t하세요""#, Some(r"안녕\t하세요")),
        ("안녕$KOREAN", Some("안녕한국어")),
        ("안녕${XXX:-${YYY:-yyy}}xx", Some("안녕yyyxx")),
        ("${{aaa}", None),
        ("${aaa}}", Some("}")),
        ("${aaa", None),
        ("${{aaa:-bbb}", None),
        ("${aaa:-bbb}}", Some("bbb}")),
        ("${aaa:-bbb", None),
        ("${aaa:-${bbb:-ccc}}", Some("ccc")),
        ("${aaa:-bbb ${foo}", None),
        ("${aaa:-bbb {foo}", Some("bbb {foo")),
        ("${:}", None),
        ("${:-bbb}", None),
        ("${:+bbb}", None),
        ("$1", Some("")),
        ("${1:+bbb}", Some("")),
        ("${1:-bbb}", Some("bbb")),
        ("$999aaa", Some("aaa")),
        ("${001:-bbb}aaa", Some("bbbaaa")),
        ("$@", Some("")),
        ("${@:-bbb}", Some("bbb")),
        ("$@@@", Some("@@")),
        ("${@:+bbb}aaa", Some("aaa")),
        ("$*", Some("")),
        ("$#", Some("")),
        ("${#:-bbb}", Some("bbb")),
        ("${?:-bbb}", Some("bbb")),
        ("${-:+bbb}", Some("")),
        ("$$", Some("")),
        ("${!:-bbb}", Some("bbb")),
        ("${0:-bbb}", Some("bbb")),
    ] {
        assert_eq!(expand(source, &env).ok().as_deref(), expected, "{source:?}");
    }
}

/// The rest of shell/envVarTest, its words beyond ASCII above all; an error is written as None.
const MORE_VARIABLES: &[(&str, Option<&str>)] = &[
    (r"'hello\there'", Some(r"hello\there")),
    (r"\${}aaa", Some("${}aaa")),
    (r"he\${}", Some("he${}")),
    ("${}aaa", None),
    ("he${}", None),
    ("he${hi}", Some("he")),
    (r#""he${PWD}""#, Some("he/home")),
    (r#""$PWD""#, Some("/home")),
    ("'$PWD'", Some("$PWD")),
    (r"'he\$PWD'", Some(r"he\$PWD")),
    ("안녕하세요", Some("안녕하세요")),
    (r"안\\'녕하세요", None),
    (r"안녕\t하세요", Some("안녕t하세요")),
    (r"'안녕\t하세요", None),
    (r"안녕하세요\", Some("안녕하세요")),
    (r"안녕하세요\\", Some(r"안녕하세요\")),
    (r#""안녕하세요"#, None),
    (r#""안녕하세요\""#, None),
    (r#""안녕'하세요""#, Some("안녕'하세요")),
    ("'안녕하세요", None),
    (r"'안녕하세요\'", Some(r"안녕하세요\")),
    ("안녕$1x", Some("안녕x")),
    ("안녕$.x", Some("안녕$.x")),
    ("안녕$pwd.", Some("안녕.")),
    ("안녕$PWD", Some("안녕/home")),
    (r"안녕\$PWD", Some("안녕$PWD")),
    (r"안녕\\$PWD", Some(r"안녕\/home")),
    (r"안녕\${}", Some("안녕${}")),
    (r"안녕\${}xx", Some("안녕${}xx")),
    ("안녕${}", None),
    ("안녕${}xx", None),
    ("안녕${hi}", Some("안녕")),
    ("안녕${hi}xx", Some("안녕xx")),
    ("안녕${PWD}", Some("안녕/home")),
    ("안녕${.}", None),
    ("안녕${XXX:-000}xx", Some("안녕000xx")),
    ("안녕${PWD:-000}xx", Some("안녕/homexx")),
    ("안녕${XXX:-$PWD}xx", Some("안녕/homexx")),
    ("안녕${XXX:-${PWD:-yyy}}xx", Some("안녕/homexx")),
    ("안녕${XXX:YYY}", None),
    ("안녕${XXX:+${PWD}}xx", Some("안녕xx")),
    ("안녕${PWD:+${XXX}}xx", Some("안녕xx")),
    ("안녕${PWD:+${SHELL}}xx", Some("안녕bashxx")),
    ("안녕${XXX:+000}xx", Some("안녕xx")),
    ("안녕${PWD:+000}xx", Some("안녕000xx")),
    ("'안녕${XX}'", Some("안녕${XX}")),
    (r#""안녕${PWD}""#, Some("안녕/home")),
    (r#""안녕'$PWD'""#, Some("안녕'/home'")),
    (r#"'"안녕"'"#, Some(r#""안녕""#)),
    (r#""안녕\$PWD""#, Some("안녕$PWD")),
    (r"'안녕\$PWD'", Some(r"안녕\$PWD")),
    ("안녕${PWD", None),
    ("안녕${PWD:=000}xx", None),
    ("안녕${PWD:+${PWD}:}xx", Some("안녕/home:xx")),
    (r"안녕${XXX:-\$PWD:}xx", Some("안녕$PWD:xx")),
    (r"안녕${XXX:-\${PWD}z}xx", Some("안녕${PWDz}xx")),
    ("$KOREAN", Some("한국어")),
    ("${aaa:-bbb}", Some("bbb")),
    ("${1}", Some("")),
    ("$2", Some("")),
    ("${2}", Some("")),
    ("${2:+bbb}", Some("")),
    ("${2:-bbb}", Some("bbb")),
    ("$3", Some("")),
    ("${3}", Some("")),
    ("${3:+bbb}", Some("")),
    ("${3:-bbb}", Some("bbb")),
    ("$4", Some("")),
    ("${4}", Some("")),
    ("${4:+bbb}", Some("")),
    ("${4:-bbb}", Some("bbb")),
    ("$5", Some("")),
    ("${5}", Some("")),
    ("${5:+bbb}", Some("")),
    ("${5:-bbb}", Some("bbb")),
    ("$6", Some("")),
    ("${6}", Some("")),
    ("${6:+bbb}", Some("")),
    ("${6:-bbb}", Some("bbb")),
    ("$7", Some("")),
    ("${7}", Some("")),
    ("${7:+bbb}", Some("")),
    ("${7:-bbb}", Some("bbb")),
    ("$8", Some("")),
    ("${8}", Some("")),
    ("${8:+bbb}", Some("")),
    ("${8:-bbb}", Some("bbb")),
    ("$9", Some("")),
    ("${9}", Some("")),
    ("${9:+bbb}", Some("")),
    ("${9:-bbb}", Some("bbb")),
    ("$999", Some("")),
    ("${999}", Some("")),
    ("${999:+bbb}", Some("")),
    ("${999:-bbb}", Some("bbb")),
    ("${999}aaa", Some("aaa")),
    ("${999:+bbb}aaa", Some("aaa")),
    ("${999:-bbb}aaa", Some("bbbaaa")),
    ("$001", Some("")),
    ("${001}", Some("")),
    ("${001:+bbb}", Some("")),
    ("${001:-bbb}", Some("bbb")),
    ("$001aaa", Some("aaa")),
    ("${001}aaa", Some("aaa")),
    ("${001:+bbb}aaa", Some("aaa")),
    ("${@}", Some("")),
    ("${@:+bbb}", Some("")),
    ("$@aaa", Some("aaa")),
    ("${@}aaa", Some("aaa")),
    ("${@:-bbb}aaa", Some("bbbaaa")),
    ("${*}", Some("")),
    ("${*:+bbb}", Some("")),
    ("${*:-bbb}", Some("bbb")),
    ("${#}", Some("")),
    ("${#:+bbb}", Some("")),
    ("$?", Some("")),
    ("${?}", Some("")),
    ("${?:+bbb}", Some("")),
    ("$-", Some("")),
    ("${-}", Some("")),
    ("${-:-bbb}", Some("bbb")),
    ("${$}", Some("")),
    ("${$:+bbb}", Some("")),
    ("${$:-bbb}", Some("bbb")),
    ("$!", Some("")),
    ("${!}", Some("")),
    ("${!:+bbb}", Some("")),
    ("$0", Some("")),
    ("${0}", Some("")),
    ("${0:+bbb}", Some("")),
];

#[test]
fn the_rest_of_buildkits_variable_table() {
    let env = env(&[("PWD", "/home"), ("SHELL", "bash"), ("KOREAN", "한국어"), ("NULL", "")]);
    for (source, expected) in MORE_VARIABLES {
        assert_eq!(expand(source, &env).ok().as_deref(), *expected, "{source:?}");
    }
}

#[test]
fn operators_of_buildkits_match_table() {
    // shell/lex_test.go, TestProcessWithMatches; an error is written as None.
    let both: &[_] = &[("FOO", "xxx"), ("BAR", "")];
    for (source, pairs, expected) in [
        ("x ${UNUSED}", both, Some("x ")),
        ("${FOO-aaa} ${BAR-bbb} ${BAZ-ccc}", both, Some("xxx  ccc")),
        ("${FOO:-aaa} ${BAR:-bbb} ${BAZ:-ccc}", both, Some("xxx bbb ccc")),
        ("${FOO:-}", &[], Some("")),
        ("${FOO+aaa} ${BAR+bbb} ${BAZ+ccc}", both, Some("aaa bbb ")),
        ("${FOO:+aaa} ${BAR:+bbb} ${BAZ:+ccc}", both, Some("aaa  ")),
        ("${FOO?aaa}", both, Some("xxx")),
        ("${BAR?bbb}", both, Some("")),
        ("${BAZ?ccc}", both, None),
        ("${BAR:?bbb}", both, None),
        ("${FOO=aaa}", both, None),
        ("${FOO=:aaa}", both, None),
        (r"${FOO#()[]{\}^$.\*\?|\\}", &[("FOO", r"()[]{}^$.*?|\x")], Some("x")),
        (r"${FOO%%\**}", &[("FOO", "xx**")], Some("xx")),
        ("${FOO#*x*y}", &[("FOO", "xxyy")], Some("y")),
        ("${FOO#*}", &[("FOO", "xxyy")], Some("xxyy")),
        ("${FOO#$BAR}", &[("FOO", "xxyy"), ("BAR", "x")], Some("xyy")),
        ("${FOO#}", &[("FOO", "xxyy")], Some("xxyy")),
        ("${FOO##*x}", &[("FOO", "xxyy")], Some("yy")),
        ("${FOO##}", &[("FOO", "xxyy")], Some("xxyy")),
        (r"${FOO#?\?}", &[("FOO", "???y")], Some("?y")),
        ("${ABC:-.}${FOO%x}${ABC:-.}", &[("FOO", "xxyy")], Some(".xxyy.")),
        (r"${FOO%%\**\*}", &[("FOO", "a***yy*")], Some("a")),
        ("${FOO%}", &[("FOO", "xxyy")], Some("xxyy")),
        ("${FOO:#}", &[], None),
        ("${FOO:%%}", &[], None),
        (
            "${FOO/$NEEDLE/.} - ${FOO//$NEEDLE/.}",
            &[("FOO", "/foo*/*/*.txt"), ("NEEDLE", r"\*/")],
            Some("/foo.*/*.txt - /foo..*.txt"),
        ),
        (
            "${FOO/$NEEDLE/} - ${FOO//$NEEDLE/}",
            &[("FOO", "/tmp/tmp/bar.txt"), ("NEEDLE", "/tmp")],
            Some("/tmp/bar.txt - /bar.txt"),
        ),
        (
            "${FOO/$N/$R} - ${FOO//$N/$R}",
            &[("FOO", "/a/foo/b/c.txt"), ("N", "/?/"), ("R", "/")],
            Some("/foo/b/c.txt - /foo/c.txt"),
        ),
        (r"${FOO//\//\/}", &[("FOO", "/tmp/foo.txt")], Some(r"\/tmp\/foo.txt")),
        ("${FOO/$BAR/ww}", &[("FOO", "xxyy"), ("BAR", "")], Some("wwxxyy")),
        ("${FOO//$BAR/-}", &[("FOO", "xy"), ("BAR", "")], Some("-x-y-")),
        ("${FOO//ww}", &[("FOO", "xxyy")], None),
        ("${FOO//}", &[("FOO", "xxyy")], None),
        ("${FOO///}", &[("FOO", "xxyy")], Some("xxyy")),
        ("${FOO///}", &[], Some("")),
        // The rest of that table, whose like stands above.
        ("x", &[("DUMMY", "dummy")], Some("x")),
        ("x ${FOO}", &[("FOO", "y")], Some("x y")),
        ("${FOO:-}", both, Some("xxx")),
        ("${FOO:?aaa}", both, Some("xxx")),
        ("${BAZ:?ccc}", both, None),
        ("${BAZ:?}", both, None),
        ("${FOO=}", &[], None),
        ("${FOO#$BAR}", &[("FOO", "xxyy"), ("BAR", "")], Some("xxyy")),
        ("${FOO%%$BAR}", &[("FOO", "xxyy"), ("BAR", "")], Some("xxyy")),
        (
            "${FOO/$N/$R}",
            &[("FOO", "http://google.de"), ("N", "http://"), ("R", "https://")],
            Some("https://google.de"),
        ),
        // What only the shell's own rules and those of patterns say.
        ("${FOO%.*}", &[("FOO", "a.tar.gz")], Some("a.tar")),
        ("${FOO%%.*}", &[("FOO", "a.tar.gz")], Some("a")),
        ("${FOO##*/}", &[("FOO", "/a/b/c")], Some("c")),
        ("${FOO//o*b/X}", &[("FOO", "foobar foobar")], Some("fXar")),
        ("${FOO//?/$1}", &[("FOO", "ab")], Some("")),
        ("${FOO/b/\\$1}", &[("FOO", "abc")], Some("a\\$1c")),
        (r"${FOO#\x}", &[("FOO", "x")], None),
        ("${FOO#*\u{e9}}", &[("FOO", "\u{e9}\u{e9}t")], Some("\u{e9}t")),
        ("${FOO%\"x y\"}", &[("FOO", "a x y")], Some("a ")),
    ] {
        assert_eq!(expand(source, &env(pairs)).ok().as_deref(), expected, "{source:?}");
    }
    // TestProcessWithMatchesPlatform
    let release = "something-${VERSION}.${TARGETOS}-${TARGETARCH}${TARGETVARIANT:+-${TARGETVARIANT}}.tar.gz";
    let common = [("VERSION", "v1.2.3"), ("TARGETOS", "linux")];
    for (pairs, expected) in [
        (&[("TARGETARCH", "arm"), ("TARGETVARIANT", "v7")][..], "something-v1.2.3.linux-arm-v7.tar.gz"),
        (&[("TARGETARCH", "arm64"), ("TARGETVARIANT", "")], "something-v1.2.3.linux-arm64.tar.gz"),
        (&[("TARGETARCH", "arm64")], "something-v1.2.3.linux-arm64.tar.gz"),
    ] {
        assert_eq!(expand(release, &env(&[&common[..], pairs].concat())).unwrap(), expected);
    }
    // TestShellParserMandatoryEnvVars
    for source in ["${VAR:?message here$ARG}", "${VAR?message here$ARG}"] {
        assert_eq!(expand(source, &env(&[("VAR", "plain"), ("ARG", "x")])).unwrap(), "plain");
    }
    assert_eq!(expand("${VAR?message here$ARG}", &env(&[("VAR", ""), ("ARG", "x")])).unwrap(), "");
    let message = |pairs| expand("${VAR:?message here$ARG}", &env(pairs)).unwrap_err().to_string();
    assert!(message(&[("ARG", "x")]).ends_with("VAR: message herex"));
    assert!(message(&[("VAR", ""), ("ARG", "x")]).ends_with("VAR: message herex"));
    let unset = expand("${VAR?}", &Env::default()).unwrap_err().to_string();
    assert!(unset.ends_with("VAR: is not allowed to be unset"));
}

#[test]
fn words_are_split_after_expansion() {
    // shell/wordsTest
    let env = env(&[("hi", "hi"), ("space", "abc  def"), ("leading", "  ab c"), ("trailing", "ab c   ")]);
    for (source, expected) in [
        ("hello", vec!["hello"]),
        ("hello${nothing}bye", vec!["hellobye"]),
        ("hello${hi}bye", vec!["hellohibye"]),
        ("hello${space}bye", vec!["helloabc", "defbye"]),
        ("hello\"${space}\"bye", vec!["helloabc  defbye"]),
        ("hello \"${space}\"bye", vec!["hello", "abc  defbye"]),
        ("hello${leading}def", vec!["hello", "ab", "cdef"]),
        ("hello\"${leading}\" def", vec!["hello  ab c", "def"]),
        ("hello\"${leading}\"", vec!["hello  ab c"]),
        ("hello${leading}", vec!["hello", "ab", "c"]),
        ("hello${trailing}", vec!["helloab", "c"]),
        ("hello${trailing}d", vec!["helloab", "c", "d"]),
        ("hello\"${trailing}\"d", vec!["helloab c   d"]),
        ("hel\"lo${trailing}\"", vec!["helloab c   "]),
        ("hello\" there  \"", vec!["hello there  "]),
        ("hello there     ", vec!["hello", "there"]),
        (r"hello\ there", vec!["hello there"]),
        ("hello\\\" there", vec!["hello\"", "there"]),
        (r#"hello"\\there""#, vec![r"hello\there"]),
        (r#"hello"\there""#, vec![r"hello\there"]),
        (r"hello'\\there'", vec![r"hello\\there"]),
        (r"hello'\there'", vec![r"hello\there"]),
        ("hello'$there'", vec!["hello$there"]),
        ("$nothing ''", vec![]),
        // What stands before a default is not lost.
        ("a${nothing:-b c}d", vec!["ab", "cd"]),
    ] {
        assert_eq!(Expander::new(&file(), &env).words(&word(source)).unwrap(), expected, "{source:?}");
    }
    assert!(Expander::new(&file(), &env).words(&word("hello\" there")).is_err());
}

#[test]
fn the_escape_directive_counts() {
    let file = Dockerfile::parse("# escape=`\nFROM scratch\nWORKDIR C:\\a`$b\\$x\n").unwrap();
    let Command::Workdir(path) = &file.instructions()[1].command else { panic!() };
    assert_eq!(Expander::new(&file, &env(&[("x", "y")])).word(path).unwrap(), "C:\\a$b\\y");
}

#[test]
fn the_account_names_what_was_used() {
    let file = Dockerfile::parse("FROM scratch\nWORKDIR /$A${B:-$C}/${D}$A$HMOE$E\n").unwrap();
    let Command::Workdir(path) = &file.instructions()[1].command else { panic!() };
    let mut env = env(&[("A", "1"), ("HOME", "/root"), ("UNUSED", "x")]);
    env.declare("E");
    let mut expander = Expander::new(&file, &env);
    assert_eq!(expander.word(path).unwrap(), "/1/1");
    let used: Vec<_> = expander.variables().iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect();
    assert_eq!(used, [("A", Some("1")), ("B", None), ("C", None), ("D", None), ("E", None), ("HMOE", None)]);
    let warnings: Vec<_> = expander.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "2:9: UndefinedVar: Usage of undefined variable '$C'",
            "2:9: UndefinedVar: Usage of undefined variable '$D'",
            "2:9: UndefinedVar: Usage of undefined variable '$HMOE' (did you mean $HOME?)",
        ]
    );
    let from = Dockerfile::parse("# check=skip=UndefinedVar\nFROM a$x").unwrap();
    let Command::From(image) = &from.instructions()[0].command else { panic!() };
    let mut expander = Expander::new(&from, &env).for_from();
    assert_eq!(expander.word(&image.image).unwrap(), "a");
    assert_eq!(expander.warnings()[0].to_string(), "2:6: UndefinedArgInFrom: FROM argument 'x' is not declared");
}

#[test]
fn errors_name_the_place_in_the_word() {
    for (source, expected) in [
        ("WORKDIR /a${b", "Dockerfile:2:11: '}' is missing"),
        ("WORKDIR /a${b:-x${c", "Dockerfile:2:17: '}' is missing"),
        ("WORKDIR /é\"a", "Dockerfile:2:11: a double quote is not closed"),
        ("WORKDIR /a'b", "Dockerfile:2:11: a single quote is not closed"),
        (
            "WORKDIR /${a!x}",
            "Dockerfile:2:10: unsupported modifier \"!\" in a substitution: there are :- - :+ + :? ? # ## % %% / //",
        ),
        ("WORKDIR /${a#\\x}", "Dockerfile:2:10: a pattern cannot hold the escape \\x"),
        ("WORKDIR /${a:?no a}", "Dockerfile:2:10: a: no a"),
        // A word over two lines is not what the file holds: the word is named.
        ("WORKDIR /a\\\nb${c", "Dockerfile:2:9: '}' is missing"),
    ] {
        let file = Dockerfile::parse(format!("FROM scratch\n{source}")).unwrap();
        let Command::Workdir(path) = &file.instructions()[1].command else { panic!() };
        assert_eq!(Expander::new(&file, &Env::default()).word(path).unwrap_err().to_string(), expected, "{source:?}");
    }
}

#[test]
fn heredocs_keep_quotes() {
    let expand = |source: &str| {
        let file = Dockerfile::parse(format!("FROM scratch\n{source}")).unwrap();
        let env = env(&[("NAME", "me")]);
        let mut expander = Expander::new(&file, &env);
        let body = expander.heredoc(&file.instructions()[1].heredocs()[0]).unwrap();
        (body, expander.warnings().iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    assert_eq!(expand("COPY <<E /\n\"$NAME\" it's ${NAME} \\$x \\\\\nE").0, "\"me\" it's me $x \\\n");
    assert_eq!(expand("COPY <<'E' /\n$NAME \\n\nE"), ("$NAME \\n\n".into(), vec![]));
    assert_eq!(expand("COPY <<-E /\n\t\t$NAME\n\tE").0, "me\n");
    let (body, warnings) = expand("COPY <<E /\na\n b\\n\nE");
    assert_eq!(body, "a\n bn\n");
    assert_eq!(warnings, ["4:3: HeredocBackslash: the backslash is dropped, though a shell would keep it: write two"]);
}

#[test]
fn limits_hold() {
    let begin = thread_time();
    let big = "x".repeat(60 << 10);
    let env = env(&[("A", &big), ("Q", "'\"$A")]);
    assert_eq!(expand("$A", &env).unwrap().len(), 60 << 10);
    let is_limit = |source: &str| matches!(expand(source, &env), Err(Error::LimitExceeded { .. }));
    assert!(is_limit("$A$A"));
    assert!(is_limit("${A//x/yy}"));
    assert!(is_limit("${A//x/$A}"));
    assert!(is_limit(&"${A:+}".repeat(100)));
    let file = file();
    let mut expander = Expander::new(&file, &env);
    let results: Vec<_> = (0..20).map(|_| expander.word(&word("$A")).is_ok()).collect();
    assert_eq!(results.iter().filter(|ok| **ok).count(), 17);
    // Warnings do not grow with the input.
    let many: String = (0..100_000).map(|n| format!("$x{n}")).collect();
    let mut expander = Expander::new(&file, &env);
    assert_eq!(expander.word(&word(&many)).unwrap(), "");
    assert_eq!((expander.warnings().len(), expander.variables().len()), (16, 100_000));
    // A value is never read as a word again.
    assert_eq!(expand("$Q", &env).unwrap(), "'\"$A");
    // Nesting.
    let nested = |depth: usize| "${B:-".repeat(depth) + "x" + &"}".repeat(depth);
    assert_eq!(expand(&nested(90), &env).unwrap(), "x");
    assert!(expand(&nested(100_000), &env).unwrap_err().to_string().contains("nest deeper than 100"));
    assert!(expand(&"\"${B:-".repeat(100_000), &env).is_err());
    // Patterns that take long elsewhere.
    let stars = "*x".repeat(2000);
    assert!(expand(&format!("${{A#{stars}y}}"), &env).unwrap_err().to_string().contains("takes too long"));
    assert!(expand("${A//x*y/z}", &env).unwrap_err().to_string().contains("takes too long"));
    assert_eq!(expand("${A//*y/z}", &env).unwrap(), big);
    assert!(thread_time() - begin < Duration::from_secs(60), "{:?}", thread_time() - begin);
}

/// A matcher of patterns that tries everything.
fn slow_match(pattern: &[char], text: &[char]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, _) => text.is_empty(),
        (Some((&'*', rest)), _) => (0..=text.len()).any(|skip| slow_match(rest, &text[skip..])),
        (Some((&'?', rest)), Some((_, text))) => slow_match(rest, text),
        (Some((p, rest)), Some((t, text))) => p == t && slow_match(rest, text),
        (Some(_), None) => false,
    }
}

proptest! {
    #[test]
    fn patterns_agree_with_trying_everything(pattern in "[ab?*]{0,6}", value in "[ab]{0,8}") {
        let env = env(&[("V", &value), ("P", &pattern)]);
        let (p, v): (Vec<char>, Vec<char>) = (pattern.chars().collect(), value.chars().collect());
        let ends: Vec<usize> = (0..=v.len()).filter(|end| slow_match(&p, &v[..*end])).collect();
        let starts: Vec<usize> = (0..=v.len()).filter(|start| slow_match(&p, &v[*start..])).collect();
        let expected = |cut: Option<&usize>| cut.map_or(value.as_str(), |end| &value[*end..]).to_owned();
        prop_assert_eq!(expand("${V#\"$P\"}", &env).unwrap(), expected(ends.first()));
        prop_assert_eq!(expand("${V##$P}", &env).unwrap(), expected(ends.last()));
        let expected = |cut: Option<&usize>| cut.map_or(value.as_str(), |start| &value[..*start]).to_owned();
        prop_assert_eq!(expand("${V%$P}", &env).unwrap(), expected(starts.last()));
        prop_assert_eq!(expand("${V%%$P}", &env).unwrap(), expected(starts.first()));
        let first = (0..=v.len()).find_map(|start| {
            (start..=v.len()).rev().find(|end| slow_match(&p, &v[start..*end])).map(|end| (start, end))
        });
        let replaced = first.map_or_else(|| value.clone(), |(start, end)| format!("{}-{}", &value[..start], &value[end..]));
        prop_assert_eq!(expand("${V/$P/-}", &env).unwrap(), replaced);
    }

    #[test]
    fn what_holds_nothing_special_stays(text in "[a-z0-9 /.:=é-]{0,40}") {
        prop_assert_eq!(expand(&text, &Env::default()).unwrap(), text.clone());
        let env = env(&[("X", &text)]);
        prop_assert_eq!(expand("$X", &env).unwrap(), text.clone());
        prop_assert_eq!(expand(&format!("'{text}'"), &env).unwrap(), text.clone());
        let words = Expander::new(&file(), &env).words(&word("${X}")).unwrap();
        prop_assert_eq!(words, text.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>());
    }

    #[test]
    fn soup_never_panics(text in r#"([a-c]|\$|\{|\}|"|'|\\|:|-|\+|\?|#|%|/|\*| |é){0,24}"#) {
        let env = env(&[("a", "xyz"), ("b", "")]);
        drop(expand(&text, &env));
        drop(Expander::new(&file(), &env).words(&word(&text)));
    }

    #[test]
    fn env_keeps_first_places_and_last_values(pairs in prop::collection::vec(("[a-c]", "[x-z]{0,2}"), 0..10)) {
        let env: Env = pairs.iter().cloned().collect();
        let mut expected: Vec<(String, String)> = Vec::new();
        for (name, value) in pairs {
            match expected.iter_mut().find(|(known, _)| *known == name) {
                Some(entry) => entry.1 = value,
                None => expected.push((name, value)),
            }
        }
        let list: Vec<_> = env.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        prop_assert_eq!(&list, &expected);
        prop_assert_eq!(Env::from_config(env.to_config()), env.clone());
        for (name, value) in &expected {
            prop_assert_eq!(env.get(name), Some(value.as_str()));
        }
        prop_assert_eq!(env.len(), expected.len());
    }
}
