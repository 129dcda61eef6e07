//! Archives that skopeo writes.

use std::{
    fs::{self, File},
    process::Command,
};

use test_support::{require_tool, tool};

use crate::{
    program::{program, refuse, run, succeed, verify},
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

    let dockerfile = project.context("Dockerfile");
    let said = refuse(program("load").arg(&dockerfile).arg(&layout));
    assert!(said.starts_with(&format!("error: cannot load {}\n", dockerfile.display())), "{said}");
    assert!(said.contains("it is not a tar archive"), "{said}");
    let said = refuse(program("load").arg(project.path("")).arg(&layout));
    assert!(said.contains("Is a directory"), "{said}");
}

/// What a corrupt blob is, where it is, and what to do about it.
#[test]
fn a_corrupt_blob_is_set_aside_and_loaded_again() {
    let project = Project::new("FROM scratch\nCOPY Dockerfile /\n");
    project.build();
    let (archive, layout) = (project.path("app.tar"), project.path("loaded"));
    succeed(program("save").arg(project.image()).arg(&archive));
    succeed(program("load").arg(&archive).arg(&layout));
    let blobs = fs::read_dir(layout.join("blobs/sha256")).unwrap().map(|entry| entry.unwrap().path());
    let layer = blobs.max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap();
    let mut content = fs::read(&layer).unwrap();
    content[100] ^= 1;
    fs::remove_file(&layer).unwrap();
    fs::write(&layer, &content).unwrap();
    let check = |arguments: &[&str]| {
        let said = run(program("verify").args(arguments).arg(&layout));
        assert_eq!(said.status, Some(1), "{said}");
        assert!(said.stdout.contains(&layer.file_name().unwrap().display().to_string()), "{said}");
        said
    };
    assert!(check(&[]).stderr.contains("run verify --set-aside, then load or copy the image again"));
    let said = check(&["--set-aside"]);
    assert!(said.stderr.contains("to mend it, load or copy the image again"), "{said}");
    let (_, path) = said.stdout.split_once(" is now ").unwrap();
    assert_eq!(fs::read(path.lines().next().unwrap()).unwrap(), content);
    let missing: serde_json::Value = serde_json::from_str(&check(&["--json", "--set-aside"]).stdout).unwrap();
    assert_eq!((&missing["findings"][0]["problem"], &missing["setAside"]), (&"missing".into(), &serde_json::json!([])));
    succeed(program("load").arg(&archive).arg(&layout));
    verify(&layout);
}
