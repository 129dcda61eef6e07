//! References: grammar, normal form and short form.

use image_core::{Digest, Reference};
use proptest::prelude::*;
use test_support::arb_reference;

const HEX: &str = "1a3f5e7d9c1b3a5f7e9d1c3b5a7f9e1d3c5b7a9f1e3d5d7c9b1a3f5e7d9c1b3a";

fn parse(text: &str) -> Reference {
    text.parse().expect(text)
}

/// The cases of the public test tables of the module distribution/reference, as text, registry, repository,
/// tag, and whether it has a digest.
#[test]
fn parts() {
    let digest = format!("sha256:{}", "f".repeat(64));
    let deep = format!("{}a", "a/".repeat(118));
    let long = "a".repeat(255);
    let with_digest = |name: &str| format!("{name}@{digest}");
    let cases: &[(&str, &str, &str, Option<&str>, bool)] = &[
        ("test_com", "docker.io", "library/test_com", None, false),
        ("test.com:tag", "docker.io", "library/test.com", Some("tag"), false),
        ("test.com:5000", "docker.io", "library/test.com", Some("5000"), false),
        ("test.com/repo:tag", "test.com", "repo", Some("tag"), false),
        ("test:5000/repo", "test:5000", "repo", None, false),
        ("test:5000/repo:tag", "test:5000", "repo", Some("tag"), false),
        (&with_digest("test:5000/repo"), "test:5000", "repo", None, true),
        (&with_digest("test:5000/repo:tag"), "test:5000", "repo", Some("tag"), true),
        ("lowercase:Uppercase", "docker.io", "library/lowercase", Some("Uppercase"), false),
        ("Uppercase/lowercase:tag", "Uppercase", "lowercase", Some("tag"), false),
        (&format!("{deep}:tag-puts-this-over-max"), "docker.io", &deep, Some("tag-puts-this-over-max"), false),
        ("sub-dom1.foo.com/bar/baz/quux", "sub-dom1.foo.com", "bar/baz/quux", None, false),
        (
            "b.gcr.io/test.example.com/my-app:test.example.com",
            "b.gcr.io",
            "test.example.com/my-app",
            Some("test.example.com"),
            false,
        ),
        ("xn--n3h.com/myimage:xn--n3h.com", "xn--n3h.com", "myimage", Some("xn--n3h.com"), false),
        ("foo_bar.com:8080", "docker.io", "library/foo_bar.com", Some("8080"), false),
        ("foo/foo_bar.com:8080", "docker.io", "foo/foo_bar.com", Some("8080"), false),
        ("192.168.1.1", "docker.io", "library/192.168.1.1", None, false),
        ("192.168.1.1:5000", "docker.io", "library/192.168.1.1", Some("5000"), false),
        ("192.168.1.1/repo", "192.168.1.1", "repo", None, false),
        ("192.168.1.1:5000/repo:5050", "192.168.1.1:5000", "repo", Some("5050"), false),
        ("[2001:db8::1]/repo", "[2001:db8::1]", "repo", None, false),
        ("[2001:db8:1:2:3:4:5:6]/repo:tag", "[2001:db8:1:2:3:4:5:6]", "repo", Some("tag"), false),
        (&with_digest("[2001:db8::1]:5000/repo:tag"), "[2001:db8::1]:5000", "repo", Some("tag"), true),
        ("[::1]:5000/repo", "[::1]:5000", "repo", None, false),
        (&format!("example.com/{long}:tag"), "example.com", &long, Some("tag"), false),
        ("[2001:db8::]:5000/repo", "[2001:db8::]:5000", "repo", None, false),
        ("[2001:db8::1]:5000/repo:tag", "[2001:db8::1]:5000", "repo", Some("tag"), false),
        (&with_digest("[2001:db8::1]:5000/repo"), "[2001:db8::1]:5000", "repo", None, true),
        ("[fc00::1]:5000/docker/docker", "[fc00::1]:5000", "docker/docker", None, false),
        ("[fc00:1:2:3:4:5:6:7]:5000/library/debian", "[fc00:1:2:3:4:5:6:7]:5000", "library/debian", None, false),
        (
            "sub-dom1.foo.com/bar/baz/quux:some-long-tag",
            "sub-dom1.foo.com",
            "bar/baz/quux",
            Some("some-long-tag"),
            false,
        ),
        (
            &format!("xn--7o8h.com/myimage:xn--7o8h.com@sha512:{}", "f".repeat(128)),
            "xn--7o8h.com",
            "myimage",
            Some("xn--7o8h.com"),
            true,
        ),
        ("192.168.1.1:tag", "docker.io", "library/192.168.1.1", Some("tag"), false),
        ("192.168.0.1:8/debian", "192.168.0.1:8", "debian", None, false),
        ("192.168.0.2:25000/debian", "192.168.0.2:25000", "debian", None, false),
        ("127.0.0.1:5000/docker/docker", "127.0.0.1:5000", "docker/docker", None, false),
        ("test_com/foo", "docker.io", "test_com/foo", None, false),
        ("test-com:8080/foo", "test-com:8080", "foo", None, false),
        ("xn--n3h.com:18080/foo", "xn--n3h.com:18080", "foo", None, false),
        ("docker/migrator", "docker.io", "docker/migrator", None, false),
        ("docker-rules/docker", "docker.io", "docker-rules/docker", None, false),
        ("jess/t", "docker.io", "jess/t", None, false),
        ("DOCKER/docker", "DOCKER", "docker", None, false),
        ("library/debian", "docker.io", "library/debian", None, false),
        ("index.docker.io/debian", "docker.io", "library/debian", None, false),
        // One digit less than an image ID.
        (&HEX[1..], "docker.io", &format!("library/{}", &HEX[1..]), None, false),
        ("localhost/debian", "localhost", "debian", None, false),
        ("LOCALDOMAIN/library/debian", "LOCALDOMAIN", "library/debian", None, false),
        ("docker.io/debian", "docker.io", "library/debian", None, false),
        ("index.docker.io/docker/docker", "docker.io", "docker/docker", None, false),
        ("docker---rules/docker", "docker.io", "docker---rules/docker", None, false),
        ("d/docker", "docker.io", "d/docker", None, false),
        ("dock__er/docker", "docker.io", "dock__er/docker", None, false),
        (&format!("docker.io/{HEX}"), "docker.io", &format!("library/{HEX}"), None, false),
        (&format!("{HEX}:tag"), "docker.io", &format!("library/{HEX}"), Some("tag"), false),
        (
            "thisisthesongthatneverendsitgoesonandonandonthisisthesongthatnev",
            "docker.io",
            "library/thisisthesongthatneverendsitgoesonandonandonthisisthesongthatnev",
            None,
            false,
        ),
    ];
    for (text, registry, repository, tag, has_digest) in cases {
        let reference = parse(text);
        assert_eq!(reference.registry(), *registry, "{text}");
        assert_eq!(reference.repository(), *repository, "{text}");
        assert_eq!(reference.tag(), *tag, "{text}");
        assert_eq!(reference.digest().is_some(), *has_digest, "{text}");
    }
}

