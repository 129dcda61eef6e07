//! A build needs no power: no root, no mount, and no unpacked base.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
    process::Command,
};

use test_support::{Tree, TreeOptions, require_root, require_tool, temp_dir, tool};

use crate::{
    base_image::{Form, SHORT_NAME, base_image},
    build::{self, DOCKERFILE},
    program::{image, path, program, refuse, succeed},
    project::{Built, Project, TAG},
};

/// Nobody: who owns nothing.
const USER: u32 = 65534;

const EPOCH: [&str; 2] = ["--source-date-epoch", "1700000000"];

/// A program that may do what an ordinary user may: it is started from a place which everybody can enter.
struct Ordinary {
    dir: test_support::TempDir,
}

impl Ordinary {
    fn new(base: &Path) -> Self {
        let dir = temp_dir();
        for name in ["build", "commit", "unpack"] {
            fs::copy(path(name), dir.path().join(name)).unwrap();
        }
        tool::run(Command::new("cp").arg("-r").arg(base).arg(dir.path().join("base")));
        tool::run(Command::new("chmod").args(["-R", "a+rX"]).arg(dir.path()));
        fs::create_dir(dir.path().join("work")).unwrap();
        if is_root() {
            chown(dir.path().join("work"), Some(USER), Some(USER)).unwrap();
        }
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn program(&self, name: &str) -> Command {
        let path = self.path(name);
        let mut command = if is_root() {
            let mut command = Command::new("setpriv");
            command.args([format!("--reuid={USER}"), format!("--regid={USER}")]);
            command.args(["--clear-groups", "--no-new-privs", "--bounding-set=-all"]).arg(path);
            command
        } else {
            Command::new(path)
        };
        command.current_dir(self.path("work")).env_remove("SOURCE_DATE_EPOCH").env("HOME", "/nonexistent");
        command
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn an_ordinary_user_builds_the_same_image_and_extracts_nothing() {
    if !require_tool("setpriv") {
        return;
    }
    let Some(base) = base_image(Form::Gzip) else { return };
    let project = build::project(base);
    let expected = project.build_with(&EPOCH).digest;

    let ordinary = Ordinary::new(base);
    tool::run(Command::new("chmod").args(["-R", "a+rX"]).arg(project.path("")));
    let context = Project::on(base, DOCKERFILE);
    build::fill(&context);
    let mut command = ordinary.program("build");
    command.args(["--progress", "plain", "-t", TAG, "-o", "out", "--cache", "state", "--base"]);
    command.arg(ordinary.path("base")).arg(context.context("")).args(EPOCH);
    let first = Built::of(&mut command);
    assert_eq!(first.digest, expected);
    assert!(Built::of(&mut command).ran().is_empty());

    let mut directories = Vec::new();
    let mut todo = vec![ordinary.path("work")];
    while let Some(directory) = todo.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                directories.push(entry.path());
                todo.push(entry.path());
            }
        }
    }
    assert!(directories.len() < 600, "{}", directories.len());
    for directory in directories {
        let name = directory.file_name().unwrap();
        assert!(!["usr", "zoneinfo", "srv", "opt", "modules"].iter().any(|part| name == *part), "{directory:?}");
    }
}

#[test]
fn an_ordinary_user_unpacks_the_files_as_their_own() {
    if !require_tool("setpriv") {
        return;
    }
    // Without devices, which nobody but root makes.
    let project = Project::new("FROM scratch\nCOPY --chown=7:8 --chmod=0640 . /files/\n");
    crate::project::write_modules(&project.context(""));
    project.build();
    let ordinary = Ordinary::new(&project.output());
    let destination = ordinary.path("work/tree");
    succeed(ordinary.program("unpack").arg("--rootless").arg(image(&ordinary.path("base"), TAG)).arg(&destination));
    let rooted = project.path("tree");
    succeed(program("unpack").arg("--rootless").arg(project.image()).arg(&rooted));
    let options = TreeOptions::default().without_owners();
    Tree::scan_with(&destination, options).assert_same(&Tree::scan_with(&rooted, options));
    assert!(Tree::scan(&destination).nodes().count() > 3000);
}

