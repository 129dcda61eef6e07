//! Reading the Dockerfile and its ignore file.

use std::{fs, path::Path};

use image_build::{Dockerfile, Ignore};
use test_support::temp_dir;

/// Which of the two files' patterns count, by the file that they leave out.
fn check(files: &[(&str, &str)], dockerfile: &str, left_out: Option<&str>) {
    let dir = temp_dir();
    for (path, text) in files {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let ignore = Ignore::for_dockerfile(dir.path().join(dockerfile), dir.path().join("context")).unwrap();
    let found = ["own", "shared"].into_iter().find(|name| ignore.matches(name.as_bytes()));
    assert_eq!(found, left_out, "{dockerfile} beside {files:?}");
}

#[test]
fn the_ignore_file_of_the_dockerfile_goes_before_that_of_the_context() {
    let (own, shared) = (("context/Dockerfile.dockerignore", "own"), ("context/.dockerignore", "shared"));
    check(&[], "context/Dockerfile", None);
    check(&[shared], "context/Dockerfile", Some("shared"));
    check(&[own, shared], "context/Dockerfile", Some("own"));
    check(&[own, shared], "context/Other", Some("shared"));
    check(&[("files/app.dockerignore", "own"), shared], "files/app", Some("own"));
    check(&[("files/.dockerignore", "own"), shared], "files/app", Some("shared"));
    // One that says nothing leaves nothing out.
    check(&[("context/Dockerfile.dockerignore", ""), shared], "context/Dockerfile", None);
}

#[test]
fn an_ignore_file_that_cannot_be_read_is_an_error() {
    let dir = temp_dir();
    fs::create_dir(dir.path().join(".dockerignore")).unwrap();
    let error = Ignore::for_context(dir.path()).unwrap_err().to_string();
    assert_eq!(error, format!("cannot read the ignore file {}", dir.path().join(".dockerignore").display()));

    fs::remove_dir(dir.path().join(".dockerignore")).unwrap();
    fs::write(dir.path().join(".dockerignore"), "a\n[\n").unwrap();
    let error = Ignore::for_context(dir.path()).unwrap_err().to_string();
    assert!(error.starts_with(".dockerignore:2: invalid pattern"), "{error}");
}

#[test]
fn a_dockerfile_is_called_by_its_name() {
    let dir = temp_dir();
    let path = dir.path().join("Containerfile");
    assert!(Dockerfile::open(&path).unwrap_err().is_not_found());
    fs::write(&path, "FROM scratch\nCOPI a b\n").unwrap();
    let error = Dockerfile::open(&path).unwrap_err().to_string();
    assert!(error.starts_with("Containerfile:2:1: "), "{error}");
    fs::write(&path, "FROM scratch\n").unwrap();
    assert_eq!(Dockerfile::open(&path).unwrap().instructions().len(), 1);
}

#[test]
fn an_endless_dockerfile_is_refused() {
    let error = Dockerfile::open(Path::new("/dev/zero")).unwrap_err().to_string();
    assert_eq!(error, "zero: larger than the limit of 16777216");
}
