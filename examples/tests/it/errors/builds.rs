//! Dockerfiles and contexts that nothing can be built of.

use std::{fs, os::unix::fs::symlink, process::Command};

use test_support::{
    raw_tar::{archive, file},
    require_tool, tool,
};

use super::{Errors, Spoil, nothing};
use crate::{program::succeed, project::Project};

#[test]
fn what_is_said_of_dockerfiles() {
    let cases: &[(&str, &str)] = &[
        ("no instruction", ""),
        ("only a comment", "# only a comment\n"),
        ("something before FROM", "COPY a b\nFROM scratch\n"),
        ("an instruction that is nearly one", "FROM scratch\n\nCOPPY a b\n"),
        ("an instruction that is none", "FROM scratch\nPLEASE a b\n"),
        ("a flag that is nearly one", "FROM scratch\nCOPY --form=x a b\n"),
        ("a flag that is none", "FROM scratch\nCOPY --recursive file /\n"),
        ("a mode that is none", "FROM scratch\nCOPY --chmod=99999 file /\n"),
        ("a change of modes that is none", "FROM scratch\nCOPY --chmod=u+q file /\n"),
        ("COPY of one word", "FROM scratch\nCOPY file\n"),
        ("ENV without words", "FROM scratch\nENV\n"),
        ("a word of a list that is no string", "FROM scratch\nCOPY [\"file\", 3]\n"),
        ("SHELL without a list", "FROM scratch\nSHELL /bin/sh\n"),
        ("a port that is none", "FROM scratch\nEXPOSE 99999\n"),
        ("a variable that is not closed", "FROM scratch\nENV A=${B\n"),
        ("a variable that must be set", "FROM scratch\nARG B\nENV A=\"${B:?give it by --build-arg}\"\n"),
        ("a modifier that is none", "FROM scratch\nENV A=${B^^}\n"),
        ("a here-document that never ends", "FROM scratch\nCOPY <<EOF /file\nnever ends\n"),
        ("a duration that is none", "FROM scratch\nHEALTHCHECK --interval=never CMD x\n"),
        ("a trigger that cannot be one", "FROM scratch\nONBUILD FROM scratch\n"),
        ("a checksum that is none", "FROM scratch\nADD --checksum=sha256:12 http://127.0.0.1:9/x /\n"),
        ("a mount of a type that is nearly one", "FROM scratch\nRUN --mount=type=chache,target=/x true\n"),
        ("a mount with a key that is nearly one", "FROM scratch\nRUN --mount=type=cache,traget=/x true\n"),
        ("a base without a name", "FROM ${NOTHING}\n"),
        ("a base whose name cannot be one", "FROM Not/A/Name\n"),
        ("a base whose digest cannot be one", "FROM a@sha256:12\n"),
        ("no such base", "FROM debian:12\n"),
        ("a name that no stage can have", "FROM scratch AS 1st\n"),
        ("a stage that copies from itself", "FROM scratch AS a\nCOPY --from=a file /\n"),
        ("stages in a circle", "FROM scratch AS a\nCOPY --from=b /x /\nFROM scratch AS b\nCOPY --from=a /x /\n"),
        ("a stage that is nearly one", "FROM scratch AS build\nFROM scratch\nCOPY --from=biuld /file /\n"),
        ("no stage of that number", "FROM scratch\nFROM scratch\nCOPY --from=7 /file /\n"),
        ("a file that a stage does not have", "FROM scratch AS a\nFROM scratch\nCOPY --from=a /absent /\n"),
        ("no such file", "FROM scratch\nCOPY absent /\n"),
        ("a file that is nearly one", "FROM scratch\nCOPY directory/iner /\n"),
        ("a file above the context", "FROM scratch\nCOPY ../../etc/passwd /\n"),
        ("a pattern that is none", "FROM scratch\nCOPY [a /\n"),
        ("a file in the place of a directory", "FROM scratch\nCOPY file /\nCOPY file /file/below\n"),
        ("two files in the place of one", "FROM scratch\nCOPY file directory/inner /target\n"),
        ("a directory to work in that is a file", "FROM scratch\nCOPY file /\nWORKDIR /file\n"),
        ("an owner without a number", "FROM scratch\nCOPY --chown=nobody file /\n"),
        ("an owner of too large a number", "FROM scratch\nCOPY --chown=99999999999 file /\n"),
        ("a user without a number", "FROM scratch\nUSER nobody\nWORKDIR /home\n"),
    ];
    let mut errors = Errors::new("dockerfiles.txt");
    for (what, dockerfile) in cases {
        errors.of_build(what, dockerfile, nothing, "");
    }
    errors.check();
}

