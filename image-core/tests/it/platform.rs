//! Platforms: names, matching, JSON.

use image_core::Platform;
use proptest::prelude::*;

fn parse(text: &str) -> Platform {
    text.parse().expect(text)
}

/// The cases of the public test table of the module containerd/platforms.
#[test]
fn names() {
    let cases = [
        ("linux/arm64", "linux/arm64", "linux/arm64"),
        ("linux/aarch64", "linux/arm64", "linux/arm64"),
        ("linux/arm64/v8", "linux/arm64/v8", "linux/arm64"),
        ("linux/arm64/8", "linux/arm64/v8", "linux/arm64"),
        ("linux/arm64/v9.0", "linux/arm64/v9", "linux/arm64/v9"),
        ("linux/arm64/v8.6", "linux/arm64/v8.6", "linux/arm64/v8.6"),
        ("linux/arm", "linux/arm", "linux/arm/v7"),
        ("linux/arm/7", "linux/arm/v7", "linux/arm/v7"),
        ("linux/arm/v6", "linux/arm/v6", "linux/arm/v6"),
        ("linux/armel", "linux/arm/v6", "linux/arm/v6"),
        ("linux/armhf", "linux/arm", "linux/arm/v7"),
        ("Linux/x86_64", "linux/amd64", "linux/amd64"),
        ("linux/x86-64/v1", "linux/amd64", "linux/amd64"),
        ("linux/amd64/V3", "linux/amd64/v3", "linux/amd64/v3"),
        ("linux/i386", "linux/386", "linux/386"),
        ("linux/s390x", "linux/s390x", "linux/s390x"),
        ("macOS/aarch64", "darwin/arm64", "darwin/arm64"),
        ("windows/amd64", "windows/amd64", "windows/amd64"),
        ("new-os/new.arch/v1", "new-os/new.arch/v1", "new-os/new.arch/v1"),
    ];
    for (text, written, normalised) in cases {
        assert_eq!(parse(text).to_string(), written, "{text}");
        assert_eq!(parse(text).normalised().to_string(), normalised, "{text}");
    }
}

#[test]
fn one_component_is_completed_by_the_target() {
    let target = Platform::of_target();
    let (os, architecture) = (&target.os, &target.architecture);
    let cases = [
        ("linux", format!("linux/{architecture}")),
        ("macOS", format!("darwin/{architecture}")),
        ("windows", format!("windows/{architecture}")),
        ("arm", format!("{os}/arm")),
        ("armel", format!("{os}/arm/v6")),
        ("armhf", format!("{os}/arm")),
        ("Aarch64", format!("{os}/arm64")),
        ("x86_64", format!("{os}/amd64")),
        ("i386", format!("{os}/386")),
        ("s390x", format!("{os}/s390x")),
    ];
    for (text, expected) in cases {
        assert_eq!(parse(text).to_string(), expected, "{text}");
    }
}

#[test]
fn refused() {
    for text in [
        "",
        "/",
        "/linux/arm",
        "linux/arm/",
        "linux /arm",
        "linux/&arm",
        "linux/arm/foo/bar",
        "linux/",
        "/amd64",
        "linux//v7",
        "linux/amd64/v1/x",
        "lin ux/amd64",
        "linux/*",
        "nosuch",
        "a/b/c/d/e",
    ] {
        let error = text.parse::<Platform>().expect_err(text);
        assert!(matches!(&error, image_core::Error::InvalidPlatform { input, .. } if input == text), "{error}");
    }
}

/// What runs where, best first: the documented order of containerd's `Only`.
#[test]
fn preferences() {
    let cases: &[(&str, &str)] = &[
        ("linux/amd64", "amd64 386"),
        ("linux/amd64/v3", "amd64/v3 amd64/v2 amd64 386"),
        ("linux/386", "386"),
        ("linux/arm", "arm/v7 arm/v6 arm/v5"),
        ("linux/arm/v8", "arm/v8 arm/v7 arm/v6 arm/v5"),
        ("linux/arm64", "arm64 arm/v8 arm/v7 arm/v6 arm/v5"),
        ("linux/arm64/v8.2", "arm64/v8.2 arm64/v8.1 arm64 arm/v8 arm/v7 arm/v6 arm/v5"),
        (
            "linux/arm64/v9.1",
            "arm64/v9.1 arm64/v9 arm64/v8.6 arm64/v8.5 arm64/v8.4 arm64/v8.3 arm64/v8.2 arm64/v8.1 arm64 \
             arm/v8 arm/v7 arm/v6 arm/v5",
        ),
        ("linux/riscv64", "riscv64"),
        ("linux/ppc64le/power9", "ppc64le/power9"),
        ("linux/amd64/v99999999999", "amd64/v99999999999 386"),
    ];
    for (text, expected) in cases {
        let platform = parse(text);
        let only: Vec<String> = platform.only().iter().map(ToString::to_string).collect();
        let expected: Vec<String> = expected.split_whitespace().map(|name| format!("linux/{name}")).collect();
        assert_eq!(only, expected, "{text}");
        let ranks: Vec<u32> = only.iter().map(|name| platform.rank(&parse(name)).expect(name)).collect();
        assert!(ranks.is_sorted_by(|a, b| a < b), "{text}: {ranks:?}");
        assert_eq!(ranks[0], 0, "{text}");
    }
    let v9 = parse("linux/arm64/v9.5");
    assert!(v9.matches(&parse("linux/arm64/v8.9")) && !v9.matches(&parse("linux/arm64/v9.6")));
}

