//! RUN with its command in the form in which it is run.

use image_core::ContainerConfig;

use crate::{
    dockerfile::{CommandLine, Run},
    effect::meta,
};

/// Where scripts are seen by the command.
const SCRIPTS: &str = "/dev/pipes";

/// The command of a RUN.
pub(crate) struct RunWords {
    /// The program and its arguments.
    pub(crate) args: Vec<String>,
    /// The here-document that is the program, as its place and content.
    pub(crate) script: Option<(String, String)>,
}

impl RunWords {
    /// The command as it is run: with its shell, and here-documents where the shell or the kernel finds them.
    ///
    /// # Spec
    /// Dockerfile reference, § RUN, and § Here-Documents; BuildKit where a here-document is all of the command: one that
    /// begins with `#!` is a program, any other is the shell's text.
    pub(crate) fn new(run: &Run, config: &ContainerConfig) -> Self {
        let shell = config.shell.as_deref();
        let CommandLine::Shell(text) = &run.command else {
            return Self { args: meta::arguments(&run.command, shell), script: None };
        };
        let (text, script) = match run.heredocs.as_slice() {
            [] => (text.value.clone(), None),
            [only] if only.span == text.span => {
                let body = only.body().into_owned();
                if only.content.starts_with("#!") {
                    let place = format!("{SCRIPTS}/{}", only.name);
                    (place.clone(), Some((place, body)))
                } else {
                    (body, None)
                }
            }
            several => {
                let documents = several.iter().map(|document| format!("\n{}{}", document.content, document.name));
                (text.value.clone() + &documents.collect::<String>(), None)
            }
        };
        Self { args: meta::shell_arguments(text, shell), script }
    }

    /// The command as the history has it: behind the arguments of the build that are declared where it stands.
    pub(crate) fn history<'v>(&self, arguments: impl ExactSizeIterator<Item = (&'v str, &'v str)>) -> String {
        let mut words = vec![String::from("RUN")];
        if arguments.len() > 0 {
            words.push(format!("|{}", arguments.len()));
        }
        words.extend(arguments.map(|(name, value)| format!("{name}={value}")));
        words.extend(self.args.iter().cloned());
        words.push("# buildkit".into());
        words.join(" ")
    }
}
