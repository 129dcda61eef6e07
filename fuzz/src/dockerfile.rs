//! Any bytes are a Dockerfile or an error: no panic, no endless loop, every place inside the file,
//! and words that expand or say why not.

use image_build::{
    Dockerfile, Env, Error,
    dockerfile::{Command, Spanned},
    expand::Expander,
};

/// Runs the target on one input.
pub fn run(bytes: &[u8]) {
    let env: Env = [("A", "1"), ("B", "two words"), ("EMPTY", ""), ("PATH", "/a:/b")].into_iter().collect();
    for file in [Dockerfile::parse(bytes), Dockerfile::parse_trigger("trigger", &String::from_utf8_lossy(bytes))] {
        match file {
            Ok(file) => check(&file, &env),
            Err(error) => drop(error.render()),
        }
    }
}

fn check(file: &Dockerfile, env: &Env) {
    for warning in file.warnings() {
        drop(file.fault(warning.span, &*warning.message).render());
    }
    for instruction in file.instructions() {
        assert!(!file.fault(instruction.span, "here").render().is_empty());
        let words: Vec<&Spanned<String>> = match &instruction.command {
            Command::Env(pairs) | Command::Label(pairs) => pairs.pairs.iter().map(|pair| &pair.value).collect(),
            Command::Copy(copy) => copy.sources.iter().chain([&copy.destination]).collect(),
            Command::Workdir(word) | Command::User(word) | Command::Stopsignal(word) => vec![word],
            Command::Expose(words) | Command::Volume(words) => words.iter().collect(),
            Command::From(from) => vec![&from.image],
            _ => continue,
        };
        for word in words {
            for result in [
                Expander::new(file, env).word(word).map(drop),
                Expander::new(file, env).words(word).map(drop),
                Expander::new(file, env).for_from().word(word).map(drop),
            ] {
                if let Err(error) = result {
                    assert!(matches!(error, Error::Dockerfile { .. } | Error::LimitExceeded { .. }), "{error}");
                }
            }
        }
    }
}
