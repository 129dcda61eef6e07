//! Dockerfiles, ignore files, and the paths that those are about.

use std::fmt::Write;

use crate::numbers::Numbers;

/// A Dockerfile of so many small steps that change the configuration alone.
#[must_use]
pub fn steps(count: u64) -> String {
    let step = |n: u64| match n % 4 {
        0 => format!("LABEL org.example.label-{n}=value-{n}\n"),
        1 => format!("EXPOSE {}\n", 1 + n % 65_535),
        _ => format!("ENV VARIABLE_{n}=\"value {n} of $NAME\"\n"),
    };
    std::iter::once("FROM scratch\nENV NAME=steps\n".into()).chain((0..count).map(step)).collect()
}

/// A Dockerfile of so many lines with all kinds of instructions: stages, continued lines, comments, here-documents.
#[must_use]
pub fn dockerfile(lines: usize) -> String {
    const STAGE: [&str; 20] = [
        "FROM debian:12 AS stage",
        "ARG VERSION=1.0",
        "ENV PATH=/opt/app/bin:$PATH NAME=\"an app\" VERSION=${VERSION:-0.1}",
        "# what it is built with",
        "RUN --mount=type=cache,target=/var/cache/apt,sharing=locked \\",
        "    apt-get update && \\",
        "    apt-get install -y --no-install-recommends \\",
        "        build-essential ca-certificates \"pkg-config\" && \\",
        "    rm -rf /var/lib/apt/lists/*",
        "WORKDIR /src/$NAME",
        "COPY --chown=1000:1000 --chmod=0644 Cargo.toml Cargo.lock src/ ./",
        "RUN <<EOF",
        "set -e",
        "cargo build --release --locked",
        "EOF",
        "LABEL org.opencontainers.image.version=\"$VERSION\" org.opencontainers.image.title='an app'",
        "EXPOSE 80/tcp 443",
        "HEALTHCHECK --interval=30s CMD [\"/opt/app/bin/app\", \"--check\"]",
        "ENTRYPOINT [\"/opt/app/bin/app\"]",
        "CMD [\"--serve\", \"0.0.0.0\"]",
    ];
    let mut text = String::from("# syntax=docker/dockerfile:1\n");
    for number in 0..lines.saturating_sub(1) / STAGE.len() {
        for (position, line) in STAGE.iter().enumerate() {
            let number = if position == 0 { format!("{number}") } else { String::new() };
            let _ = writeln!(text, "{line}{number}");
        }
    }
    let missing = lines.saturating_sub(text.lines().count());
    (0..missing).for_each(|number| {
        let _ = writeln!(text, "LABEL org.example.filler-{number}=value");
    });
    text
}

/// An ignore file of so many patterns of all kinds, of which one in ten takes back what others leave out.
#[must_use]
pub fn patterns(count: usize) -> String {
    let pattern = |number: usize| match number % 10 {
        0 => format!("**/*.tmp{number}"),
        1 => format!("/build{number}"),
        2 => format!("dir{number:03}/target"),
        3 => format!("**/cache-{number}/**"),
        4 => format!("file?{number}.o"),
        5 => format!("*/node_modules{number}/*.map"),
        6 => format!("[a-c]{number}*.log"),
        7 => format!("docs/**/draft-{number}.md"),
        8 => format!("dir{number:03}/sub{:02}", number % 100),
        _ => format!("!dir{:03}/sub{:02}/keep{number}.rs", number - 1, (number - 1) % 100),
    };
    (0..count).map(|number| pattern(number) + "\n").collect()
}

/// So many paths of files in a tree of three levels, in the order in which a walk meets them.
#[must_use]
pub fn paths(count: usize) -> Vec<String> {
    const ENDS: [&str; 6] = [".rs", ".js", ".log", ".o", ".map", ".md"];
    let mut numbers = Numbers::of_seed(8);
    let path = |number: usize| {
        let (directory, sub, end) = (number / 1000, number / 20 % 50, ENDS[numbers.below(ENDS.len())]);
        format!("dir{directory:03}/sub{sub:02}/file-{number}{end}")
    };
    (0..count).map(path).collect()
}
