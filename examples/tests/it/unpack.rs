//! Unpacking, beside what umoci makes of the same image.

use std::{
    fs,
    os::unix::fs::{MetadataExt, chown},
    path::{Path, PathBuf},
    process::Command,
};

use test_support::{Tree, TreeBuilder, require_root, require_tool, temp_dir, tool};

use crate::{
    base_image::{Form, SHORT_NAME, base_image},
    program,
};

/// The tree that umoci makes of an image.
pub(crate) fn umoci_unpack(image: &str, bundle: &Path) -> PathBuf {
    tool::run(Command::new("umoci").args(["unpack", "--image", image]).arg(bundle));
    bundle.join("rootfs")
}

#[test]
fn a_real_image_gives_the_tree_that_umoci_makes() {
    if !require_root() || !require_tool("umoci") {
        return;
    }
    let Some(layout) = base_image(Form::Gzip) else { return };
    let dir = temp_dir();
    let image = program::image(layout, SHORT_NAME);
    let ours = dir.path().join("ours");
    program::unpack(&image, &ours);
    let theirs = umoci_unpack(&image, &dir.path().join("theirs"));
    let tree = Tree::scan(&ours);
    tree.assert_same(&Tree::scan(&theirs));

    // What was to be compared was there.
    assert!(tree.nodes().count() > 2500, "{}", tree.nodes().count());
    for there in ["srv/null", "srv/capable", "usr/share/zoneinfo/Europe/!before", "usr/bin/came-through-a-link"] {
        assert!(tree.get(there).is_some(), "{there}");
    }
    for gone in
        ["usr/share/zoneinfo/Asia", "usr/share/zoneinfo/Europe/Paris", "usr/bin/chfn", "usr/bin/zless", "srv/linked"]
    {
        assert!(tree.get(gone).is_none(), "{gone}");
    }
    let inode = |path: &str| fs::metadata(ours.join(path)).unwrap().ino();
    assert_eq!(inode("srv/name-of-lower"), inode("srv/sticky/linked-far"));
    assert_eq!(fs::metadata(ours.join("srv/sparse")).unwrap().len(), 64 << 20);
}

#[test]
fn a_layer_that_umoci_made_of_an_edited_tree_gives_that_tree() {
    if !require_root() || !require_tool("umoci") {
        return;
    }
    let Some(base) = base_image(Form::Gzip) else { return };
    let dir = temp_dir();
    let layout = dir.path().join("layout");
    tool::run(Command::new("cp").arg("-r").arg(base).arg(&layout));
    let image = program::image(&layout, SHORT_NAME);
    let bundle = dir.path().join("bundle");
    let edited = umoci_unpack(&image, &bundle);
    fs::remove_dir_all(edited.join("usr/share/zoneinfo")).unwrap();
    fs::remove_file(edited.join("usr/bin/perl")).unwrap();
    fs::remove_file(edited.join("usr/bin/tar")).unwrap();
    chown(edited.join("opt/app/lib/module-007.txt"), Some(7), Some(7)).unwrap();
    fs::rename(edited.join("opt/app/lib"), edited.join("opt/app/moved")).unwrap();
    TreeBuilder::new()
        .file("usr/bin/tar/inside", "a directory now", 0o644)
        .symlink("usr/share/zoneinfo", "/opt")
        .write_to(&edited);
    let repacked = program::image(&layout, "repacked");
    tool::run(Command::new("umoci").args(["repack", "--image", &repacked]).arg(&bundle));

    let ours = dir.path().join("ours");
    program::unpack(&repacked, &ours);
    let theirs = umoci_unpack(&repacked, &dir.path().join("again"));
    Tree::scan(&ours).assert_same(&Tree::scan(&theirs));
    assert!(ours.join("opt/app/moved/module-299.txt").is_file());
    assert!(!ours.join("opt/app/lib").exists());
}

#[test]
fn the_compression_of_the_layers_does_not_show_in_the_tree() {
    let (Some(gzip), Some(zstd)) = (base_image(Form::Gzip), base_image(Form::Zstd)) else { return };
    if !require_root() {
        return;
    }
    let dir = temp_dir();
    let tree = |layout: &Path, name: &str| {
        let destination = dir.path().join(name);
        program::unpack(program::image(layout, SHORT_NAME), &destination);
        Tree::scan(&destination)
    };
    tree(gzip, "gzip").assert_same(&tree(zstd, "zstd"));
}

#[test]
fn an_empty_directory_is_filled_and_keeps_its_place() {
    if !require_root() {
        return;
    }
    let Some(layout) = base_image(Form::Gzip) else { return };
    let dir = temp_dir();
    let (absent, empty) = (dir.path().join("absent"), dir.path().join("empty"));
    fs::create_dir(&empty).unwrap();
    for destination in [&absent, &empty] {
        program::unpack(program::image(layout, SHORT_NAME), destination);
    }
    Tree::scan(&absent).assert_same(&Tree::scan(&empty));
    assert_eq!(dir.path().read_dir().unwrap().count(), 2, "nothing is left beside the trees");
}
