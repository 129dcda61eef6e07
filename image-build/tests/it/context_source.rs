//! Contexts that are no directory: archives, memory, and what others implement.

use std::{
    fs,
    io::Write,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::Path,
    process::Command,
    time::{Duration, SystemTime},
};

use image_build::{
    BuildContext, BuildOptions, BuildState, Builder, BuiltImage, ContextSource, Dockerfile, Error, Ignore,
    MemoryContext, ModePolicy, StatCache, TarContext, context_conformance,
};
use image_core::{Ctx, MemoryBlobStore, Platform, Timestamp};
use image_layout::OciLayout;
use image_overlay::{Entry, EntryKind, LayerPath, Limits, Metadata, TarWriter};
use test_support::{
    hostile,
    layout::{gzip, zstd},
    raw_tar, require_tool, temp_dir,
};

use crate::build_fixture::chain;

/// Builds without base images.
fn build(dockerfile: &Dockerfile, context: &BuildContext, state: &BuildState) -> Result<BuiltImage, Error> {
    let bases: Vec<OciLayout> = Vec::new();
    let now = Timestamp::from_seconds(1_800_000_000);
    let options =
        BuildOptions::default().with_platform(Platform::new("linux", "amd64")).with_source_date_epoch(Some(now));
    Builder::new(state, context, &bases).build(dockerfile, &options, &MemoryBlobStore::default(), &Ctx::default())
}

fn tar_context(archive: &[u8], state: &BuildState) -> Result<TarContext, Error> {
    TarContext::read(archive, state, &Limits::default(), &Ctx::default())
}

/// A directory with what a context may hold, every time on a whole second.
fn varied(directory: &Path) {
    let write = |path: &str, mode, content: &[u8]| {
        let path = directory.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    };
    write("Dockerfile", 0o644, b"FROM scratch\nCOPY . /all/\nCOPY --chown=1:2 src/*.c /c/\n");
    write(".dockerignore", 0o644, b"target\n!target/keep\n**/*.o\nsecret\n");
    write("src/a.c", 0o600, b"a");
    write("src/b.c", 0o4755, b"b");
    write("src/b.o", 0o644, b"o");
    write("target/debug/app", 0o755, b"app");
    write("target/keep/it", 0o644, b"kept");
    write("secret/key", 0o644, b"key");
    write("empty", 0o644, b"");
    write("odd/\u{fc} $x [1] -> y\n", 0o644, b"odd");
    write("large", 0o644, &[7; 300_000]);
    fs::create_dir(directory.join("hollow")).unwrap();
    fs::set_permissions(directory.join("hollow"), fs::Permissions::from_mode(0o1777)).unwrap();
    symlink("../src/a.c", directory.join("odd/link")).unwrap();
    symlink("/etc/passwd", directory.join("odd/absolute")).unwrap();
    fs::hard_link(directory.join("secret/key"), directory.join("odd/key")).unwrap();
    fs::hard_link(directory.join("src/a.c"), directory.join("src/other.c")).unwrap();
    date(directory);
}

fn date(path: &Path) {
    let metadata = fs::symlink_metadata(path).unwrap();
    if metadata.is_dir() {
        fs::read_dir(path).unwrap().for_each(|entry| date(&entry.unwrap().path()));
    }
    if metadata.is_symlink() {
        // GNU tar writes whole seconds alone.
        let time = rustix::fs::Timespec { tv_sec: metadata.mtime(), tv_nsec: 0 };
        let times = rustix::fs::Timestamps { last_access: time, last_modification: time };
        rustix::fs::utimensat(rustix::fs::CWD, path, &times, rustix::fs::AtFlags::SYMLINK_NOFOLLOW).unwrap();
    } else {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        fs::File::open(path).unwrap().set_modified(time).unwrap();
    }
}

