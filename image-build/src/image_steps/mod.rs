//! Images made by a program, without a Dockerfile.

mod command;
mod line;
mod options;

use crate::{
    dockerfile::{
        self, Add, Command, CommandLine, Copy, Dockerfile, FileContent, FromImage, HealthcheckTest, Instruction,
        KeyValue, KeyValues, Run, RunFlags, Span, Spanned,
    },
    error::Result,
};

pub use command::{CommandMount, CommandOptions};
use line::Words;
pub use options::{AddOptions, CopyOptions};

/// The steps that make an image, given by a program: what a Dockerfile is, without its text.
///
/// [`ImageSteps::finish`] gives a [`Dockerfile`] that [`Builder::build`](crate::Builder::build) takes as any other. The
/// steps are the same instructions, with the same keys, layers, history and explanations: a step is cached whether it was
/// built from here or from a text that says the same.
///
/// ```
/// use image_build::{BuildContext, BuildOptions, BuildState, Builder, CopyOptions, Ignore, ImageSteps};
/// use image_core::Ctx;
/// use image_layout::OciLayout;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let (files, output, cache) = (dir.path().join("files"), dir.path().join("out"), dir.path().join("cache"));
/// # std::fs::create_dir(&files)?;
/// std::fs::write(files.join("server"), "#!/bin/sh\n")?;
/// let steps = ImageSteps::from_scratch()
///     .copy_with(["server"], "/usr/bin/", CopyOptions::default().with_chmod("0755"))
///     .file("/etc/server.conf", "port = 8080\n")
///     .env("PRICE", "$5") // taken as it is
///     .expose("8080")
///     .entrypoint(["/usr/bin/server"]);
///
/// let context = BuildContext::open(&files, Ignore::default())?;
/// let (state, layout) = (BuildState::open(&cache)?, OciLayout::open_or_create(&output)?);
/// let bases: Vec<OciLayout> = Vec::new();
/// let builder = Builder::new(&state, &context, &bases);
/// let built = builder.build(&steps.finish()?, &BuildOptions::default(), layout.blobs(), &Ctx::default())?;
/// layout.tag("server:1.0", &built.manifest)?;
///
/// let image = layout.image("server:1.0", None)?;
/// assert_eq!(image.config().value().config.env[1], "PRICE=$5");
/// # Ok(())
/// # }
/// ```
///
/// # Values
/// Everything given is a value and taken as it is: `$`, quotes and backslashes mean nothing, no value can become another
/// word or another step, and none is ever parsed as a Dockerfile is. Only the sources of a copy are patterns, as those of
/// COPY are, in which a backslash makes a name of what follows.
///
/// # Errors
/// No method fails; [`ImageSteps::finish`] tells of the first step that cannot be. Errors, there and in builds, name the
/// steps by number, as `steps:3:1`, and show the line that would stand in a Dockerfile.
#[derive(Debug, Clone)]
#[must_use = "these are steps to be taken: `finish` gives what a builder takes"]
pub struct ImageSteps {
    /// A line for each step.
    text: String,
    instructions: Vec<Instruction>,
    /// The first step that cannot be, and why not.
    fault: Option<(Span, String)>,
}

impl ImageSteps {
    /// Starts from an image, as FROM.
    pub fn from_image(image: impl Into<String>) -> Self {
        Self { text: String::new(), instructions: Vec::new(), fault: None }.then_from_image(image)
    }

    /// Starts from nothing.
    pub fn from_scratch() -> Self {
        Self::from_image("scratch")
    }

    /// Ends the stage, and starts another one from an image or, by its name, from an earlier stage. The last stage is
    /// the image; the others are there to be copied from.
    pub fn then_from_image(self, image: impl Into<String>) -> Self {
        self.from(image.into(), None)
    }

    /// Ends the stage, and starts another one from nothing.
    pub fn then_from_scratch(self) -> Self {
        self.then_from_image("scratch")
    }

