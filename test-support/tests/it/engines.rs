//! Real engines start, take a layer, show its tree, and leave nothing.

use std::{path::Path, process::Command, sync::Arc};

use test_support::{Containerd, Docker, Tree, TreeBuilder, TreeOptions, temp_dir, tool};

fn tar_of(tree: &TreeBuilder, dir: &Path) {
    tree.write_to(&dir.join("tree"));
    tool::run(Command::new("tar").arg("-cf").arg(dir.join("tree.tar")).arg("-C").arg(dir.join("tree")).arg("."));
}

#[test]
fn docker_takes_a_tree_and_shows_it() {
    let Some(docker) = Docker::shared() else { return };
    let again = Docker::shared().expect("the same");
    assert!(Arc::ptr_eq(&docker, &again), "one for each process");
    let dir = temp_dir();
    tar_of(&TreeBuilder::new().dir("", 0o755).file("d/f", "x", 0o4755).symlink("l", "d"), dir.path());
    let tar = dir.path().join("tree.tar");
    docker.run(["import".as_ref(), tar.as_os_str(), "tree:1".as_ref()]);
    // GNU tar cuts times down to seconds unless it is asked not to, and the engine keeps no others of directories.
    let scan = |root: &Path| Tree::scan_with(root, TreeOptions::default().with_whole_seconds().without_root());
    if let Some(shown) = docker.with_image_tree("tree:1", scan) {
        shown.assert_same(&scan(&dir.path().join("tree")));
    }
}

#[test]
fn containerd_answers() {
    let Some(containerd) = Containerd::shared() else { return };
    assert!(containerd.run(["version"]).contains("Server:"));
    assert!(containerd.run(["plugins", "ls"]).contains("overlayfs"));
}