#[test]
fn an_archive_is_the_same_context_as_its_directory() {
    if !require_tool("tar") {
        return;
    }
    let (files, one) = (temp_dir(), temp_dir());
    varied(files.path());
    let state = BuildState::open(one.path()).unwrap();
    let ignore = Ignore::for_context(files.path()).unwrap();
    let dockerfile = Dockerfile::open(files.path().join("Dockerfile")).unwrap();
    let context = BuildContext::open(files.path(), ignore).unwrap();
    let of_directory = build(&dockerfile, &context, &state).unwrap();
    let fingerprint = |context: &BuildContext| {
        let stats = temp_dir();
        let cache = StatCache::open(stats.path()).unwrap();
        let files = context.file_fingerprints(&["."], Some(&cache), &Ctx::default()).unwrap();
        (context.fingerprint(&["."], Some(&cache), &Ctx::default()).unwrap(), files)
    };
    for format in ["gnu", "posix", "ustar"] {
        let mut tar = Command::new("tar");
        tar.arg("-C").arg(files.path()).args(["-c", "--format", format, "."]);
        let output = tar.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        for stream in [output.stdout.clone(), gzip(&output.stdout), zstd(&output.stdout)] {
            let source = tar_context(&stream, &state).unwrap();
            let dockerfile = Dockerfile::open_in(&source, "./Dockerfile").unwrap();
            let ignore = Ignore::of_source(&source, "Dockerfile").unwrap();
            let context = BuildContext::from_source(source, ignore);
            let again = build(&dockerfile, &context, &state).unwrap();
            assert_eq!(
                (again.done, &again.manifest.digest),
                (0, &of_directory.manifest.digest),
                "{format}: the same keys"
            );
            let empty = temp_dir();
            let anew = BuildState::open(empty.path()).unwrap();
            assert_eq!(build(&dockerfile, &context, &anew).unwrap().manifest.digest, of_directory.manifest.digest);
        }
        let source = tar_context(&output.stdout, &state).unwrap();
        let ignore = Ignore::for_context(files.path()).unwrap();
        let archive = BuildContext::from_source(source, ignore.clone());
        let directory = BuildContext::open(files.path(), ignore).unwrap();
        assert_eq!(fingerprint(&archive), fingerprint(&directory));
        assert_eq!(
            fingerprint(&archive.with_modes(ModePolicy::Git)),
            fingerprint(&directory.with_modes(ModePolicy::Git))
        );
    }
}

/// A builder of archives whose members are made by hand.
fn members(parts: &[Vec<u8>]) -> Vec<u8> {
    raw_tar::archive(parts)
}

#[test]
fn sparse_files_of_an_archive_are_what_they_are_in_a_directory() {
    if !require_tool("tar") {
        return;
    }
    let (files, state) = (temp_dir(), temp_dir());
    let mut file = fs::File::create(files.path().join("holes")).unwrap();
    file.write_all(b"begin").unwrap();
    file.set_len(1 << 20).unwrap();
    std::os::unix::fs::FileExt::write_at(&file, b"end", (1 << 20) - 3).unwrap();
    drop(file);
    fs::set_permissions(files.path().join("holes"), fs::Permissions::from_mode(0o644)).unwrap();
    date(files.path());
    let output = Command::new("tar").arg("-C").arg(files.path()).args(["-cS", "."]).output().unwrap();
    let state = BuildState::open(state.path()).unwrap();
    let dockerfile = Dockerfile::parse("FROM scratch\nCOPY holes /\n").unwrap();
    let directory = BuildContext::open(files.path(), Ignore::default()).unwrap();
    let first = build(&dockerfile, &directory, &state).unwrap();
    let archive = BuildContext::from_source(tar_context(&output.stdout, &state).unwrap(), Ignore::default());
    let second = build(&dockerfile, &archive, &state).unwrap();
    assert_eq!((second.done, second.manifest.digest), (0, first.manifest.digest));
    // And written from the archive itself.
    let empty = temp_dir();
    let anew = BuildState::open(empty.path()).unwrap();
    let third = build(&dockerfile, &archive, &anew).unwrap();
    assert_eq!(third.id, first.id);
}

#[test]
fn the_files_that_say_what_is_built_come_from_the_archive() {
    let directory = temp_dir();
    let state = BuildState::open(directory.path()).unwrap();
    let archive = members(&[
        raw_tar::file("build/App.Dockerfile", "FROM scratch\nCOPY . /\n"),
        raw_tar::file("build/App.Dockerfile.dockerignore", "build\nskipped\n"),
        raw_tar::file(".dockerignore", "taken\n"),
        raw_tar::symlink("Dockerfile", "build/App.Dockerfile"),
        raw_tar::file("skipped", ""),
        raw_tar::file("taken", ""),
        // The later of two counts.
        raw_tar::file("taken", "later"),
    ]);
    let source = tar_context(&archive, &state).unwrap();
    assert_eq!(Dockerfile::open_in(&source, "Dockerfile").unwrap().instructions().len(), 2, "through the link");
    let own = Ignore::of_source(&source, "build/App.Dockerfile").unwrap();
    assert!(own.matches(b"skipped") && !own.matches(b"taken"));
    let common = Ignore::of_source(&source, "Dockerfile").unwrap();
    assert!(!common.matches(b"skipped") && common.matches(b"taken"));
    let missing = Dockerfile::open_in(&source, "absent").unwrap_err();
    assert_eq!(missing.to_string(), "absent: not found in the context archive");
    assert!(missing.is_not_found());
    let dockerfile = Dockerfile::open_in(&source, "build/App.Dockerfile").unwrap();
    let context = BuildContext::from_source(source, own);
    let files = context.file_fingerprints(&["."], Some(state.stats()), &Ctx::default()).unwrap();
    let paths: Vec<_> = files.iter().map(|file| String::from_utf8_lossy(&file.path)).collect();
    assert_eq!(paths, [".dockerignore", "taken"]);
    build(&dockerfile, &context, &state).unwrap();
    drop(context);
    let left: Vec<_> = fs::read_dir(directory.path().join("tmp")).unwrap().collect();
    assert!(left.is_empty(), "nothing of the archive is left: {left:?}");
}