/// The cases of containerd/platforms, compare_test.go, `TestOnly`: what runs on each, and what does not. Names with a
/// version of the operating system, which we do not parse, are left out.
#[test]
fn what_runs_where() {
    let cases = [
        ("linux/amd64", "linux/amd64 linux/386", "linux/amd64/v2 linux/arm/v7 linux/arm64 windows/amd64 windows/arm"),
        (
            "linux/amd64/v2",
            "linux/amd64 linux/amd64/v1 linux/amd64/v2 linux/386",
            "linux/amd64/v3 linux/amd64/v4 linux/arm/v7 linux/arm64 windows/amd64 windows/arm",
        ),
        ("linux/386", "linux/386", "linux/amd64 linux/arm/v7 linux/arm64 windows/amd64 windows/arm"),
        ("windows/amd64", "windows/amd64", "linux/amd64 linux/arm/v7 linux/arm64 windows/arm"),
        (
            "linux/arm/v8",
            "linux/arm linux/arm/v5 linux/arm/v6 linux/arm/v7 linux/arm/v8",
            "linux/amd64 linux/arm/v4 linux/arm64 windows/amd64 windows/arm",
        ),
        (
            "linux/arm/v7",
            "linux/arm linux/arm/v5 linux/arm/v6 linux/arm/v7",
            "linux/amd64 linux/arm/v4 linux/arm/v8 linux/arm64 windows/amd64 windows/arm",
        ),
        (
            "linux/arm/v6",
            "linux/arm/v5 linux/arm/v6",
            "linux/amd64 linux/arm linux/arm/v4 linux/arm/v7 linux/arm/v8 linux/arm64 windows/amd64 windows/arm",
        ),
        (
            "linux/arm/v5",
            "linux/arm/v5",
            "linux/amd64 linux/arm linux/arm/v4 linux/arm/v6 linux/arm/v7 linux/arm/v8 linux/arm64 windows/amd64 windows/arm",
        ),
        (
            "linux/arm/v4",
            "linux/arm/v4",
            "linux/amd64 linux/arm linux/arm/v5 linux/arm/v6 linux/arm/v7 linux/arm/v8 linux/arm64 windows/amd64 windows/arm",
        ),
        (
            "linux/arm64/v9.6",
            "linux/arm linux/arm/v5 linux/arm/v6 linux/arm/v7 linux/arm/v8 linux/arm64 linux/arm64/v8 linux/arm64/v8.1 linux/arm64/v8.2 linux/arm64/v8.3 linux/arm64/v8.4 linux/arm64/v8.5 linux/arm64/v8.6 linux/arm64/v8.7 linux/arm64/v8.8 linux/arm64/v8.9 linux/arm64/v9 linux/arm64/v9.0 linux/arm64/v9.1 linux/arm64/v9.2 linux/arm64/v9.3 linux/arm64/v9.4 linux/arm64/v9.5 linux/arm64/v9.6",
            "linux/amd64 linux/arm/v4 windows/amd64 windows/arm linux/arm64/v8.10",
        ),
        (
            "linux/arm64/v9",
            "linux/arm linux/arm/v5 linux/arm/v6 linux/arm/v7 linux/arm/v8 linux/arm64 linux/arm64/v8 linux/arm64/v8.1 linux/arm64/v8.2 linux/arm64/v8.3 linux/arm64/v8.4 linux/arm64/v8.5 linux/arm64/v9 linux/arm64/v9.0",
            "linux/amd64 linux/arm/v4 windows/amd64 windows/arm linux/arm64/v8.6",
        ),
        (
            "linux/arm64/v8.1",
            "linux/arm linux/arm/v5 linux/arm/v6 linux/arm/v7 linux/arm/v8 linux/arm64 linux/arm64/v8 linux/arm64/v8.1",
            "linux/amd64 linux/arm/v4 linux/arm/v9 linux/arm64/v9 windows/amd64 windows/arm",
        ),
        (
            "linux/arm64",
            "linux/arm linux/arm/v5 linux/arm/v6 linux/arm/v7 linux/arm/v8 linux/arm64 linux/arm64/v8",
            "linux/amd64 linux/arm/v4 linux/arm/v9 linux/arm64/v9 windows/amd64 windows/arm",
        ),
    ];
    for (platform, runs, others) in cases {
        let platform = parse(platform);
        for name in runs.split_whitespace() {
            assert!(platform.matches(&parse(name)), "{platform} {name}");
        }
        for name in others.split_whitespace() {
            assert!(!platform.matches(&parse(name)), "{platform} {name}");
        }
    }
}

