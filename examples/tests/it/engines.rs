//! Docker Engine and GNU tar make the same trees of layers as we do, of ours and of their own.

use std::{
    fs,
    os::unix::fs::chown,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use test_support::{Docker, TempDir, Tree, TreeBuilder, TreeOptions, require_root, require_tool, temp_dir, tool};

use crate::{
    base_image::{Form, SHORT_NAME, base_image},
    program::{self, image, program, succeed},
};

/// The image of a layout, handed to the engine in an archive that we write; gives its name there.
fn docker_load(docker: &Docker, layout: &Path, name: &str) -> String {
    let dir = temp_dir();
    let archive = dir.path().join("image.tar");
    succeed(program("save").arg(image(layout, name)).arg(&archive));
    let said = docker.run(["load".as_ref(), "--quiet".as_ref(), "--input".as_ref(), archive.as_os_str()]);
    said.trim().split_once(": ").expect("the name of the image").1.to_owned()
}

/// An image of the engine, in a layout, taken out of an archive that the engine writes.
fn docker_save(docker: &Docker, name: &str, layout: &Path) {
    let dir = temp_dir();
    let archive = dir.path().join("image.tar");
    docker.run(["save".as_ref(), "--output".as_ref(), archive.as_os_str(), name.as_ref()]);
    succeed(program("load").arg(&archive).arg(layout).args(["--ref", SHORT_NAME]));
    program::verify(layout);
}

fn unpacked(layout: &Path, name: &str, dir: &TempDir) -> PathBuf {
    let tree = dir.path().join(format!("unpacked-{name}"));
    program::unpack(image(layout, name), &tree);
    tree
}

/// All that a layer of ours can say, but for the times of directories in which nothing but a name changed.
fn said(root: &Path) -> Tree {
    Tree::scan_with(root, TreeOptions::default().with_whole_seconds().without_directory_mtimes())
}

/// Checks a tree against the one that the engine shows of an image.
fn assert_docker_shows(docker: &Docker, name: &str, ours: &Path, scan: fn(&Path) -> Tree) {
    let Some(theirs) = docker.with_image_tree(name, scan) else {
        return test_support::skip("Docker Engine keeps no overlays here");
    };
    // It takes no time before 1970, and gives each layer a root of its own time.
    let mut diff = scan(ours).diff(&theirs);
    diff.retain(|line| line != "srv/old: mtime -86400.000000000, not 0.000000000" && !line.starts_with("/: mtime "));
    assert!(diff.is_empty(), "{diff:#?}");
}

/// Changes of each kind, made by hand in an unpacked image.
fn edit(root: &Path) {
    fs::remove_dir_all(root.join("usr/share/zoneinfo")).unwrap();
    fs::remove_file(root.join("usr/bin/tar")).unwrap();
    fs::rename(root.join("opt/app/lib"), root.join("opt/app/moved")).unwrap();
    chown(root.join("opt/app/moved/module-007.txt"), Some(7), Some(7)).unwrap();
    fs::remove_dir_all(root.join("usr/share/doc/bash")).ok();
    TreeBuilder::new()
        .file("usr/bin/tar/inside", "a directory now", 0o644)
        .symlink("usr/share/zoneinfo", "/opt")
        .file("srv/new", "two names", 0o4755)
        .hard_link("srv/other-name", "srv/new")
        .file("srv/attributed", "again with notes", 0o600)
        .xattr("user.note", "of\nours")
        .file("srv/listed", "for a few", 0o640)
        .xattr("system.posix_acl_access", access_list(6, 4))
        .fifo("srv/fifo", 0o600)
        .write_to(root);
}

#[test]
fn docker_shows_the_tree_that_we_unpack() {
    let Some(docker) = Docker::shared() else { return };
    let Some(layout) = base_image(Form::Separate) else { return };
    let dir = temp_dir();
    let ours = unpacked(layout, SHORT_NAME, &dir);
    assert!(Tree::scan(&ours).nodes().count() > 2500);
    let name = docker_load(&docker, layout, SHORT_NAME);
    assert_docker_shows(&docker, &name, &ours, Tree::scan);

    // What it exports of a container: the same files, and a few that it adds to each.
    let container = docker.run(["create", &name]);
    let archive = dir.path().join("export.tar");
    docker.run(["export", "--output", &archive.display().to_string(), container.trim()]);
    let exported = dir.path().join("exported");
    fs::create_dir(&exported).unwrap();
    succeed(program("apply").arg(&archive).arg(&exported));
    let options = TreeOptions::default().with_whole_seconds().without_directory_mtimes().without_xattrs();
    let added = [".dockerenv", "dev", "proc", "sys", "etc/hosts", "etc/hostname", "etc/resolv.conf", "etc/mtab"];
    let mut diff = Tree::scan_with(&ours, options).diff(&Tree::scan_with(&exported, options));
    diff.retain(|line| !added.iter().chain(&["srv/old: mtime "]).any(|path| line.starts_with(path)));
    assert!(diff.is_empty(), "{diff:#?}");
}

#[test]
fn layers_that_we_make_are_what_we_meant_to_docker_and_umoci_and_tar() {
    let Some(docker) = Docker::shared() else { return };
    let Some(base) = base_image(Form::Separate) else { return };
    if !require_tool("umoci") {
        return;
    }
    let dir = temp_dir();
    let layout = dir.path().join("layout");
    tool::run(Command::new("cp").arg("-r").arg(base).arg(&layout));
    let edited = unpacked(&layout, SHORT_NAME, &dir);
    edit(&edited);
    succeed(program("commit").arg(image(&layout, SHORT_NAME)).arg(&edited).arg("edited"));
    succeed(program("flatten").arg(image(&layout, "edited")).arg("flat"));
    for name in ["edited", "flat"] {
        let loaded = docker_load(&docker, &layout, name);
        assert_docker_shows(&docker, &loaded, &edited, said);
        let umoci = crate::unpack::umoci_unpack(&image(&layout, name), &dir.path().join(name));
        said(&umoci).assert_same(&said(&edited));
    }

    let extracted = dir.path().join("extracted");
    fs::create_dir(&extracted).unwrap();
    let layer = only_layer(&layout, "flat");
    let mut tar = Command::new("tar");
    tar.args(["--extract", "--numeric-owner", "--same-owner", "--preserve-permissions", "--xattrs"]);
    tar.args(["--xattrs-include=*", "--directory"]).arg(&extracted).arg("--gzip").arg("--file").arg(layer);
    tool::run(&mut tar);
    said(&extracted).assert_same(&said(&edited));
}

/// The file of the one layer of an image.
fn only_layer(layout: &Path, name: &str) -> PathBuf {
    let json = succeed(program("inspect").arg("--json").arg(image(layout, name))).stdout;
    let json: Value = serde_json::from_str(&json).unwrap();
    let digest = json["layers"][0]["descriptor"]["digest"].as_str().unwrap().to_owned();
    layout.join("blobs").join(digest.replace(':', "/"))
}

#[test]
fn layers_that_docker_makes_of_an_edited_container_give_its_tree() {
    let Some(docker) = Docker::shared() else { return };
    let Some(base) = base_image(Form::Separate) else { return };
    let dir = temp_dir();
    let name = docker_load(&docker, base, SHORT_NAME);
    let script = "set -e\n\
        rm -r /usr/share/zoneinfo /usr/bin/tar\n\
        mv /opt/app/lib /opt/app/moved\n\
        mkdir /usr/bin/tar && echo inside >/usr/bin/tar/inside\n\
        ln -s /opt /usr/share/zoneinfo\n\
        rm -r /usr/games && mkdir -m 2700 /usr/games && echo new >/usr/games/new\n\
        echo x >/srv/new && ln /srv/new /srv/other-name && chown 7:8 /srv/new && chmod 4755 /srv/new\n\
        mkfifo -m 600 /srv/fifo\n\
        touch -d @1000000000 /srv/old\n\
        chmod 750 /srv/sticky\n";
    let run = ["run", "--name", "edited", "--network", "none", &name, "/bin/bash", "-c", script];
    if let Err(said) = tool::try_run(docker.command().args(run)) {
        return test_support::skip(&format!("Docker Engine runs nothing here: {said}"));
    }
    docker.run(["commit", "edited", "committed:1"]);
    docker.run(["rm", "edited"]);
    let layout = dir.path().join("layout");
    docker_save(&docker, "committed:1", &layout);
    let ours = unpacked(&layout, SHORT_NAME, &dir);
    assert!(ours.join("opt/app/moved/module-299.txt").is_file() && !ours.join("opt/app/lib").exists());
    assert_docker_shows(&docker, "committed:1", &ours, Tree::scan);
}

/// An access list as the kernel has it: for the owner, for user 1000, for the group, at most, and for nobody else.
fn access_list(owner: u16, others: u16) -> Vec<u8> {
    let entries =
        [(1, owner, u32::MAX), (2, others, 1000), (4, others, u32::MAX), (16, others, u32::MAX), (32, 0, u32::MAX)];
    let entries = entries.into_iter().flat_map(|(tag, rights, id): (u16, u16, u32)| {
        [&tag.to_le_bytes()[..], &rights.to_le_bytes(), &id.to_le_bytes()].concat()
    });
    2_u32.to_le_bytes().into_iter().chain(entries).collect()
}

/// Everything that GNU tar stores; what its oldest format cannot say only on demand.
fn rich_tree(format: &str) -> TreeBuilder {
    let tree = TreeBuilder::new()
        .dir("", 0o755)
        .dir("d", 0o1777)
        .file("d/f", "content", 0o4644)
        .owner(1000, 2000)
        .hard_link("d/same", "d/f")
        .symlink("d/link", "../nowhere")
        .fifo("d/pipe", 0o600)
        .char_device("d/null", 0o666, 1, 3)
        .block_device("d/loop", 0o660, 7, 9)
        .file("d/noted", "notes", 0o644)
        .xattr("user.note", b"a=b\nc\0d");
    if format == "ustar" {
        return tree;
    }
    let deep = format!("{}/{}/file", "l".repeat(90), "n".repeat(90));
    tree.dir("listed", 0o755)
        .xattr("system.posix_acl_default", access_list(7, 5))
        .file("listed/f", "for a few", 0o640)
        .xattr("system.posix_acl_access", access_list(6, 4))
        .file(deep, "deep", 0o600)
        .owner(3_000_000_000, 7)
        .symlink("d/long", "t/".repeat(200))
        .file("d/old", "before 1970", 0o644)
        .mtime(-100, 0)
}

#[test]
fn archives_of_gnu_tar_give_the_tree_that_it_makes_itself() {
    if !require_root() || !require_tool("tar") {
        return;
    }
    let options: [(&str, &[&str]); 10] = [
        ("ustar", &[]),
        ("gnu", &[]),
        ("gnu", &["--sparse"]),
        ("oldgnu", &["--sparse"]),
        ("posix", &[]),
        ("posix", &["--sparse", "--sparse-version=0.0"]),
        ("posix", &["--sparse", "--sparse-version=0.1"]),
        ("posix", &["--sparse", "--sparse-version=1.0"]),
        ("posix", &["--xattrs", "--xattrs-include=*"]),
        // The same lists once more, as text with this machine's names of users.
        ("posix", &["--acls", "--xattrs", "--xattrs-include=*"]),
    ];
    for (format, options) in options {
        let dir = temp_dir();
        let at = |name: &str| dir.path().join(name);
        rich_tree(format).write_to(&at("tree"));
        let sparse = fs::File::create(at("tree/d/sparse")).unwrap();
        for island in 0..30 {
            std::os::unix::fs::FileExt::write_all_at(&sparse, b"an island", island << 20).unwrap();
        }
        let mut create = Command::new("tar");
        create.args(["--create", "--numeric-owner", "--sort=name"]).arg(format!("--format={format}")).args(options);
        tool::run(create.arg("--file").arg(at("archive")).arg("--directory").arg(at("tree")).arg("."));
        for made in ["ours", "theirs"] {
            fs::create_dir(at(made)).unwrap();
        }
        succeed(program("apply").arg(at("archive")).arg(at("ours")));
        let mut extract = Command::new("tar");
        extract.args(["--extract", "--numeric-owner", "--same-owner", "--preserve-permissions", "--xattrs"]);
        extract.args(["--xattrs-include=*", "--directory"]).arg(at("theirs")).arg("--file").arg(at("archive"));
        tool::run(&mut extract);
        println!("{format} {options:?}");
        Tree::scan(&at("ours")).assert_same(&Tree::scan(&at("theirs")));
        // And that is what was stored.
        let stored = TreeOptions::default().with_whole_seconds();
        let stored = if options.contains(&"--xattrs") { stored } else { stored.without_xattrs() };
        Tree::scan_with(&at("ours"), stored).assert_same(&Tree::scan_with(&at("tree"), stored));
    }
}
