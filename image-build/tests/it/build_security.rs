//! Hostile contexts, Dockerfiles and neighbours: nothing from outside gets in, and every failure is said.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt, fs::symlink, net::UnixListener},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use image_build::{BuildContext, BuildState, Builder, Dockerfile, Ignore};
use image_core::{Ctx, MemoryBlobStore};
use rustix::fs::{CWD, RenameFlags};
use test_support::{SmallDisk, temp_dir};

use crate::build_fixture::{Fixture, chain, dir, link};

/// Stops another thread, also where the test fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_directory_that_is_swapped_for_a_link_never_leads_out() {
    let outside = temp_dir();
    fs::create_dir(outside.path().join("sub")).unwrap();
    fs::write(outside.path().join("sub/file"), "secret").unwrap();
    fs::write(outside.path().join("only-outside"), "secret").unwrap();
    let fixture = Fixture::with_files(&["d/sub/file", "d/e/f/g"]);
    let (directory, other) = (fixture.context().join("d"), fixture.context().join("other"));
    symlink(outside.path(), &other).unwrap();
    let stop = AtomicBool::new(false);
    let end = Instant::now() + Duration::from_secs(2);
    let (mut built, mut failed) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                rustix::fs::renameat_with(CWD, &directory, CWD, &other, RenameFlags::EXCHANGE).unwrap();
            }
        });
        let _stopped = Stop(&stop);
        while Instant::now() < end {
            match fixture.try_build_anew("FROM scratch\nCOPY d/ /d/\nCOPY other/ /o/\nCOPY . /all/") {
                Ok(image) => {
                    let listing = image.listing();
                    built += 1;
                    assert!(
                        !listing.iter().any(|line| line.contains("secret") || line.contains("only-outside")),
                        "{listing:?}"
                    );
                }
                Err(_) => failed += 1,
            }
        }
    });
    assert!(built + failed > 3, "{built} {failed}");
}

#[test]
fn a_file_that_changes_is_copied_whole_or_refused() {
    let fixture = Fixture::with_files(&["f"]);
    let stop = AtomicBool::new(false);
    let end = Instant::now() + Duration::from_secs(1);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for size in (0..200_000_usize).step_by(7_919).cycle() {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                fs::write(fixture.context().join("f"), "x".repeat(size)).unwrap();
            }
        });
        let _stopped = Stop(&stop);
        while Instant::now() < end {
            match fixture.try_build_anew("FROM scratch\nCOPY f /") {
                // Reading it back verifies every digest.
                Ok(built) => assert_eq!(built.listing().len(), 1),
                Err(error) => {
                    assert!(chain(&error).contains("it changes while the build reads it"), "{}", chain(&error))
                }
            }
        }
    });
}

#[test]
fn names_of_any_bytes() {
    let fixture = Fixture::new();
    let long = "n".repeat(255);
    let names: [&[u8]; 6] = [b"new\nline", b"non-\xff-utf8", long.as_bytes(), b"*", b"back\\slash", b" "];
    for name in names {
        fs::write(fixture.context().join(OsStr::from_bytes(name)), "x").unwrap();
    }
    let built = fixture.build("FROM scratch\nCOPY . /x/\nCOPY [\"new*\", \"[*]\", \"/y/\"]\nCOPY non-* /");
    let tree = built.tree();
    for name in names {
        let path = [b"/x/", name].concat();
        assert!(tree.lookup(&path, image_overlay::Follow::NotLast).unwrap().is_some(), "{}", path.escape_ascii());
    }
    for path in [&b"/y/new\nline"[..], b"/y/*", b"/non-\xff-utf8"] {
        assert!(tree.lookup(path, image_overlay::Follow::NotLast).unwrap().is_some(), "{}", path.escape_ascii());
    }
}

#[test]
fn paths_that_are_too_long_are_named() {
    let fixture = Fixture::with_files(&["a"]);
    let error = fixture.error(&format!("FROM scratch\nCOPY a /{}", "n".repeat(256)));
    assert!(error.contains("nnn") && error.contains("255"), "{error}");
    let error = fixture.error(&format!("FROM scratch\nWORKDIR {}", "/nnnnnnn".repeat(600)));
    assert!(error.contains("4096"), "{error}");
    // In the context: deeper than any path can say.
    let mut here = rustix::fs::open(fixture.context(), rustix::fs::OFlags::PATH, rustix::fs::Mode::empty()).unwrap();
    for _ in 0..40 {
        let name = "d".repeat(200);
        rustix::fs::mkdirat(&here, &*name, rustix::fs::Mode::from_raw_mode(0o755)).unwrap();
        here = rustix::fs::openat(&here, &*name, rustix::fs::OFlags::PATH, rustix::fs::Mode::empty()).unwrap();
    }
    let error = fixture.error("FROM scratch\nCOPY a /");
    assert!(error.contains("4096") || error.contains("too long"), "{error}");
    fixture.write(".dockerignore", "dddd*\n");
    assert_eq!(fixture.build("FROM scratch\nCOPY a /").listing(), ["f 0644 0:0 /a a"]);
}