/// What those tables refuse, and which of our reasons it gets.
#[test]
fn refused() {
    let digest = format!("@sha256:{}", "f".repeat(64));
    let cases: &[(&str, &str)] = &[
        ("", "no repository"),
        (":justtag", "no repository"),
        (&digest, "no repository"),
        ("docker/", "parted by"),
        ("repo@sha256:ffffffffffffffffffffffffffffffffff", "wrong length"),
        ("repo@", "no ':'"),
        (&format!("repo{digest}{digest}"), "wrong length"),
        ("repo:", "its tag"),
        ("repo:-tag", "its tag"),
        ("repo:täg", "its tag"),
        (&format!("repo:{}", "t".repeat(129)), "its tag"),
        ("Uppercase:tag", "lower case"),
        ("docker/Docker", "lower case"),
        ("test:5000/Uppercase/lowercase:tag", "lower case"),
        ("docker.io/docker/Docker", "lower case"),
        (&format!("domain/{}:tag", "a".repeat(256)), "255"),
        (&"a/".repeat(128), "255"),
        ("aa/asdf$$^/aa", "parted by"),
        ("repo ", "parted by"),
        ("repo\n", "parted by"),
        ("[2001:db8::1]", "parted by"),
        ("[2001:db8::1]:5000", "parted by"),
        ("[2001:db8::1]:tag", "parted by"),
        ("[fc00::1]", "parted by"),
        ("[fe80::1%@invalidzone]:5000/repo", ""),
        (&format!("{}a:tag", "a/".repeat(128)), "255"),
        ("docker.io/docker///docker", "parted by"),
        ("-docker-/docker", "parted by"),
        ("-foo", "parted by"),
        ("[fe80::1%eth0]:5000/repo", "registry"),
        ("[2001:db8:3:4::192.0.2.33]:5000/debian", "registry"),
        ("[::1/repo", "registry"),
        ("[::1]5000/repo", "registry"),
        ("fc00::1:5000/debian", "registry"),
        ("https://github.com/docker/docker", "registry"),
        ("host:/repo", "registry"),
        ("a..b/repo", "registry"),
        ("-docker", "parted by"),
        ("-docker/docker", "parted by"),
        ("docker-/docker", "parted by"),
        ("-docker.io/docker/docker", "registry"),
        ("docker///docker", "parted by"),
        ("____/____", "parted by"),
        ("_docker/_docker", "parted by"),
        ("dock..er/docker", "registry"),
        ("docker/dock..er", "parted by"),
        ("docker/dock_.er", "parted by"),
        ("docker/dock-.er", "parted by"),
        ("docker/dock___er", "parted by"),
        (HEX, "image ID"),
    ];
    for (text, reason) in cases {
        let error = text.parse::<Reference>().expect_err(text).to_string();
        assert!(error.contains(reason), "{text:?}: {error}");
    }
    let long = "A".repeat(100_000);
    assert!(long.parse::<Reference>().unwrap_err().to_string().len() < 500);
}

