//! A directory with a Dockerfile and its context, and what builds of it say.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use test_support::{TempDir, temp_dir};

use crate::program::{program, succeed};

/// The name that every build gives its image.
pub(crate) const TAG: &str = "app";

/// What is to be built: `context/` and `context/Dockerfile` in a directory of its own, the layout `out` beside them.
#[derive(Debug)]
pub(crate) struct Project {
    dir: TempDir,
    base: Option<PathBuf>,
}

impl Project {
    /// A project whose only file is its Dockerfile.
    pub(crate) fn new(dockerfile: &str) -> Self {
        let project = Self { dir: temp_dir(), base: None };
        project.write("Dockerfile", dockerfile);
        project
    }

    /// A project whose FROM instructions name images of this layout.
    pub(crate) fn on(base: &Path, dockerfile: &str) -> Self {
        Self { base: Some(base.to_owned()), ..Self::new(dockerfile) }
    }

    /// A place in the project's directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A place in the context.
    pub(crate) fn context(&self, path: &str) -> PathBuf {
        self.path("context").join(path)
    }

    /// The layout that builds write.
    pub(crate) fn output(&self) -> PathBuf {
        self.path("out")
    }

    /// The image that builds make, as programs name it.
    pub(crate) fn image(&self) -> String {
        format!("{}:{TAG}", self.output().display())
    }

    /// Writes a file of the context.
    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.context(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// The command that builds it.
    pub(crate) fn command(&self) -> Command {
        self.command_for(TAG)
    }

    /// The command that builds it under a name of its own.
    pub(crate) fn command_for(&self, name: &str) -> Command {
        let mut command = program("build");
        command.args(["--progress", "plain", "-t", name, "-o"]).arg(self.output());
        if let Some(base) = &self.base {
            command.arg("--base").arg(base);
        }
        command.arg(self.context(""));
        command
    }

    /// Builds it, which must succeed.
    pub(crate) fn build(&self) -> Built {
        self.build_with(&[])
    }

    /// Builds it with more arguments, which must succeed.
    pub(crate) fn build_with(&self, arguments: &[&str]) -> Built {
        Built::of(self.command().args(arguments))
    }
}

/// What a build said that succeeded.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Built {
    /// Of the image.
    pub(crate) digest: String,
    /// The steps in the order in which they were finished.
    pub(crate) steps: Vec<Step>,
}

/// What a build said about one step.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// Whether it came out of the cache.
    pub(crate) is_cached: bool,
    /// `STAGE n/m`.
    pub(crate) place: String,
    /// As in the Dockerfile.
    pub(crate) instruction: String,
}

impl Built {
    pub(crate) fn of(command: &mut Command) -> Self {
        let said = succeed(command);
        let mut digests = said.stdout.lines().filter_map(|line| line.strip_prefix("digest: "));
        let digest = digests.next().unwrap_or_else(|| panic!("no digest: {said}")).to_owned();
        Self { digest, steps: said.stderr.lines().filter_map(Step::parse).collect() }
    }

    /// The instructions that were carried out.
    pub(crate) fn ran(&self) -> Vec<&str> {
        self.of_kind(false)
    }

    /// The instructions whose results came out of the cache.
    pub(crate) fn cached(&self) -> Vec<&str> {
        self.of_kind(true)
    }

    fn of_kind(&self, is_cached: bool) -> Vec<&str> {
        self.steps.iter().filter(|step| step.is_cached == is_cached).map(|step| &*step.instruction).collect()
    }
}

impl Step {
    /// `CACHED [STAGE n/m] INSTRUCTION` or `DONE 0.123s [STAGE n/m] INSTRUCTION`; `None` for other lines.
    fn parse(line: &str) -> Option<Self> {
        let (is_cached, rest) = match line.strip_prefix("CACHED ") {
            Some(rest) => (true, rest),
            None => (false, line.strip_prefix("DONE ")?.split_once("s ").map(|(_, rest)| rest)?),
        };
        let (place, instruction) = rest.strip_prefix('[')?.split_once("] ")?;
        Some(Self { is_cached, place: place.to_owned(), instruction: instruction.to_owned() })
    }
}

/// Writes thousands of small files, some of which an ignore file leaves out.
pub(crate) fn write_modules(directory: &Path) {
    for module in 0..60 {
        let directory = directory.join(format!("modules/module-{module:02}"));
        for part in ["src", "docs"] {
            fs::create_dir_all(directory.join(part)).unwrap();
        }
        for file in 0..50 {
            let text = format!("module {module}, file {file}\n").repeat(file + 1);
            fs::write(directory.join(format!("src/file-{file:02}.txt")), text).unwrap();
        }
        fs::write(directory.join("docs/notes.md"), "left out").unwrap();
        fs::write(directory.join("docs/README.md"), "brought back").unwrap();
    }
}
