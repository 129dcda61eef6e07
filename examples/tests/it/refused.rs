//! Builds that cannot be: what is there already stays as it is. What they say is in `errors/`.

use std::fs;

use crate::{program::refuse, project::Project};

#[test]
fn places_that_are_not_what_they_should_be_are_named() {
    let project = Project::new("FROM scratch\nCOPY file /\n");
    project.write("file", "content");
    let refused = |arguments: &[&str], expected: &[&str]| {
        let complaint = refuse(project.command().args(arguments));
        for part in expected {
            assert!(complaint.contains(part), "{arguments:?}: {part:?} is not in:\n{complaint}");
        }
        assert!(!project.output().join("index.json").exists(), "{arguments:?}: a layout was written");
    };
    refused(&["-f", "no-such-file"], &["no-such-file"]);
    refused(&["--base", "no-such-layout"], &["no-such-layout"]);
    refused(&["--build-context", "more=/no/such/directory"], &["/no/such/directory"]);

    let missing =
        refuse(crate::program::program("build").args(["-o"]).arg(project.path("out")).arg(project.path("absent")));
    assert!(missing.contains("absent"), "{missing}");

    // An output that is something else is left as it is.
    fs::write(project.path("out"), "a file").unwrap();
    assert!(refuse(&mut project.command()).contains("out"));
    assert_eq!(fs::read_to_string(project.path("out")).unwrap(), "a file");
    fs::remove_file(project.path("out")).unwrap();
    fs::create_dir(project.path("out")).unwrap();
    fs::write(project.path("out/notes"), "not a layout").unwrap();
    assert!(refuse(&mut project.command()).contains("out"));
    assert_eq!(fs::read_dir(project.path("out")).unwrap().count(), 1);
}

#[test]
fn a_failed_build_leaves_the_image_of_an_earlier_one() {
    let project = Project::new("FROM scratch\nCOPY file /\n");
    project.write("file", "content");
    let digest = project.build().digest;
    let index = || fs::read(project.output().join("index.json")).unwrap();
    let before = index();
    project.write("Dockerfile", "FROM scratch\nCOPY file /again\nCOPY absent /\n");
    assert!(refuse(&mut project.command()).contains("absent"));
    assert_eq!(index(), before);
    crate::program::verify(&project.output());
    project.write("Dockerfile", "FROM scratch\nCOPY file /\n");
    assert_eq!(project.build().digest, digest);
}

#[test]
fn a_state_of_another_version_is_left_alone() {
    let project = Project::new("FROM scratch\nCOPY file /\n");
    project.write("file", "content");
    project.build();
    let version = project.path("out.cache/version");
    fs::write(&version, "of the future").unwrap();
    let complaint = refuse(&mut project.command());
    assert!(complaint.contains("of the future") && complaint.contains("out.cache"), "{complaint}");
    assert_eq!(fs::read_to_string(&version).unwrap(), "of the future");
}
