//! A Debian with a compiler and interpreters, as an image, and sources of Debian's: from the mirror that this machine's
//! package manager uses.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use image_core::Digest;
use test_support::{TempDir, require_root, require_tool, skip, tool, unobtainable};

use crate::program::{image, program, succeed};

/// The name of the image, as a build asks for it.
pub(crate) const NAME: &str = "localhost/debian:1";

const SUITE: &str = "bookworm";

/// What it has besides what every Debian has.
const PACKAGES: &str = "gcc,libc6-dev,make,nodejs,python3,python3-setuptools";

/// What spares the time to sync each file, and to unpack what nothing here reads.
const DPKG: &str = "force-unsafe-io\npath-exclude=/usr/share/doc/*\npath-exclude=/usr/share/locale/*\n\
    path-exclude=/usr/share/man/*\n";

/// An OCI layout with the image; `None`, and said so, where this machine cannot make it.
///
/// It is made once and kept below cargo's target directory: nobody writes to it.
pub(crate) fn debian() -> Option<&'static Path> {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    if !require_root() || !["apt-get", "debootstrap", "chroot"].into_iter().all(require_tool) {
        return None;
    }
    let Some(mirror) = mirror() else {
        skip("apt-get knows no mirror of Debian 12");
        return None;
    };
    Some(MADE.get_or_init(|| kept(&mirror)))
}

/// Where this machine's packages come from.
fn mirror() -> Option<String> {
    let uris = tool::run(Command::new("apt-get").args(["update", "--print-uris"]));
    let release = format!("dists/{SUITE}/InRelease");
    uris.lines().find_map(|line| Some(line.strip_prefix('\'')?.split_once('\'')?.0.strip_suffix(&release)?.to_owned()))
}

/// The image as an earlier run left it, or a new one. What makes it is part of the name, so that a change of this file
/// makes it anew.
fn kept(mirror: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let recipe = Digest::sha256_of(include_bytes!("debian.rs"));
    let kept = target.join(format!("debian-{}", &recipe.encoded()[..12]));
    if !kept.is_dir() {
        fs::create_dir_all(target).unwrap();
        let work = TempDir::new_in(target).unwrap();
        let layout = work.path().join("layout");
        // Packing it takes longer than reading it a few times.
        let mut import = program("import");
        import.args(["--compression", "none"]);
        succeed(import.arg(bootstrap(mirror, work.path())).arg(image(&layout, NAME)));
        // Another process may have been faster: its image is as good.
        let renamed = fs::rename(layout, &kept);
        assert!(renamed.is_ok() || kept.is_dir(), "{renamed:?}");
    }
    kept
}

/// Makes a root file system.
fn bootstrap(mirror: &str, work: &Path) -> PathBuf {
    let root = work.join("root");
    let mut first = Command::new("debootstrap");
    first.args(["--foreign", "--variant=minbase", &format!("--include={PACKAGES}"), SUITE]);
    tool::run(first.arg(&root).arg(mirror));
    let options = root.join("etc/dpkg/dpkg.cfg.d");
    fs::create_dir_all(&options).unwrap();
    fs::write(options.join("fast"), DPKG).unwrap();
    let mut second = Command::new("chroot");
    second.arg(&root).args(["/debootstrap/debootstrap", "--second-stage"]);
    tool::run(second.env("DEBIAN_FRONTEND", "noninteractive"));
    for kept in ["var/cache/apt/archives", "var/lib/apt/lists"] {
        fs::remove_dir_all(root.join(kept)).unwrap();
        fs::create_dir(root.join(kept)).unwrap();
    }
    root
}

/// Fetches what Debian packages were made of, as their authors published it, and unpacks each into a directory of its
/// name; whether the mirror has them, which not every one of packages does.
pub(crate) fn fetch_sources(packages: &[&str], to: &Path) -> bool {
    let mirror = mirror().expect("an image was made from it");
    let apt = to.join("apt");
    fs::create_dir_all(apt.join("lists/partial")).unwrap();
    fs::write(
        apt.join("sources.list"),
        format!("deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] {mirror} {SUITE} main\n"),
    )
    .unwrap();
    let get = |words: &[&str]| {
        let option = |name: &str, file: &str| format!("--option={name}={}", apt.join(file).display());
        let mut command = Command::new("apt-get");
        command.arg("--quiet=2").args([
            option("Dir::Etc::sourcelist", "sources.list"),
            option("Dir::Etc::sourceparts", "none"),
            option("Dir::State::lists", "lists"),
            option("Dir::Cache", "cache"),
            // Its user may not write here.
            "--option=APT::Sandbox::User=root".into(),
            "--option=Acquire::Retries=3".into(),
        ]);
        tool::try_run(command.args(words).current_dir(&apt))
    };
    let got = get(&["update"]).and_then(|_| get(&[&["source", "--tar-only"], packages].concat()));
    if let Err(said) = got {
        // Anything else is wrong here.
        let is_missing = ["Failed to fetch", "Unable to find a source package"].iter().any(|why| said.contains(why));
        assert!(is_missing, "{said}");
        unobtainable(&format!("the mirror of packages does not give the sources of {packages:?}: {said}"));
        return false;
    }
    for package in packages {
        let begin = format!("{package}_");
        let names = fs::read_dir(&apt).unwrap().map(|entry| entry.unwrap().path());
        let archive = names.into_iter().find(|path| {
            let name = path.file_name().unwrap().to_string_lossy();
            name.starts_with(&begin) && name.contains(".orig.tar.")
        });
        let directory = to.join(package);
        fs::create_dir(&directory).unwrap();
        let archive = archive.unwrap_or_else(|| panic!("apt-get fetched no {package}"));
        let mut unpack = Command::new("tar");
        unpack.args(["--strip-components=1", "--no-same-owner", "--directory"]).arg(directory);
        tool::run(unpack.arg("--extract").arg("--file").arg(archive));
    }
    fs::remove_dir_all(apt).unwrap();
    true
}
