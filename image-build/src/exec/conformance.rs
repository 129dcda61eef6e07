//! The suite that every executor must pass.
//!
//! Each check runs commands in a new root file system, and panics where the contract of [`Executor`] is broken, in words
//! that say how. [`check_all`] runs all of them. What an executor cannot do it must refuse, by an error that
//! [is one of that kind](crate::Error::is_unsupported): the checks of mounts and users are content with that.
#![expect(clippy::missing_panics_doc, reason = "panicking is how a check fails, as said above")]
#![expect(clippy::panic, reason = "panicking is how a check fails")]
#![expect(clippy::disallowed_methods, reason = "looks at what the commands left, below directories of its own")]

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
};

use image_core::{CancelToken, Ctx};

use super::{Access, Executor, Exit, MountKind, Owner, RunSpec, Secret, User};
use crate::error::{Error, Result};

/// What is checked.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Subject<'a> {
    /// The executor.
    pub executor: &'a dyn Executor,
    /// Makes a root file system of its own for a check: a directory in which `/bin/sh` and `sleep`, found by
    /// `PATH=/usr/bin:/bin`, can be run.
    pub rootfs: &'a (dyn Fn() -> PathBuf + Sync),
}

impl std::fmt::Debug for Subject<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subject").finish_non_exhaustive()
    }
}

impl<'a> Subject<'a> {
    /// An executor, and what makes root file systems for it.
    #[must_use]
    pub fn new(executor: &'a dyn Executor, rootfs: &'a (dyn Fn() -> PathBuf + Sync)) -> Self {
        Self { executor, rootfs }
    }

    fn spec(&self, script: &str) -> RunSpec {
        RunSpec::new((self.rootfs)(), ["/bin/sh", "-c", script]).with_env(["PATH=/usr/bin:/bin"])
    }

    fn try_run(&self, spec: &RunSpec) -> Result<(Exit, String)> {
        let mut output = Vec::new();
        let exit = self.executor.run(spec, &mut |line| output.extend_from_slice(line), &Ctx::default())?;
        Ok((exit, String::from_utf8_lossy(&output).into_owned()))
    }

    fn run(&self, spec: &RunSpec) -> (Exit, String) {
        self.try_run(spec).unwrap_or_else(|error| panic!("{:?} could not be run: {error}", spec.args))
    }

    /// Runs what need not be possible, but must be refused then; `None` where it is.
    fn run_if_supported(&self, spec: &RunSpec) -> Option<(Exit, String)> {
        match self.try_run(spec) {
            Ok(ended) => Some(ended),
            Err(error) => {
                assert!(error.is_unsupported(), "what cannot be done is refused as that, and not so: {error}");
                None
            }
        }
    }
}

