//! Archives that we write.

use std::{fs, path::Path, process::Command};

use crate::{
    program::{image, program, refuse, succeed, verify},
    project::Project,
};

#[test]
fn what_is_saved_is_loaded_and_saved_the_same() {
    let project = Project::new("FROM scratch\nCOPY Dockerfile /\n");
    succeed(&mut project.command_for("localhost/app:1"));
    let name = image(&project.output(), "localhost/app:1");
    for format in ["docker", "oci"] {
        let archive = project.path(&format!("{format}.tar"));
        succeed(program("save").args(["--format", format, &name]).arg(&archive));
        let layout = project.path(format);
        let loaded = succeed(program("load").arg(&archive).arg(&layout)).stdout;
        assert!(loaded.ends_with(" localhost/app:1\n"), "{loaded}");
        verify(&layout);

        let again = project.path(&format!("{format}-again.tar"));
        let loaded = image(&layout, "localhost/app:1");
        succeed(program("save").args(["--format", format, &loaded]).arg(&again));
        assert_eq!(fs::read(&archive).unwrap(), fs::read(&again).unwrap());
        refuse(program("save").args(["--format", format, &loaded]).arg(&again));
        let output = program("save").args(["--format", format, &loaded, "-"]).output().unwrap();
        assert_eq!(output.stdout, fs::read(&again).unwrap());
    }
}

#[test]
fn an_image_is_given_a_name_for_those_that_load_it() {
    let project = Project::new("FROM scratch\nCOPY Dockerfile /\n");
    project.build();
    let (unnamed, named) = (project.path("unnamed.tar"), project.path("named.tar"));
    let tags = |archive: &Path| {
        let manifest = Command::new("tar").arg("-xOf").arg(archive).arg("manifest.json").output().unwrap().stdout;
        serde_json::from_slice::<serde_json::Value>(&manifest).unwrap()[0]["RepoTags"].clone()
    };
    let said = succeed(program("save").arg(project.image()).arg(&unnamed)).stdout;
    assert!(said.contains("has no tag for it; --tag NAME:TAG gives it one"), "{said}");
    assert_eq!(tags(&unnamed), serde_json::json!([]));
    let said = succeed(program("save").args(["--tag", "localhost/app"]).arg(project.image()).arg(&named)).stdout;
    assert_eq!(said.lines().count(), 1, "{said}");
    assert_eq!(tags(&named), serde_json::json!(["localhost/app:latest"]));
    let several = [project.image(), project.image()];
    let said = refuse(program("save").args(["--tag", "app"]).args(&several).arg(project.path("several.tar")));
    assert!(said.contains("--tag names one image"), "{said}");
}

#[test]
fn what_cannot_be_saved_leaves_no_file() {
    let project = Project::new("FROM scratch\nCOPY Dockerfile /\n");
    project.build();
    let archive = project.path("archive.tar");
    refuse(program("save").arg(image(&project.output(), "nothing")).arg(&archive));
    for blob in fs::read_dir(project.output().join("blobs/sha256")).unwrap() {
        let path = blob.unwrap().path();
        let content = fs::read(&path).unwrap();
        if !content.starts_with(b"{") {
            fs::remove_file(&path).unwrap();
            fs::write(&path, vec![0; content.len()]).unwrap();
        }
    }
    refuse(program("save").arg(project.image()).arg(&archive));
    assert!(!archive.exists());
}