    /// Gives the stage that was just started a name.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        let name = name.into();
        match self.instructions.pop() {
            Some(Instruction { command: Command::From(from), span, .. }) if from.alias.is_none() => {
                self.text.truncate(span.start);
                self.from(from.image.value, Some(name))
            }
            other => {
                self.instructions.extend(other);
                let span = self.instructions.last().map(|last| last.span).unwrap_or_default();
                let reason = "a stage is named once, and before anything else is done in it";
                self.fault.get_or_insert_with(|| (span, reason.into()));
                self
            }
        }
    }

    fn from(self, image: String, name: Option<String>) -> Self {
        self.step("FROM", |words| {
            let image = words.required("the name of the base image", image);
            let alias = name.map(|written| {
                let valid = dockerfile::stage_name(&written);
                if valid.is_none() {
                    words.fault(dockerfile::invalid_stage_name(&written));
                }
                words.show("AS");
                words.word(valid.unwrap_or(written))
            });
            Command::From(FromImage { image, alias, platform: None })
        })
    }

    /// Copies from the context: a file, all that is in a directory, or what a pattern matches.
    ///
    /// # Spec
    /// Dockerfile reference, § COPY.
    pub fn copy(self, source: impl Into<String>, destination: impl Into<String>) -> Self {
        self.copy_with([source], destination, CopyOptions::default())
    }

    /// Copies several, or from elsewhere, or otherwise.
    pub fn copy_with(
        self,
        sources: impl IntoIterator<Item = impl Into<String>>,
        destination: impl Into<String>,
        options: CopyOptions,
    ) -> Self {
        self.step("COPY", |words| {
            let flags = options.flags(words);
            let sources = sources_of(words, sources);
            let destination = words.required("the destination", destination);
            Command::Copy(Copy { flags, sources, heredocs: Vec::new(), contents: Vec::new(), destination })
        })
    }

    /// Writes a file of these bytes, owned by root and of mode 0644.
    pub fn file(self, path: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        self.file_with(path, content, CopyOptions::default())
    }

    /// Writes a file of these bytes, with another owner or mode. [`CopyOptions::from`], [`CopyOptions::parents`] and
    /// [`CopyOptions::exclude`] have no meaning for it.
    pub fn file_with(self, path: impl Into<String>, content: impl Into<Vec<u8>>, options: CopyOptions) -> Self {
        let path = path.into();
        let (directory, name) = match path.rsplit_once('/') {
            Some((directory, name)) => (format!("{directory}/"), name.to_owned()),
            None => ("./".to_owned(), path.clone()),
        };
        self.step("COPY", |words| {
            if matches!(&*name, "" | "." | "..") {
                words.fault(format!("{path:?} names no file"));
            }
            if options.from.is_some() || options.parents || !options.exclude.is_empty() {
                words.fault("a file that is given comes from nowhere, and all of it is written");
            }
            let flags = options.flags(words);
            words.show(&format!("<<{name}"));
            let destination = words.word(directory);
            let contents = vec![FileContent { name, content: content.into().into() }];
            Command::Copy(Copy { flags, sources: Vec::new(), heredocs: Vec::new(), contents, destination })
        })
    }

    /// Adds from the context, archives unpacked, or from an address.
    ///
    /// # Spec
    /// Dockerfile reference, § ADD.
    pub fn add(self, source: impl Into<String>, destination: impl Into<String>) -> Self {
        self.add_with([source], destination, AddOptions::default())
    }

    /// Adds several, or otherwise.
    pub fn add_with(
        self,
        sources: impl IntoIterator<Item = impl Into<String>>,
        destination: impl Into<String>,
        options: AddOptions,
    ) -> Self {
        self.step("ADD", |words| {
            let flags = options.flags(words);
            let sources = sources_of(words, sources);
            let destination = words.required("the destination", destination);
            Command::Add(Add { flags, sources, heredocs: Vec::new(), destination })
        })
    }

    /// Runs a program with its arguments.
    ///
    /// # Spec
    /// Dockerfile reference, § RUN, exec form.
    pub fn run(self, args: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.run_with(args, CommandOptions::default())
    }

    /// Runs a program with its arguments, with something mounted, or otherwise.
    pub fn run_with(self, args: impl IntoIterator<Item = impl Into<String>>, options: CommandOptions) -> Self {
        self.step("RUN", |words| {
            let flags = options.flags(words);
            let args = words.list(args);
            if args.is_empty() {
                words.fault("there is no program to run");
            }
            run(flags, CommandLine::Exec(args))
        })
    }

    /// Runs a line by the image's shell, whose variables are the shell's matter.
    ///
    /// # Spec
    /// Dockerfile reference, § RUN, shell form.
    pub fn run_shell(self, line: impl Into<String>) -> Self {
        self.run_shell_with(line, CommandOptions::default())
    }

    /// Runs a line by the image's shell, with something mounted, or otherwise.
    pub fn run_shell_with(self, line: impl Into<String>, options: CommandOptions) -> Self {
        self.step("RUN", |words| {
            let flags = options.flags(words);
            run(flags, CommandLine::Shell(words.text(line)))
        })
    }

    /// Sets a variable.
    pub fn env(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.step("ENV", |words| Command::Env(pair(words, name, value)))
    }

    /// Sets a label.
    pub fn label(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.step("LABEL", |words| Command::Label(pair(words, name, value)))
    }

    /// Sets the directory of what follows, which is there from then on.
    pub fn workdir(self, path: impl Into<String>) -> Self {
        self.step("WORKDIR", |words| Command::Workdir(words.required("the path", path)))
    }

    /// Sets the user of what follows: `user[:group]`, by numbers or by names of the image.
    pub fn user(self, user: impl Into<String>) -> Self {
        self.step("USER", |words| Command::User(words.required("the user", user)))
    }

    /// Says that the image listens on a port, or on a range: `80`, `53/udp`, `8000-8010`.
    pub fn expose(self, port: impl Into<String>) -> Self {
        self.step("EXPOSE", |words| Command::Expose(vec![words.required("the port", port)]))
    }

    /// Says that a directory holds what outlives a container.
    pub fn volume(self, path: impl Into<String>) -> Self {
        self.step("VOLUME", |words| Command::Volume(vec![words.required("the path", path)]))
    }

    /// Sets the program that containers run, with its first arguments; an empty list takes it back.
    pub fn entrypoint(self, args: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.step("ENTRYPOINT", |words| Command::Entrypoint(CommandLine::Exec(words.list(args))))
    }

    /// Sets the arguments of the entrypoint where a container is given none, or the program where there is no entrypoint.
    pub fn cmd(self, args: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.step("CMD", |words| Command::Cmd(CommandLine::Exec(words.list(args))))
    }

    /// Sets the shell of what is run by one: the program, and the arguments before the line.
    pub fn shell(self, args: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.step("SHELL", |words| {
            let args = words.list(args);
            if args.is_empty() {
                words.fault("there is no program to be the shell");
            }
            Command::Shell(args)
        })
    }

    /// Sets the signal that asks a container to stop, by name or number.
    pub fn stop_signal(self, signal: impl Into<String>) -> Self {
        self.step("STOPSIGNAL", |words| Command::Stopsignal(words.required("the signal", signal)))
    }

    /// Sets how it is found out whether a container is well.
    pub fn healthcheck(self, test: HealthcheckTest) -> Self {
        self.step("HEALTHCHECK", |words| {
            let is_empty = match &test.command {
                CommandLine::Exec(args) => {
                    words.show("CMD");
                    words.list(args.iter().map(Spanned::as_str)).is_empty()
                }
                CommandLine::Shell(line) => {
                    words.show("CMD");
                    words.text(line.as_str()).value.is_empty()
                }
            };
            if is_empty {
                words.fault("there is no command to check by");
            }
            let times = [test.interval, test.timeout, test.start_period, test.start_interval];
            if times.into_iter().flatten().any(|time| !time.is_zero() && time.as_millis() == 0) {
                words.fault("a time of a health check cannot be less than 1ms");
            }
            Command::Healthcheck(dockerfile::Healthcheck::Check(test))
        })
    }

    /// Switches the base's health check off.
    pub fn no_healthcheck(self) -> Self {
        self.step("HEALTHCHECK", |words| {
            words.show("NONE");
            Command::Healthcheck(dockerfile::Healthcheck::None)
        })
    }

    /// The steps, for a builder.
    ///
    /// # Errors
    /// [`Error::Dockerfile`](crate::Error::Dockerfile) for the first step that cannot be: with an empty name or path, a
    /// NUL byte, or no program; [`Error::LimitExceeded`](crate::Error::LimitExceeded) for more than 100,000 steps.
    pub fn finish(self) -> Result<Dockerfile> {
        self.finish_named("steps")
    }

    /// The steps, under a name that errors have. What a build did differently from the last is told against the last build
    /// of the same name and context: give each image of a program its own.
    ///
    /// # Errors
    /// As [`ImageSteps::finish`].
    pub fn finish_named(self, name: &str) -> Result<Dockerfile> {
        let file = Dockerfile::of_values(name, &self.text, self.instructions)?;
        match self.fault {
            Some((span, reason)) => Err(file.fault(span, reason)),
            None => Ok(file),
        }
    }

    fn step(mut self, keyword: &str, make: impl FnOnce(&mut Words) -> Command) -> Self {
        let mut words = Words::new(keyword, self.text.len(), self.instructions.len() + 1);
        let command = make(&mut words);
        let (line, span, fault) = words.finish();
        if let Some(reason) = fault {
            self.fault.get_or_insert((span, reason));
        }
        self.text.push_str(&line);
        self.text.push('\n');
        let keyword = Spanned::new(keyword.to_owned(), Span { end: span.start + keyword.len(), ..span });
        self.instructions.push(Instruction { command, keyword, text: line, span });
        self
    }
}

fn sources_of(words: &mut Words, sources: impl IntoIterator<Item = impl Into<String>>) -> Vec<Spanned<String>> {
    let sources: Vec<_> = sources.into_iter().map(|source| words.word(source)).collect();
    if sources.is_empty() {
        words.fault("there is no source");
    }
    sources
}

fn pair(words: &mut Words, name: impl Into<String>, value: impl Into<String>) -> KeyValues {
    let (key, value) = words.pair(name, value);
    KeyValues { pairs: vec![KeyValue { key, value }], legacy: false }
}

fn run(flags: RunFlags, command: CommandLine) -> Command {
    Command::Run(Run { flags, command, heredocs: Vec::new() })
}
