//! Copies between layouts.

use crate::{
    program::{image, program, refuse, succeed, verify},
    project::Project,
};

#[test]
fn an_image_is_copied_and_a_second_time_nothing_is() {
    let project = Project::new("FROM scratch\nCOPY Dockerfile /\n");
    let digest = project.build().digest;
    let to = project.path("to");
    let copy = |name: &str| succeed(program("copy").args([project.image(), image(&to, name)])).stdout;
    let first = copy("v1");
    assert!(first.starts_with(&format!("copied {digest} to ")), "{first}");
    assert!(first.contains("blobs: 3, already there: 0, "), "{first}");
    assert!(copy("v2").contains("blobs: 3, already there: 3, written: 0 bytes"));
    verify(&to);

    let all = succeed(program("copy").args(["--all", "--json"]).args([project.image(), image(&to, "v3")])).stdout;
    let all: serde_json::Value = serde_json::from_str(&all).unwrap();
    assert_eq!(all["digest"], digest);
}

#[test]
fn what_is_not_there_is_not_copied() {
    let project = Project::new("FROM scratch\nCOPY Dockerfile /\n");
    project.build();
    let to = project.path("to");
    let said = refuse(program("copy").args([image(&project.output(), "nothing"), image(&to, "v1")]));
    assert!(said.contains("nothing not found"), "{said}");
    assert!(!to.exists());
    refuse(program("copy").args(["--platform", "plan9/mips"]).args([project.image(), image(&to, "v1")]));
    assert!(!to.exists());
}

#[test]
fn an_image_is_found_by_its_digest_and_verified_by_its_name() {
    let project = Project::new("FROM scratch\nCOPY Dockerfile /\n");
    let digest = project.build().digest;
    let layout = project.output().display().to_string();
    for name in [format!("{layout}@{digest}"), format!("{layout}:{digest}"), project.image()] {
        let said = succeed(program("inspect").arg(&name)).stdout;
        assert!(said.contains(&digest), "{name}: {said}");
        let said = succeed(program("verify").arg(&name)).stdout;
        assert!(said.starts_with("blobs: 3, ") && said.ends_with("\nall of it is what it should be\n"), "{said}");
    }
    let said = refuse(program("verify").arg(image(&project.output(), "nothing")));
    assert!(said.contains("nothing not found"), "{said}");
}