#[test]
fn archives_of_strangers_stay_where_they_are() {
    let outside = temp_dir();
    fs::write(outside.path().join("secret"), "secret").unwrap();
    let beside = outside.path().join("state");
    let state = BuildState::open(&beside).unwrap();
    let cases: [(&str, Vec<Vec<u8>>, &str); 9] = [
        ("up", vec![raw_tar::file("../secret", "x")], "cannot unpack the context archive"),
        ("up inside", vec![raw_tar::file("a/../../secret", "x")], "cannot unpack the context archive"),
        (
            "below a link",
            vec![raw_tar::symlink("d", "/"), raw_tar::file("d/x", "x")],
            "/d/x of the build context: what it is in is no directory",
        ),
        (
            "below a file",
            vec![raw_tar::file("d", ""), raw_tar::file("d/x", "x")],
            "/d/x of the build context: what it is in is no directory",
        ),
        (
            "hard link to nothing",
            vec![raw_tar::hard_link("x", "secret")],
            "/x of the build context: it is a hard link to what is no file of the context",
        ),
        (
            "hard link to a directory",
            vec![raw_tar::dir("d"), raw_tar::hard_link("x", "d")],
            "/x of the build context: it is a hard link to what is no file of the context",
        ),
        (
            "a file in place of a directory",
            vec![raw_tar::file("d/x", ""), raw_tar::file("d", "")],
            "/d of the build context: it is a directory with files in it already",
        ),
        ("no archive", vec![b"FROM scratch\n".repeat(100)], "cannot unpack the context archive"),
        ("cut short", vec![raw_tar::file("a", "x".repeat(2000))[..1000].to_vec()], "cannot unpack the context archive"),
    ];
    for (name, parts, expected) in cases {
        let stream = if name == "cut short" { parts.concat() } else { members(&parts) };
        match tar_context(&stream, &state) {
            Ok(_) => panic!("{name}: it was taken"),
            Err(error) => {
                assert!(error.to_string() == "cannot unpack the context archive", "{name}: {}", chain(&error));
                assert!(chain(&error).contains(expected), "{name}: {}", chain(&error));
            }
        }
    }
    // Links lead nowhere but to what is in the archive.
    let archive = members(&[raw_tar::symlink("secret", outside.path().join("secret").to_str().unwrap())]);
    let context = BuildContext::from_source(tar_context(&archive, &state).unwrap(), Ignore::default());
    let dockerfile = Dockerfile::parse("FROM scratch\nCOPY secret /\n").unwrap();
    let error = build(&dockerfile, &context, &state).unwrap_err();
    assert!(chain(&error).contains("not found in the build context"), "{}", chain(&error));
    // What is this machine's alone is refused where it is copied, and nowhere else.
    let archive = members(&[raw_tar::char_device("dev", 1, 3), raw_tar::file("f", "f")]);
    let context = BuildContext::from_source(tar_context(&archive, &state).unwrap(), Ignore::default());
    build(&Dockerfile::parse("FROM scratch\nCOPY f /\n").unwrap(), &context, &state).unwrap();
    let error = build(&Dockerfile::parse("FROM scratch\nCOPY . /\n").unwrap(), &context, &state).unwrap_err();
    assert!(chain(&error).contains("is a device or a fifo"), "{}", chain(&error));
}

#[test]
fn every_archive_of_the_table_of_strangers_is_refused_or_contained() {
    let directory = temp_dir();
    hostile::each(
        &hostile::layers(),
        |case| format!("{:?}: {}", case.requirement, case.name),
        |case| {
            let state = BuildState::open(directory.path().join("state")).unwrap();
            for layer in &case.layers {
                let limits = Limits::default().with_layer_bytes(Some(64 << 20));
                let Ok(source) = TarContext::read(&**layer, &state, &limits, &Ctx::default()) else { continue };
                let context = BuildContext::from_source(source, Ignore::default());
                // Whatever comes of it, it does not panic, and what it makes is whole.
                drop(build(&Dockerfile::parse("FROM scratch\nCOPY . /\n").unwrap(), &context, &state));
            }
            let names: Vec<_> =
                fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            assert_eq!(names, ["state"], "{}", case.name);
        },
    );
}

