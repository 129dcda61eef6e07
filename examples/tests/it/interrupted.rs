//! Interrupted at any moment, a program says so by its exit status and leaves nothing behind.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use test_support::{TreeBuilder, temp_dir};

use crate::{
    base_image::{Form, SHORT_NAME, base_image},
    build,
    program::{self, image, program, verify},
};

/// How many moments of a run are tried.
const MOMENTS: u32 = 8;

/// The exit status after an interrupt.
const INTERRUPTED: i32 = 130;

/// Starts a program, interrupts it a while later, and gives its exit status.
fn interrupt_at(command: &mut Command, moment: Duration) -> Option<i32> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for_handler(&child);
    thread::sleep(moment);
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    // It may have ended by now.
    kill_process(pid, Signal::INT).ok();
    child.wait().unwrap().code()
}

/// Waits until the program catches interrupts, or has ended: before that, an interrupt ends it as it does any process.
fn wait_for_handler(child: &Child) {
    let status = format!("/proc/{}/status", child.id());
    while let Ok(text) = fs::read_to_string(&status) {
        let caught = text.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let caught = caught.and_then(|caught| u64::from_str_radix(caught.trim(), 16).ok()).unwrap_or(0);
        let is_zombie = text.lines().any(|line| line.starts_with("State:\tZ"));
        if caught & (1 << (Signal::INT.as_raw() - 1)) != 0 || is_zombie {
            return;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// Runs a program to its end, then interrupts it at moments of such a run. `check` sees what each run that was
/// interrupted left, and `clear` takes away what one that was too fast made.
fn interrupt(mut command: impl FnMut() -> Command, check: impl Fn(), clear: impl Fn()) {
    let started = Instant::now();
    program::succeed(&mut command());
    let whole = started.elapsed();
    clear();
    for moment in 0..MOMENTS {
        match interrupt_at(&mut command(), whole * moment / MOMENTS) {
            Some(INTERRUPTED) => check(),
            Some(0) => {}
            status => panic!("exit status {status:?} after an interrupt"),
        }
        clear();
    }
}

fn names(directory: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// That a layout is whole, and has no part of a blob.
fn check_layout(layout: &Path) {
    if layout.join("index.json").exists() {
        verify(layout);
    }
    assert_eq!(names(&layout.join("ingest")), [""; 0]);
    assert_eq!(names(&layout.join("leases")), [""; 0]);
}

fn remove(path: &Path) {
    if path.exists() {
        fs::remove_dir_all(path).unwrap();
    }
}

#[test]
fn an_interrupted_unpack_leaves_nothing() {
    let Some(base) = base_image(Form::Gzip) else { return };
    let dir = temp_dir();
    let tree = dir.path().join("tree");
    let command = || {
        let mut command = program("unpack");
        command.arg(image(base, SHORT_NAME)).arg(&tree);
        command
    };
    interrupt(command, || assert_eq!(names(dir.path()), [""; 0]), || remove(&tree));
}

#[test]
fn an_interrupted_load_leaves_a_whole_layout() {
    let Some(base) = base_image(Form::Gzip) else { return };
    let dir = temp_dir();
    let (archive, layout) = (dir.path().join("archive.tar"), dir.path().join("layout"));
    program::succeed(program("save").arg(image(base, SHORT_NAME)).arg(&archive));
    let command = || {
        let mut command = program("load");
        command.arg(&archive).arg(&layout).args(["--ref", "loaded"]);
        command
    };
    interrupt(command, || check_layout(&layout), || remove(&layout));
}

#[test]
fn an_interrupted_build_leaves_a_whole_layout_and_is_completed() {
    let Some(base) = base_image(Form::Gzip) else { return };
    let project = build::project(base);
    let (output, state) = (project.output(), project.path("out.cache"));
    let check = || {
        check_layout(&output);
        for unfinished in ["tmp", "records/tmp", "stat/tmp", "ingest"] {
            assert_eq!(names(&state.join(unfinished)), [""; 0], "{unfinished}");
        }
        project.build();
    };
    interrupt(
        || project.command(),
        check,
        || {
            remove(&output);
            remove(&state);
        },
    );
}

#[test]
fn an_interrupted_import_leaves_a_whole_layout() {
    let dir = temp_dir();
    let (tree, layout) = (dir.path().join("tree"), dir.path().join("layout"));
    let many = (0..2000).fold(TreeBuilder::new().dir("", 0o755), |tree, number| {
        tree.file(format!("d{}/{number}", number % 40), "some content\n".repeat(200), 0o644)
    });
    many.write_to(&tree);
    let archive = dir.path().join("tree.tar");
    test_support::tool::run(Command::new("tar").arg("-C").arg(&tree).arg("-cf").arg(&archive).arg("."));
    for source in [&tree, &archive] {
        let command = || {
            let mut command = program("import");
            command.arg(source).arg(image(&layout, "imported"));
            command
        };
        interrupt(command, || check_layout(&layout), || remove(&layout));
    }
}
