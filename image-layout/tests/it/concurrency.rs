//! Several writers, and writers that are killed.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use image_core::Ctx;
use image_layout::OciLayout;

use crate::fixture::Fixture;

/// How many names one child process gives.
const TAGS: usize = 50;

fn tag_many(path: &Path, prefix: &str, count: usize) {
    let layout = OciLayout::open(path).expect("a layout");
    let image = layout.resolve("image").expect("an image");
    for n in 0..count {
        layout.tag(&format!("{prefix}-{n}"), &image).expect("a name is given");
    }
}

fn fixture() -> Fixture {
    let fixture = Fixture::new();
    let image = fixture.image("linux/amd64", "image");
    fixture.layout.tag("image", &image).expect("a name is given");
    fixture
}

fn spawn(fixture: &Fixture, test: &str) -> Child {
    let this = std::env::current_exe().expect("this program");
    let mut command = Command::new(this);
    command.args(["--exact", test, "--ignored", "--quiet"]).current_dir(fixture.path());
    command.stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().expect("a child process")
}

#[test]
fn threads_lose_no_name() {
    let fixture = fixture();
    thread::scope(|scope| {
        for thread in 0..8 {
            let path = fixture.path();
            scope.spawn(move || tag_many(path, &format!("thread-{thread}"), 20));
        }
    });
    assert_eq!(fixture.layout.tags().unwrap().len(), 1 + 8 * 20);
}

#[test]
fn processes_lose_no_name() {
    let fixture = fixture();
    let children: Vec<Child> = (0..4).map(|_| spawn(&fixture, "concurrency::child_gives_names")).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(fixture.layout.tags().unwrap().len(), 1 + 4 * TAGS);
}

#[test]
fn a_killed_writer_leaves_a_whole_layout() {
    let fixture = fixture();
    // So long it takes until a process does something.
    let begin = if cfg!(windows) { 300 } else { 20 };
    for round in 0..20 {
        let mut child = spawn(&fixture, "concurrency::child_gives_names_until_killed");
        thread::sleep(Duration::from_millis(begin + 3 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        let layout = OciLayout::open_or_create(fixture.path()).unwrap();
        layout.tag(&format!("after-{round}"), &layout.resolve("image").unwrap()).unwrap();
        assert!(layout.verify(None, &Default::default(), &Ctx::default()).unwrap().is_clean());
    }
    let tags = fixture.layout.tags().unwrap();
    let after = tags.iter().filter(|tag| tag.name().starts_with("after-")).count();
    assert_eq!(after, 20);
    assert!(tags.len() > 1 + 20, "the children were killed before they gave a name");
}

/// Works in the layout that is the current directory; does nothing where that is none.
#[test]
#[ignore = "the child process of another test"]
fn child_gives_names() {
    if Path::new("oci-layout").exists() {
        tag_many(Path::new("."), &format!("process-{}", std::process::id()), TAGS);
    }
}

/// Works in the layout that is the current directory; does nothing where that is none.
#[test]
#[ignore = "the child process of another test"]
fn child_gives_names_until_killed() {
    if Path::new("oci-layout").exists() {
        tag_many(Path::new("."), &format!("process-{}", std::process::id()), 100_000);
    }
}