/// What each name of containerd/platforms, platforms_test.go, `TestParseSelector` matches: other spellings of itself.
#[test]
fn spellings_match_each_other() {
    let cases = [
        ("linux/arm64", "linux/aarch64 linux/aarch64/v8 linux/arm64/v8"),
        ("linux/arm64/v8", "linux/aarch64 linux/aarch64/v8 linux/arm64"),
        ("linux/arm", "linux/arm/v7 linux/armhf linux/arm/7"),
        ("linux/arm/v6", "linux/armel"),
        ("linux/arm/v7", "linux/arm linux/armhf"),
    ];
    for (platform, others) in cases {
        for other in others.split_whitespace() {
            assert_eq!(parse(platform).rank(&parse(other)), Some(0), "{platform} {other}");
            assert_eq!(parse(other).normalised(), parse(platform).normalised(), "{platform} {other}");
        }
    }
}

#[test]
fn other_platforms_do_not_match() {
    let cases = [
        ("linux/amd64", "linux/arm64"),
        ("linux/amd64", "windows/amd64"),
        ("linux/amd64", "linux/amd64/v2"),
        ("linux/386", "linux/amd64"),
        ("linux/arm/v6", "linux/arm/v7"),
        ("linux/arm", "linux/arm64"),
        ("linux/arm64", "linux/arm64/v8.1"),
    ];
    for (platform, candidate) in cases {
        assert!(!parse(platform).matches(&parse(candidate)), "{platform} {candidate}");
    }
    assert!(!parse("linux/amd64").matches(&Platform::default()));
    assert!(Platform::new("unknown", "unknown").is_unknown());
}

#[test]
fn operating_system_narrows_down() {
    let with = |os: &str, version: Option<&str>, features: &[&str]| {
        let mut platform = Platform::new(os, "amd64");
        platform.os_version = version.map(str::to_owned);
        platform.os_features = features.iter().map(|&feature| feature.to_owned()).collect();
        platform
    };
    let server = with("windows", Some("10.0.17763.1577"), &["win32k", "other"]);
    assert_eq!(server.rank(&with("windows", Some("10.0.17763.1"), &["win32k", "other"])), Some(0));
    assert!(!server.matches(&with("windows", Some("10.0.20348.1"), &[])));
    assert!(server.matches(&with("windows", None, &[])));
    assert!(!server.matches(&with("windows", None, &["third"])));
    let best = server.rank(&with("windows", None, &["win32k"]));
    assert!(best < server.rank(&with("windows", None, &[])) && best.is_some());
    assert!(with("linux", Some("5"), &[]).matches(&with("linux", Some("6"), &[])));
}

#[test]
fn json_has_the_order_of_go_and_keeps_the_unknown() {
    let json = r#"{"architecture":"amd64","os":"windows","os.version":"10.0","os.features":["win32k"],"variant":"v2","new":[1]}"#;
    let platform: Platform = serde_json::from_str(json).unwrap();
    assert_eq!(serde_json::to_string(&platform).unwrap(), json);
    let plain = r#"{"architecture":"amd64","os":"linux"}"#;
    let lenient = r#"{"architecture":"amd64","os":"linux","os.features":null,"variant":null}"#;
    assert_eq!(serde_json::to_string(&serde_json::from_str::<Platform>(lenient).unwrap()).unwrap(), plain);
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(text in "[A-Za-z]{1,6}/(arm|arm64|amd64|x86_64|armel|aarch64|[a-z0-9_]{1,6})(/(v?[0-9](\\.[0-9])?|[a-z]{1,4}))?") {
        let platform = parse(&text);
        prop_assert_eq!(&parse(&platform.to_string()), &platform);
        prop_assert_eq!(platform.normalised().normalised(), platform.normalised());
        prop_assert_eq!(platform.rank(&platform), Some(0));
    }

    #[test]
    fn no_text_breaks_the_parser(text in "\\PC*") {
        drop(text.parse::<Platform>());
    }
}