/// Runs every check.
pub fn check_all(subject: Subject<'_>) {
    let checks: [fn(Subject<'_>); 13] = [
        output_comes_whole_and_by_lines,
        failure_is_no_error,
        signals_are_told_as_shells_tell_them,
        the_last_lines_are_kept,
        variables_are_those_that_were_given,
        secrets_are_variables_that_nothing_shows,
        a_command_begins_where_it_is_told,
        what_is_written_stays,
        what_is_mounted_does_not_stay,
        a_bind_mount_that_is_read_only_is_not_written,
        the_user_is_the_one_that_was_asked_for,
        what_cannot_be_started_is_an_error,
        several_may_run_at_once,
    ];
    for check in checks {
        check(subject);
    }
    cancellation_ends_a_run(subject);
}

/// All that is written comes, a line at a time with its end, and the last without one where it has none.
pub fn output_comes_whole_and_by_lines(subject: Subject<'_>) {
    let mut lines = Vec::new();
    let script =
        "echo one; printf 'two\\r\\n\\n'; i=0; while [ $i -lt 2000 ]; do echo $i; i=$((i+1)); done; printf end";
    let spec = subject.spec(script);
    ok(subject.executor.run(&spec, &mut |line| lines.push(line.to_vec()), &Ctx::default()), "run");
    let numbers: String = (0..2000).map(|number| format!("{number}\n")).collect();
    let text = format!("one\ntwo\r\n\n{numbers}end");
    assert_eq!(String::from_utf8_lossy(&lines.concat()), text, "all that the command wrote");
    for line in &lines {
        let ends = line.iter().filter(|byte| **byte == b'\n').count();
        assert!(!line.is_empty() && (ends == 0 || (ends == 1 && line.ends_with(b"\n"))), "one line: {line:?}");
    }
    // Standard error too, in whichever order.
    let (_, both) = subject.run(&subject.spec("echo out; echo err >&2"));
    assert!(both == "out\nerr\n" || both == "err\nout\n", "both streams: {both:?}");
}

/// A command that fails has an exit, from which the caller makes an error where it wants to.
pub fn failure_is_no_error(subject: Subject<'_>) {
    for status in [0, 3, 255] {
        let (exit, _) = subject.run(&subject.spec(&format!("exit {status}")));
        assert_eq!((exit.status, exit.is_success(), exit.signal()), (status, status == 0, None), "exit {status}");
        assert_eq!(exit.into_result().is_ok(), status == 0, "exit {status} as a result");
    }
}

/// A signal that ends a command is its number on top of 128.
pub fn signals_are_told_as_shells_tell_them(subject: Subject<'_>) {
    let (exit, _) = subject.run(&subject.spec("sh -c 'kill -KILL $$'; exit $?"));
    assert_eq!((exit.status, exit.signal()), (137, Some(9)), "a command that SIGKILL ended");
}

/// The end of what was written is there when the command has ended.
pub fn the_last_lines_are_kept(subject: Subject<'_>) {
    let (exit, _) = subject.run(&subject.spec("echo first; echo the reason >&2; exit 1"));
    assert!(exit.tail.lines().any(|line| line == "the reason"), "the tail: {:?}", exit.tail);
    let error = exit.into_result().expect_err("status 1").to_string();
    assert!(error.contains("the reason"), "the error: {error}");
}

/// The command sees the variables that it is given, and none of this process's.
pub fn variables_are_those_that_were_given(subject: Subject<'_>) {
    let mut spec = subject.spec("echo \"[$A][$EMPTY][$CARGO_MANIFEST_DIR][$PATH]\"");
    spec.env.extend(["A=b $c\"'".to_owned(), "EMPTY=".to_owned()]);
    assert_eq!(subject.run(&spec).1, "[b $c\"'][][][/usr/bin:/bin]\n", "the variables");
}

/// A secret is a variable, and stands neither in the exit nor in an error.
pub fn secrets_are_variables_that_nothing_shows(subject: Subject<'_>) {
    // The script holds the secret in pieces, since the script itself is shown.
    let spec = subject.spec("[ \"$TOKEN\" = hush\"-\"hush ] && echo known; exit 1");
    let spec = spec.with_secret_env("TOKEN", Secret::new(*b"hush-hush"));
    let Some((exit, output)) = subject.run_if_supported(&spec) else { return };
    assert_eq!(output, "known\n", "the command sees the secret");
    let shown = format!("{spec:?} {exit:?} {}", exit.clone().into_result().expect_err("status 1"));
    assert!(!shown.contains("hush-hush"), "a secret is shown: {shown}");
}

/// The directory to begin in is made where it is missing.
pub fn a_command_begins_where_it_is_told(subject: Subject<'_>) {
    let spec = subject.spec("echo here > file").with_cwd("/made/below");
    assert!(subject.run(&spec).0.is_success(), "the command can write where it begins");
    assert_eq!(left(&spec.rootfs, "made/below/file").as_deref(), Some("here\n"), "it began in its directory");
}

/// What a command writes to its root stays, also where it fails.
pub fn what_is_written_stays(subject: Subject<'_>) {
    let first = subject.spec("echo 1 > one; exit 1");
    subject.run(&first);
    let mut second = subject.spec("echo 2 > two");
    second.rootfs.clone_from(&first.rootfs);
    subject.run(&second);
    for (name, content) in [("one", "1\n"), ("two", "2\n")] {
        assert_eq!(left(&first.rootfs, name).as_deref(), Some(content), "{name} stays");
    }
}

/// What is mounted is gone after the run, and so is the place where it was mounted, if that was not there before.
pub fn what_is_mounted_does_not_stay(subject: Subject<'_>) {
    let spec =
        subject.spec("echo x > mounted/file && echo y > file").with_mount("/mounted", MountKind::Tmpfs { size: None });
    let Some((exit, output)) = subject.run_if_supported(&spec) else { return };
    assert!(exit.is_success(), "the mount can be written: {output}");
    assert_eq!(left(&spec.rootfs, "file").as_deref(), Some("y\n"), "what was written beside it stays");
    assert!(!spec.rootfs.join("mounted").exists(), "the place of the mount is left");
    let secret = MountKind::Secret { value: Secret::new(*b"hush-hush"), owner: Owner::new(0, 0, 0o400) };
    let spec = subject.spec("read line < run/secret; [ \"$line\" = hush-hush ]").with_mount("/run/secret", secret);
    let Some((exit, _)) = subject.run_if_supported(&spec) else { return };
    // `read` fails at the end of a file without a line's end, and has read it.
    assert!(exit.is_success(), "the command sees the secret");
    assert!(!spec.rootfs.join("run/secret").exists(), "the place of the secret is left");
}

/// A bind mount is read, and only written where that is asked for.
pub fn a_bind_mount_that_is_read_only_is_not_written(subject: Subject<'_>) {
    let source = (subject.rootfs)();
    if let Err(error) = fs::write(source.join("given"), "given\n") {
        panic!("write a file to be mounted: {error}");
    }
    let mount = |access| MountKind::Bind { source: source.clone(), access };
    let script = "read line < bound/given; echo $line; echo x > bound/new";
    let spec = subject.spec(script).with_mount("/bound", mount(Access::ReadOnly));
    let Some((exit, output)) = subject.run_if_supported(&spec) else { return };
    assert!(!exit.is_success() && output.contains("given\n"), "it is read and not written: {output}");
    assert!(!source.join("new").exists(), "a bind mount that is read only was written");
    let spec = subject.spec(script).with_mount("/bound", mount(Access::ReadWrite));
    let Some((exit, output)) = subject.run_if_supported(&spec) else { return };
    assert!(exit.is_success(), "it is written: {output}");
    assert_eq!(left(&source, "new").as_deref(), Some("x\n"), "what was written to the mount");
}

/// The command is the user's that was asked for.
pub fn the_user_is_the_one_that_was_asked_for(subject: Subject<'_>) {
    let spec = subject.spec("echo x > file").with_user(User::new(4321, 4321));
    // A root file system of root's is not this user's to write.
    let Some((exit, output)) = subject.run_if_supported(&spec) else { return };
    assert!(!exit.is_success(), "another user than root writes to root's directory: {output}");
}

/// Where there is no such program or no root file system, nothing was run.
pub fn what_cannot_be_started_is_an_error(subject: Subject<'_>) {
    let mut spec = subject.spec("");
    spec.args = vec!["no-such-program".into()];
    let mut nowhere = subject.spec("exit 0");
    nowhere.rootfs.push("absent");
    let mut nothing = subject.spec("");
    nothing.args.clear();
    for (spec, what) in [(spec, "a program that is not there"), (nowhere, "no root"), (nothing, "no program")] {
        if let Ok((exit, _)) = subject.try_run(&spec) {
            panic!("{what} is an error, and not {exit}");
        }
    }
}

/// Runs on different root file systems do not meet.
pub fn several_may_run_at_once(subject: Subject<'_>) {
    thread::scope(|scope| {
        for number in 0..4 {
            scope.spawn(move || {
                let spec = subject.spec(&format!("echo {number} > file; read line < file; echo $line"));
                assert_eq!(subject.run(&spec).1, format!("{number}\n"), "the output of one of several");
                assert_eq!(left(&spec.rootfs, "file"), Some(format!("{number}\n")), "the file of one of several");
            });
        }
    });
}

/// A run that is cancelled before or meanwhile ends, with that error.
pub fn cancellation_ends_a_run(subject: Subject<'_>) {
    let cancel = CancelToken::default();
    let ctx = Ctx::default().with_cancel(cancel.clone());
    let spec = subject.spec("echo ready; sleep 3600; echo over > file");
    // An hour is longer than anybody waits for a check to fail.
    let ended = subject.executor.run(&spec, &mut |_| cancel.cancel(), &ctx);
    assert!(is_cancelled(ended.as_ref()), "a run that was cancelled meanwhile: {ended:?}");
    assert_eq!(left(&spec.rootfs, "file"), None, "the command went on");
    let spec = subject.spec("echo x > file");
    let ended = subject.executor.run(&spec, &mut |_| {}, &ctx);
    assert!(is_cancelled(ended.as_ref()), "a run that was cancelled before: {ended:?}");
    assert_eq!(left(&spec.rootfs, "file"), None, "the command was run");
}

fn is_cancelled(ended: Result<&Exit, &Error>) -> bool {
    ended.is_err_and(Error::is_cancelled)
}

/// What a command left in a file of its root.
fn left(rootfs: &Path, name: &str) -> Option<String> {
    fs::read_to_string(rootfs.join(name)).ok()
}

fn ok<T>(result: Result<T>, what: &str) -> T {
    result.unwrap_or_else(|error| panic!("{what}: {error}"))
}
