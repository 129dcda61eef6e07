//! What programs say on a terminal.

use std::process::Command;

use test_support::{require_tool, tool};

use crate::{program, project::Project};

/// Runs a command line on a terminal of 80 columns, as `script` makes one, and gives what it showed.
fn on_terminal(command: &str) -> String {
    let sized = format!("stty cols 80 rows 24; {command}");
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &sized, "/dev/null"]);
    tool::run(script.env("TERM", "xterm").env_remove("NO_COLOR").env_remove("SOURCE_DATE_EPOCH"))
}

/// Without what moves the cursor, clears lines or changes colours.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, escape)) = rest.split_once("\u{1b}[") {
        plain.push_str(before);
        let end = escape.find(|c: char| c.is_ascii_alphabetic()).map_or(escape.len(), |end| end + 1);
        rest = escape.split_at(end).1;
    }
    plain.push_str(rest);
    plain
}

#[test]
fn explanations_fit_a_terminal_and_have_colours_only_where_they_are_wanted() {
    if !require_tool("script") {
        return;
    }
    let long = "a-directory-with-a-rather-long-name/another-one-of-that-kind";
    let project =
        Project::new(&format!("FROM scratch\nCOPY --chmod=0644 {long}/first {long}/second /srv/data/{long}/\n"));
    let build = |more: &str| {
        let program = program::path("build");
        let (output, context) = (project.output(), project.context(""));
        let line = format!("{} --explain -o {} {}", program.display(), output.display(), context.display());
        on_terminal(&format!("{more} {line}"))
    };
    let change = |content: &str| {
        project.write(&format!("{long}/first"), content);
        project.write(&format!("{long}/second"), content);
    };
    change("one");
    build("");
    change("two");
    let said = build("");
    let shown = plain(&said);
    assert!(shown.contains("because 2 files of the build context changed"), "{shown}");
    for line in shown.split(['\n', '\r']) {
        assert!(line.chars().count() <= 80, "{line:?}");
    }
    assert!(said.contains("\u{1b}[32mDONE\u{1b}[0m"), "{said:?}");
    change("three");
    let said = build("NO_COLOR=1");
    assert!(said.contains("DONE ") && !said.contains("\u{1b}[32m") && !said.contains("\u{1b}[2m"), "{said:?}");
}