#[test]
fn a_stream_that_is_too_large_is_not_kept() {
    let directory = temp_dir();
    let state = BuildState::open(directory.path()).unwrap();
    let zeros = gzip(&members(&[raw_tar::file("zeros", vec![0; 8 << 20])]));
    assert!(zeros.len() < 1 << 20);
    let limits = Limits::default().with_layer_bytes(Some(1 << 20));
    let error = TarContext::read(&*zeros, &state, &limits, &Ctx::default()).unwrap_err();
    assert!(chain(&error).contains("limit"), "{}", chain(&error));
    let limits = Limits::default().with_toc_bytes(10_000);
    let many: Vec<_> = (0..1000).map(|number| raw_tar::file(format!("{number}"), "")).collect();
    let error = TarContext::read(&*members(&many), &state, &limits, &Ctx::default()).unwrap_err();
    assert!(chain(&error).contains("table of contents"), "{}", chain(&error));
}

#[test]
fn a_context_in_memory_is_as_one_in_a_directory() {
    let (files, state) = (temp_dir(), temp_dir());
    fs::write(files.path().join("a"), "a").unwrap();
    fs::set_permissions(files.path().join("a"), fs::Permissions::from_mode(0o644)).unwrap();
    let state = BuildState::open(state.path()).unwrap();
    let dockerfile = Dockerfile::parse("FROM scratch\nCOPY a /x/\n").unwrap();
    let directory = BuildContext::open(files.path(), Ignore::default()).unwrap();
    let first = build(&dockerfile, &directory, &state).unwrap();
    let memory = MemoryContext::new().with_file("a", "a").unwrap().with_file("b/ignored", "b").unwrap();
    let context = BuildContext::from_source(memory, Ignore::parse("ignore", b"b\n").unwrap());
    let second = build(&dockerfile, &context, &state).unwrap();
    assert_eq!((second.done, second.manifest.digest), (0, first.manifest.digest));
    let error = build(&Dockerfile::parse("FROM scratch\nCOPY b /\n").unwrap(), &context, &state).unwrap_err();
    assert!(chain(&error).contains(": b: not found in the build context"), "{}", chain(&error));
}

#[test]
fn a_source_that_does_not_hold_still_is_an_error() {
    /// A file that is another one whenever it is opened.
    struct Restless;
    impl ContextSource for Restless {
        fn name(&self) -> String {
            "restless".into()
        }
        fn list(
            &self,
            found: &mut dyn FnMut(image_build::SourceEntry) -> image_build::Result<()>,
            _: &Ctx,
        ) -> image_build::Result<()> {
            let file = |path: &str| {
                let path = LayerPath::parse(path.as_bytes()).unwrap();
                image_build::SourceEntry::new(Entry::new(path, EntryKind::File { size: 4 }, Metadata::new(0o644)))
            };
            found(file("grown"))?;
            found(file("gone"))?;
            found(file("lied").with_sha256([7; 32]))
        }
        fn open(&self, path: &LayerPath) -> image_build::Result<Option<Box<dyn std::io::Read + Send>>> {
            Ok(match path.as_bytes() {
                b"grown" => Some(Box::new(&b"larger"[..])),
                b"lied" => Some(Box::new(&b"four"[..])),
                _ => None,
            })
        }
    }
    let state = temp_dir();
    let state = BuildState::open(state.path()).unwrap();
    let context = BuildContext::from_source(Restless, Ignore::default());
    for path in ["grown", "gone", "lied"] {
        let dockerfile = Dockerfile::parse(format!("FROM scratch\nCOPY {path} /\n")).unwrap();
        let error = build(&dockerfile, &context, &state).unwrap_err();
        assert!(chain(&error).contains("it changes while the build reads it"), "{path}: {}", chain(&error));
        assert!(chain(&error).contains(path), "{path}: {}", chain(&error));
    }
}

#[test]
fn sources_keep_their_contract() {
    context_conformance::check_all(&|files| {
        let add = |source: MemoryContext, file: &context_conformance::Sample| {
            source.with_entry(file.entry.clone(), file.content.clone())
        };
        Box::new(files.iter().fold(MemoryContext::new(), add))
    });
    let directory = temp_dir();
    for compress in [<[u8]>::to_vec, gzip, zstd] {
        context_conformance::check_all(&|files| {
            let mut tar = TarWriter::new(Vec::new());
            for file in files {
                tar.append(&file.entry, &mut &*file.content).unwrap();
            }
            let stream = compress(&tar.finish().unwrap());
            let state = BuildState::open(directory.path()).unwrap();
            Box::new(tar_context(&stream, &state).unwrap())
        });
    }
}