#[test]
fn what_is_said_of_contexts() {
    let copy = "FROM scratch\nCOPY file /\n";
    let all = "FROM scratch\nCOPY . /\n";
    let cases: &[(&str, &str, Spoil<Project>, &str)] = &[
        ("no Dockerfile", "", |p| fs::remove_file(p.context("Dockerfile")).unwrap(), ""),
        ("no such Dockerfile", copy, nothing, "-f no-such-file"),
        ("no context", copy, |p| fs::rename(p.context(""), p.path("gone")).unwrap(), "-f gone/Dockerfile"),
        ("a context that is a file", copy, in_place_of_context, "-f gone/Dockerfile"),
        ("a Dockerfile that is no text", "", |p| p.write("Dockerfile", b"FROM \xff\n"), ""),
        ("a file that is left out", copy, |p| p.write(".dockerignore", "file\n"), ""),
        ("an ignore file with a bad line", copy, |p| p.write(".dockerignore", "a\n[b\n"), ""),
        ("a fifo", "FROM scratch\nCOPY pipe /\n", fifo, ""),
        ("a fifo among others", all, fifo, ""),
        ("a name that means something in a layer", all, |p| p.write("directory/.wh.inner", ""), ""),
        ("a link out of the context", "FROM scratch\nCOPY escape /\n", |p| link(p, "../../../../../etc/passwd"), ""),
        ("a directory by a link out", "FROM scratch\nCOPY escape/passwd /\n", |p| link(p, "/etc"), ""),
        ("a link to itself", "FROM scratch\nCOPY escape /\n", |p| link(p, "escape"), ""),
        ("an archive that climbs out", "FROM scratch\nADD x.tar /\n", climbing, ""),
        ("an archive that is cut short", "FROM scratch\nADD x.tar /\n", cut, ""),
        ("no such stage to build", "FROM scratch AS first\nCOPY file /\n", nothing, "--target frist"),
        ("no such stage without the cache", "FROM scratch AS first\n", nothing, "--no-cache-filter frist"),
        ("no layout with bases", copy, nothing, "--base no-such-layout"),
        ("a base that is nearly one", "FROM alpin\n", a_base, "--base bases"),
        ("a base for another platform", "FROM alpine\n", a_base, "--base bases --platform linux/s390x"),
        ("no directory of a name", copy, nothing, "--build-context more=no/such/directory"),
        ("an image that is no cache", copy, a_base, "--cache-from bases:alpine"),
        ("a name for the image that cannot be one", copy, nothing, "-t 'a name'"),
        ("an output that is a file", copy, |p| fs::write(p.path("out"), "").unwrap(), ""),
        ("an output with something else in it", copy, |p| fs::create_dir_all(p.path("out/x")).unwrap(), ""),
        ("results of the future", copy, future, ""),
        ("results that are a file", copy, |p| fs::write(p.path("out.cache"), "").unwrap(), ""),
        ("no file of a secret", copy, nothing, "--secret id=token,src=no-such-file"),
        ("no variable of a secret", copy, nothing, "--secret id=token,env=NO_SUCH_VARIABLE"),
        ("a secret that is none", copy, nothing, "--secret token"),
        ("no agent", copy, nothing, "--ssh default"),
        ("a build argument without a name", copy, nothing, "--build-arg =1"),
        ("a platform of too many parts", copy, nothing, "--platform linux/arm/v7/more"),
        ("a compression that is none", copy, nothing, "--compression lzma"),
        ("a level that is none", copy, nothing, "--compression gzip:99"),
        ("a network that is none", copy, nothing, "--network bridge"),
        ("a date that is none", copy, nothing, "--source-date-epoch today"),
        ("an option that is nearly one", copy, nothing, "--no-cahce"),
    ];
    let mut errors = Errors::new("contexts.txt");
    for (what, dockerfile, spoil, more) in cases {
        errors.of_build(what, dockerfile, *spoil, more);
    }
    errors.check();
}

/// Nothing listens there.
#[test]
fn an_address_that_cannot_be_had_names_its_line() {
    let name = if cfg!(feature = "http") { "addresses-http.txt" } else { "addresses.txt" };
    let mut errors = Errors::new(name);
    let cases = [
        ("a server that is not there", "FROM scratch\nADD http://127.0.0.1:9/x /\n"),
        ("a repository", "FROM scratch\nADD https://127.0.0.1:9/x.git /\n"),
    ];
    for (what, dockerfile) in cases {
        errors.of_build(what, dockerfile, nothing, "");
    }
    errors.check();
}

fn fifo(project: &Project) {
    assert!(require_tool("mkfifo"));
    tool::run(Command::new("mkfifo").arg(project.context("pipe")));
}

fn link(project: &Project, target: &str) {
    symlink(target, project.context("escape")).unwrap();
}

fn in_place_of_context(project: &Project) {
    fs::rename(project.context(""), project.path("gone")).unwrap();
    fs::write(project.path("context"), "text").unwrap();
}

fn climbing(project: &Project) {
    project.write("x.tar", archive(&[file("../../x", "x")]));
}

fn cut(project: &Project) {
    let mut tar = archive(&[file("x", "x".repeat(4096))]);
    tar.truncate(1024);
    project.write("x.tar", tar);
}

fn a_base(project: &Project) {
    let base = Project::new("FROM scratch\nLABEL a=b\n");
    succeed(base.command_for("alpine").args(["--platform", "linux/amd64"]));
    fs::rename(base.output(), project.path("bases")).unwrap();
}

fn future(project: &Project) {
    fs::create_dir(project.path("out.cache")).unwrap();
    fs::write(project.path("out.cache/version"), "of the future").unwrap();
}
