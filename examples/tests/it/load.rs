//! Archives that skopeo writes.

use std::{fs::File, process::Command};

use test_support::{require_tool, tool};

use crate::{
    program::{program, refuse, succeed, verify},
    project::Project,
};

#[test]
fn an_archive_is_loaded_from_a_file_and_from_a_pipe() {
    if !require_tool("skopeo") {
        return;
    }
    let project = Project::new("FROM scratch\nCOPY Dockerfile /\n");
    project.build();
    let archive = project.path("app.tar");
    let from = format!("oci:{}", project.image());
    let to = format!("docker-archive:{}:localhost/app:1", archive.display());
    tool::run(Command::new("skopeo").args(["--insecure-policy", "copy", "--quiet", &from, &to]));

    let layout = project.path("loaded");
    let from_file = succeed(program("load").arg(&archive).arg(&layout)).stdout;
    assert!(from_file.ends_with(" localhost/app:1\n"), "{from_file}");
    let from_pipe = succeed(program("load").arg("-").arg(&layout).stdin(File::open(&archive).unwrap())).stdout;
    assert_eq!(from_file, from_pipe);
    let renamed = succeed(program("load").args(["--json", "--ref", "mine"]).arg(&archive).arg(&layout)).stdout;
    let renamed: serde_json::Value = serde_json::from_str(&renamed).unwrap();
    assert_eq!(renamed[0]["names"][0], "mine");
    verify(&layout);

    let said = refuse(program("load").arg(project.context("Dockerfile")).arg(&layout));
    assert!(said.contains("archive"), "{said}");
}