#[test]
fn owners_that_an_ordinary_user_noted_are_those_of_what_they_commit() {
    if !require_root() || !require_tool("setpriv") {
        return;
    }
    let project = Project::new("FROM scratch\nCOPY --chown=7:8 one /files/\nCOPY --chown=0:5 two /files/\n");
    project.write("one", "1");
    project.write("two", "2");
    project.build();
    let ordinary = Ordinary::new(&project.output());
    let layout = ordinary.path("work/layout");
    fs::rename(ordinary.path("base"), &layout).unwrap();
    tool::run(Command::new("chown").args(["-R", &USER.to_string()]).arg(&layout));
    succeed(ordinary.program("unpack").arg("--rootless").arg(image(&layout, TAG)).arg("tree"));
    fs::write(ordinary.path("work/tree/files/one"), "edited").unwrap();
    let commit = ["--rootless", "tree", "edited:1"];
    let mut program = ordinary.program("commit");
    succeed(program.arg(commit[0]).arg(image(&layout, TAG)).args(&commit[1..]).env("TMPDIR", ordinary.path("work")));

    let tree = temp_dir();
    let tree = |name: &str| {
        let destination = tree.path().join(name.replace(':', "-"));
        crate::program::unpack(image(&layout, name), &destination);
        let edited = destination.join("files/one");
        let owner = fs::metadata(&edited).map(|file| (file.uid(), file.gid())).unwrap();
        assert_eq!(owner, (7, 8), "{name}");
        fs::remove_file(edited).map(|()| destination).unwrap()
    };
    let options = TreeOptions::default().without_directory_mtimes();
    let [before, after] = [TAG, "edited:1"].map(tree).map(|tree| Tree::scan_with(&tree, options));
    after.assert_same(&before);
}

#[test]
fn what_an_ordinary_user_cannot_read_is_named() {
    if !is_root() || !require_tool("setpriv") {
        return;
    }
    for (dockerfile, closed) in [("COPY . /", "closed"), ("COPY directory /", "directory")] {
        let project = Project::new(&format!("FROM scratch\n{dockerfile}\n"));
        project.write("closed", "for its owner");
        project.write("directory/inner", "for all, but in a closed directory");
        let ordinary = Ordinary::new(&project.context(""));
        let context = ordinary.path("base");
        fs::set_permissions(context.join(closed), Permissions::from_mode(0o000)).unwrap();
        let complaint = refuse(ordinary.program("build").args(["-o", "out"]).arg(&context));
        for part in [closed, "Permission denied"] {
            assert!(complaint.contains(part), "{dockerfile}: {part:?} is not in:\n{complaint}");
        }
        let index = fs::read_to_string(ordinary.path("work/out/index.json")).unwrap_or_default();
        assert!(!index.contains("sha256:"), "{dockerfile}: an image was written");
    }
}

#[test]
fn what_an_ordinary_user_cannot_make_is_said() {
    if !is_root() || !require_tool("setpriv") {
        return;
    }
    let Some(base) = base_image(Form::Gzip) else { return };
    let ordinary = Ordinary::new(base);
    let said = succeed(ordinary.program("unpack").arg(image(&ordinary.path("base"), SHORT_NAME)).arg("tree"));
    for left_out in ["/srv/null", "/srv/disk", "security.capability"] {
        assert!(said.stderr.contains(left_out), "{left_out}: {said}");
    }

    let whole = temp_dir();
    crate::program::unpack(image(base, SHORT_NAME), &whole.path().join("tree"));
    for left_out in ["srv/null", "srv/disk"] {
        fs::remove_file(whole.path().join("tree").join(left_out)).unwrap();
    }
    let options = TreeOptions::default().without_owners().without_xattrs().without_directory_mtimes();
    let tree = |directory: &Path| Tree::scan_with(&directory.join("tree"), options);
    tree(&ordinary.path("work")).assert_same(&tree(whole.path()));
}