/// Full and short form of each spelling, from the same tables.
#[test]
fn forms() {
    let cases: &[(&str, &str, &str)] = &[
        ("localhost/fooo/bar", "localhost/fooo/bar", "localhost/fooo/bar"),
        ("LOCALDOMAIN/fooo", "LOCALDOMAIN/fooo", "LOCALDOMAIN/fooo"),
        ("index.docker.io/fooo/bar", "docker.io/fooo/bar", "fooo/bar"),
        ("nonlibrary/ubuntu", "docker.io/nonlibrary/ubuntu", "nonlibrary/ubuntu"),
        ("127.0.0.1:8000/private/moonbase", "127.0.0.1:8000/private/moonbase", "127.0.0.1:8000/private/moonbase"),
        ("example.com/privatebase", "example.com/privatebase", "example.com/privatebase"),
        ("example.com:8000/private/moonbase", "example.com:8000/private/moonbase", "example.com:8000/private/moonbase"),
        ("index.docker.io/library/ubuntu-12.04-base", "docker.io/library/ubuntu-12.04-base", "ubuntu-12.04-base"),
        ("store/foo/bar", "docker.io/store/foo/bar", "store/foo/bar"),
        ("FOO/bar", "FOO/bar", "FOO/bar"),
        ("dmcgowan/myapp:latest", "docker.io/dmcgowan/myapp:latest", "dmcgowan/myapp:latest"),
        ("docker.io/library/redis:latest", "docker.io/library/redis:latest", "redis:latest"),
        ("library/ubuntu", "docker.io/library/ubuntu", "ubuntu"),
        ("other/library", "docker.io/other/library", "other/library"),
        ("127.0.0.1:8000/privatebase", "127.0.0.1:8000/privatebase", "127.0.0.1:8000/privatebase"),
        ("docker.io/foo", "docker.io/library/foo", "foo"),
        ("docker.io/library/foo/bar", "docker.io/library/foo/bar", "library/foo/bar"),
        ("Foo/bar", "Foo/bar", "Foo/bar"),
        ("ubuntu:24.04", "docker.io/library/ubuntu:24.04", "ubuntu:24.04"),
        // Left out, the registry would be read out of what remains.
        ("docker.io/localhost/foo", "docker.io/localhost/foo", "docker.io/localhost/foo"),
        ("docker.io/a.b/foo", "docker.io/a.b/foo", "docker.io/a.b/foo"),
        ("docker.io/library/a.b", "docker.io/library/a.b", "a.b"),
    ];
    for (text, full, short) in cases {
        let reference = parse(text);
        assert_eq!(reference.to_string(), *full, "{text}");
        assert_eq!(reference.familiar(), *short, "{text}");
    }
    let id = parse(&format!("docker.io/{HEX}"));
    assert_eq!(id.familiar(), format!("library/{HEX}"));
}

#[test]
fn looked_up_as() {
    let digest = Digest::sha256_of(b"");
    let at = format!("@{digest}");
    let cases = [
        ("busybox", "docker.io/library/busybox:latest".to_owned()),
        ("busybox:1", "docker.io/library/busybox:1".to_owned()),
        (&format!("busybox{at}"), format!("docker.io/library/busybox{at}")),
        (&format!("busybox:1{at}"), format!("docker.io/library/busybox{at}")),
    ];
    for (text, expected) in cases {
        assert_eq!(parse(text).with_default_tag().to_string(), expected);
    }
    assert_eq!(parse("busybox:1").with_tag("2").unwrap(), parse("busybox:2"));
    assert_eq!(parse("busybox:1").with_digest(digest), parse(&format!("busybox:1{at}")));
    let error = parse("busybox").with_tag("a b").unwrap_err();
    assert!(matches!(&error, image_core::Error::InvalidReference { input, .. } if input == "a b"), "{error}");
}

#[test]
fn sorts_and_serialises_in_full_form() {
    let mut all: Vec<Reference> = ["quay.io/a", "b", "localhost/c", "a:2", "a:1", "a"].map(parse).into();
    all.sort();
    assert_eq!(
        all.iter().map(Reference::familiar).collect::<Vec<_>>(),
        ["a", "a:1", "a:2", "b", "localhost/c", "quay.io/a"]
    );
    let json = serde_json::to_string(&all[0]).unwrap();
    assert_eq!(json, "\"docker.io/library/a\"");
    assert_eq!(serde_json::from_str::<Reference>("\"a\"").unwrap(), all[0]);
    assert!(serde_json::from_str::<Reference>("\"A\"").is_err());
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(text in arb_reference()) {
        let reference = parse(&text);
        prop_assert_eq!(&parse(&reference.to_string()), &reference);
        prop_assert_eq!(&parse(&reference.familiar()), &reference);
        prop_assert!(reference.familiar().len() <= reference.to_string().len());
        prop_assert_eq!(reference.clone().with_default_tag().with_default_tag(), reference.with_default_tag());
    }

    #[test]
    fn no_text_breaks_the_parser(text in "\\PC*|[a-zA-Z0-9:@/._\\[\\]-]{0,40}") {
        if let Ok(reference) = text.parse::<Reference>() {
            prop_assert_eq!(&parse(&reference.to_string()), &reference);
        }
    }
}