#[test]
fn sockets_are_left_out_and_said() {
    let fixture = Fixture::with_files(&["a"]);
    let _socket = UnixListener::bind(fixture.context().join("s")).unwrap();
    assert_eq!(fixture.build("FROM scratch\nCOPY . /").listing(), ["f 0644 0:0 /a a"]);
    assert!(fixture.notices().iter().any(|notice| notice.contains("socket")));
}

#[test]
fn what_is_left_out_is_not_reached_by_other_names() {
    let fixture = Fixture::with_files(&["a", "secret/key"]);
    fixture.symlink("secret/key", "to-key");
    fixture.symlink("secret", "to-secret");
    fixture.write(".dockerignore", "secret\n");
    for source in ["to-key", "to-secret", "to-secret/key", "secret/key", "./secret/../secret/key"] {
        let error = fixture.error(&format!("FROM scratch\nCOPY {source} /"));
        assert!(error.contains("not found in the build context"), "{source}: {error}");
    }
}

#[test]
fn destinations_stay_in_the_image() {
    let mut fixture = Fixture::with_files(&["a"]);
    let entries = vec![link("a", "b"), link("b", "a"), link("up", "../../../../.."), link("w", "/../x")];
    fixture.bases.add("base", entries, |_| {});
    assert_eq!(fixture.build("FROM base\nCOPY a /up/../../z").listing().last().unwrap(), "f 0644 0:0 /z a");
    let built = fixture.build("FROM base\nWORKDIR /w\nCOPY a .");
    assert!(built.listing().contains(&"f 0644 0:0 /x/a a".into()), "{:?}", built.listing());
    let error = fixture.error("FROM base\nCOPY a /a/f");
    assert!(error.contains("symbolic links"), "{error}");
    fixture.bases.add("dir", vec![dir("d")], |_| {});
    assert!(fixture.error("FROM dir\nCOPY --from=base /a /x").contains("symbolic links"));
}

#[test]
fn hostile_dockerfiles_stay_small() {
    let fixture = Fixture::new();
    for (text, expected) in [
        (format!("FROM scratch\nEXPOSE{}", " 0-65535".repeat(10_000)), "more than 65536 ports"),
        (
            format!(
                "FROM scratch\nENV A={}\n{}",
                "x".repeat(60_000),
                (0..4_000).map(|n| format!("ENV A{n}=$A\n")).collect::<String>()
            ),
            "the configuration of the image",
        ),
        (
            format!("FROM scratch\nENV A={}\n{}", "x".repeat(60_000), "LABEL l=$A\n".repeat(4_000)),
            "the history of the image",
        ),
    ] {
        let error = fixture.error(&text);
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn builds_at_once_share_one_state() {
    let fixture = Fixture::with_files(&["a", "d/b", "d/c"]);
    let text = "FROM scratch AS one\nCOPY d /d\nWORKDIR /w\nFROM scratch\nCOPY a /a\nCOPY --from=one /d /e\nENV A=1";
    let file = Dockerfile::parse(text).unwrap();
    for _ in 0..5 {
        let state = temp_dir();
        let build = || {
            let context = BuildContext::open(fixture.context(), Ignore::default()).unwrap();
            // Each with a state of its own in one directory, as processes have.
            let state = BuildState::open(state.path()).unwrap();
            let output = MemoryBlobStore::default();
            let ctx = Ctx::default();
            let options = fixture.options.clone().with_source_date_epoch(Some(fixture.now));
            let built = Builder::new(&state, &context, &fixture.bases).build(&file, &options, &output, &ctx);
            built.map(|built| built.manifest.digest.to_string()).map_err(|error| chain(&error))
        };
        let digests: Vec<_> = std::thread::scope(|scope| {
            let builds: Vec<_> = (0..6).map(|_| scope.spawn(build)).collect();
            builds.into_iter().map(|build| build.join().unwrap()).collect()
        });
        assert!(digests.iter().all(|digest| digest.is_ok() && *digest == digests[0]), "{digests:?}");
    }
}

#[test]
fn a_full_disk_is_said_and_leaves_a_state_that_works() {
    let Some(disk) = SmallDisk::mount(1 << 20) else { return };
    let mut fixture = Fixture::new();
    fixture.options = fixture.options.clone().with_encode("none".parse().unwrap());
    let noise: String =
        (0..300_000_u32).map(|n| char::from(b'a' + (n.wrapping_mul(2_654_435_761) >> 27) as u8 % 26)).collect();
    for name in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        fixture.write(name, &format!("{name}{noise}"));
    }
    let error = match fixture.try_build_in("FROM scratch\nCOPY . /", disk.path()) {
        Ok(_) => panic!("it fits"),
        Err(error) => chain(&error),
    };
    assert!(error.contains("No space left on device"), "{error}");
    fixture.write(".dockerignore", "*\n!a\n");
    fixture.try_build_in("FROM scratch\nCOPY . /", disk.path()).unwrap_or_else(|error| panic!("{}", chain(&error)));
}
