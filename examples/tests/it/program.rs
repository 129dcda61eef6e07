//! Running the example programs.

use std::{
    env,
    ffi::OsStr,
    fmt,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// Where cargo put an example program: beside the directory of this test.
pub(crate) fn path(name: &str) -> PathBuf {
    let test = env::current_exe().expect("a test knows where it is");
    let profile = test.ancestors().nth(2).expect("cargo puts tests into target/PROFILE/deps");
    let program = profile.join("examples").join(name);
    assert!(program.is_file(), "{} is not built: `cargo build --examples`", program.display());
    program
}

/// A program that sees nothing of the environment that would change what it does.
pub(crate) fn program(name: &str) -> Command {
    let mut command = Command::new(path(name));
    command.env_remove("SOURCE_DATE_EPOCH");
    command
}

/// An image in a layout, as the programs name it.
pub(crate) fn image(layout: &Path, name: &str) -> String {
    format!("{}:{name}", layout.display())
}

/// What a program said, and how it ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit status {:?}\nstdout: {}\nstderr: {}", self.status, self.stdout, self.stderr)
    }
}

/// Runs a program to its end.
pub(crate) fn run(command: &mut Command) -> Said {
    let Output { status, stdout, stderr } = command.output().expect("the program starts");
    let text = |bytes| String::from_utf8(bytes).expect("programs print text");
    let said = Said { status: status.code(), stdout: text(stdout), stderr: text(stderr) };
    assert!(!said.stderr.contains("panicked at"), "{command:?} panics: {said}");
    said
}

/// Runs a program that must succeed, and gives what it printed.
pub(crate) fn succeed(command: &mut Command) -> Said {
    let said = run(command);
    assert_eq!(said.status, Some(0), "{command:?}: {said}");
    said
}

/// Runs a program that must fail as one does that is well used but cannot do its work, and gives its complaint.
pub(crate) fn refuse(command: &mut Command) -> String {
    let said = run(command);
    assert_eq!(said.status, Some(1), "{command:?}: {said}");
    assert!(said.stderr.lines().any(|line| line.starts_with("error: ")), "{command:?}: {said}");
    assert!(said.stdout.is_empty(), "{command:?} fails, but prints a result: {said}");
    said.stderr
}

/// Unpacks an image, which must succeed.
pub(crate) fn unpack(image: impl AsRef<OsStr>, destination: &Path) {
    succeed(program("unpack").arg(image).arg(destination));
}

/// Verifies a layout, which must find nothing wrong.
pub(crate) fn verify(layout: &Path) {
    succeed(program("verify").arg(layout));
}
