//! What goes wrong, and what is said then: the errors of the programs as a set, to be read in `errors/*.txt` from top to bottom.
//!
//! Each says what failed, of which file, digest or line, why, and what to do; and nothing twice. After a change that is meant,
//! `UPDATE_ERRORS=1` in the environment writes the files.

mod builds;
mod images;
mod machine;

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use image_core::Platform;

use crate::{
    program::{self, program},
    project::Project,
    refused_layout::Victim,
};

/// Changes what is there, so that something must go wrong.
type Spoil<T> = fn(&T);

fn nothing<T>(_: &T) {}

/// Errors by what went wrong, with how they came about.
struct Errors {
    file: PathBuf,
    said: String,
}

impl Errors {
    fn new(name: &str) -> Self {
        let file = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/errors")).join(name);
        Self { file, said: String::new() }
    }

    /// Runs a command line where a layout `out` has an image `app`, which was spoiled.
    fn of_image(&mut self, what: &str, whole: &Victim, spoil: Spoil<Victim>, line: &str) {
        let victim = whole.copy();
        let mut names = BTreeMap::from([(victim.layer(), "LAYER"), (victim.config(), "CONFIG")]);
        names.extend(victim.manifest().map(|digest| (digest, "MANIFEST")));
        spoil(&victim);
        names.extend(victim.manifest().map(|digest| (digest, "MANIFEST")));
        self.add(what, line, &mut command(line, &victim.project.path("")), &names);
    }

    /// Builds a project with some files, which was spoiled; no image may come of it.
    fn of_build(&mut self, what: &str, dockerfile: &str, spoil: Spoil<Project>, more: &str) {
        let project = Project::new(dockerfile);
        project.write("file", "content");
        project.write("directory/inner", "content");
        spoil(&project);
        let line = format!("build --progress plain -o out {more} context").replace("  ", " ");
        self.add(what, &line, &mut command(&line, &project.path("")), &BTreeMap::new());
        let index = fs::read_to_string(project.output().join("index.json")).unwrap_or_default();
        assert!(!index.contains("sha256:"), "{what}: an image was written");
    }

    /// Notes what a command says that must fail.
    fn add(&mut self, what: &str, line: &str, command: &mut Command, names: &BTreeMap<String, &str>) {
        let place = command.get_current_dir().unwrap().display().to_string();
        let said = program::run(command);
        assert!(matches!(said.status, Some(1 | 2)), "{what}: {line}: {said}");
        // Before it are the steps that went well.
        let error = said.stderr.find("error: ").map(|at| said.stderr.split_at(at).1);
        let error = error.unwrap_or_else(|| panic!("{what}: {line}: {said}"));
        let text = format!("{}{error}", said.stdout).replace(place.trim_end_matches('/'), "DIR");
        let text = lasting(&text, names);
        assert!(!text.contains(" { "), "{what}: something is printed for developers: {text}");
        self.said.push_str(&format!("== {what}\n$ {line}\n{}\n\n", text.trim_end()));
    }

    /// Compares what was said with what is in the file.
    fn check(self) {
        let expected = fs::read_to_string(&self.file).unwrap_or_default();
        if expected == self.said {
            return;
        }
        if env::var_os("UPDATE_ERRORS").is_some() {
            return fs::write(&self.file, self.said).unwrap();
        }
        let blocks = |text: &str| text.split("== ").map(String::from).collect::<Vec<_>>();
        let known = blocks(&expected);
        let new: Vec<String> = blocks(&self.said).into_iter().filter(|block| !known.contains(block)).collect();
        panic!("{} says something else; now:\n{}", self.file.display(), new.join("== "));
    }
}

/// A program in this directory, with words parted by spaces, or in single quotes.
fn command(line: &str, directory: &Path) -> Command {
    let parts = line
        .split('\'')
        .enumerate()
        .flat_map(|(number, part)| if number % 2 == 1 { vec![part] } else { part.split_whitespace().collect() });
    let words: Vec<&str> = parts.collect();
    let (name, arguments) = words.split_first().unwrap();
    let mut command = program(name);
    command.args(arguments).current_dir(directory).env_remove("SSH_AUTH_SOCK");
    command
}

/// The text without what is another each time, or elsewhere: digests have names, and numbers of temporary files are gone.
fn lasting(text: &str, names: &BTreeMap<String, &str>) -> String {
    let text = text.replace(&Platform::of_target().to_string(), "linux/HERE");
    let mut text = names.iter().fold(text, |text, (digest, name)| text.replace(&**digest, &format!("sha256:{name}")));
    for (prefix, length) in [("sha256:", 64), ("/new-", 16), ("/lease-", 16), ("blobs/sha256/", 64)] {
        let mut rest = std::mem::take(&mut text);
        while let Some(at) = rest.find(prefix) {
            let number = rest.split_off(at + prefix.len());
            text.push_str(&rest);
            let is_number = number.get(..length).is_some_and(|part| part.bytes().all(|b| b.is_ascii_hexdigit()));
            text.push_str(if is_number { "NUMBER" } else { "" });
            rest = number.get(if is_number { length } else { 0 }..).unwrap().to_owned();
        }
        text.push_str(&rest);
    }
    text
}
