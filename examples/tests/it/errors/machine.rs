//! Machines that do not give what is asked of them: rights, room, programs.

use std::{
    collections::BTreeMap,
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt, symlink},
    process::Command,
};

use test_support::{SmallDisk, require_root, require_tool, tool};

use super::{Errors, command};
use crate::{
    program::{program, succeed},
    project::{Project, TAG},
};

/// How a program is run as one who owns nothing.
const AS_NOBODY: [&str; 5] =
    ["--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs", "--bounding-set=-all"];

#[test]
fn what_is_said_to_an_ordinary_user() {
    if !require_root() || !require_tool("setpriv") {
        return;
    }
    let project = Project::new("FROM scratch\nCOPY closed /\n");
    project.write("closed", "for its owner");
    project.write("tree/closed", "for its owner");
    project.build();
    for (path, mode) in [("context/closed", 0o600), ("context/tree", 0o700), ("", 0o755)] {
        fs::set_permissions(project.path(path), Permissions::from_mode(mode)).unwrap();
    }
    fs::create_dir(project.path("own")).unwrap();
    tool::run(Command::new("chown").arg("65534").arg(project.path("own")));
    let mut errors = Errors::new("ordinary-user.txt");
    let mut add = |what: &str, line: &str| {
        let own = command(line, &project.path(""));
        // Programs of a test may be where nobody but root can go.
        let program = project.path("own").join(line.split(' ').next().unwrap());
        if !program.exists() {
            // By another process: one that a thread beside this starts would hold the copy open to write, and then it cannot be run.
            tool::run(Command::new("install").args(["-m", "0755"]).arg(own.get_program()).arg(&program));
        }
        let mut command = Command::new("setpriv");
        command.args(AS_NOBODY).arg(program).args(own.get_args()).current_dir(project.path(""));
        errors.add(what, line, &mut command, &BTreeMap::new());
    };
    add("a place where nothing may be made", "unpack out:app tree");
    add("an archive where nothing may be made", "save out:app images.tar");
    add("a layout where nothing may be made", "build -o other context");
    add("a layout that may not be changed", "flatten out:app flat");
    add("a directory of a context that may not be read", "build -o own/out context");
    add("a directory that may not be read", "diff out:app context");
    add("a directory to import that may not be read", "import context own/image");
    fs::set_permissions(project.path("out/index.json"), Permissions::from_mode(0o600)).unwrap();
    add("an index that may not be read", "inspect out:app");
    fs::set_permissions(project.path("out"), Permissions::from_mode(0o700)).unwrap();
    add("a layout that may not be read", "inspect out:app");
    project.write("Dockerfile", "FROM scratch\nRUN [\"/program\"]\n");
    add("a command, whose files have many owners", "build -o own/out context");
    errors.check();
}

#[test]
fn what_is_said_where_there_is_no_room() {
    let Some(disk) = SmallDisk::mount(300 << 10) else { return };
    let project = Project::new("FROM scratch\nCOPY --chmod=0644 file /\n");
    // Nothing compresses it.
    let mut noise = 1_u32;
    let noise = std::iter::repeat_with(|| {
        noise ^= noise << 13;
        noise ^= noise >> 17;
        noise ^= noise << 5;
        noise.to_le_bytes()
    });
    project.write("file", noise.take(500_000).flatten().collect::<Vec<u8>>());
    project.write("small", "content");
    project.build();
    succeed(program("save").arg(project.image()).arg(project.path("images.tar")));
    symlink(disk.path(), project.path("disk")).unwrap();
    let layer = crate::build::manifest(&project.output(), TAG)["layers"][0]["digest"].as_str().unwrap().to_owned();
    let mut errors = Errors::new("no-room.txt");
    for (what, line) in [
        ("for the results of a build", "build -o disk/out context"),
        ("for a tree", "unpack out:app disk/tree"),
        ("for a copy", "copy out:app disk/copy"),
        ("for an archive", "save out:app disk/images.tar"),
        ("for the images of an archive", "load images.tar disk/loaded"),
        ("for a tree's layer", "import context disk/imported"),
        ("for changes", "diff disk context -o disk/layer.tar"),
    ] {
        let names = BTreeMap::from([(layer.clone(), "LAYER")]);
        errors.add(what, line, &mut command(line, &project.path("")), &names);
        for entry in fs::read_dir(disk.path()).unwrap() {
            let path = entry.unwrap().path();
            tool::run(Command::new("rm").arg("-r").arg(path));
        }
    }
    errors.check();
}

#[test]
fn what_is_said_of_commands() {
    let tools = ["busybox", "runc", "unshare", "setpriv"];
    if !require_root() || !tools.into_iter().all(require_tool) {
        return;
    }
    let root = Project::new("");
    root.write("bin/busybox", fs::read(tool::find("busybox").unwrap()).unwrap());
    fs::set_permissions(root.context("bin/busybox"), Permissions::from_mode(0o755)).unwrap();
    symlink("busybox", root.context("bin/sh")).unwrap();
    let config = r#"{"Env": ["PATH=/bin"]}"#;
    let base = crate::program::image(&root.output(), "base");
    succeed(program("import").args(["--config", config]).arg(root.context("")).arg(base));

    let mut errors = Errors::new("commands.txt");
    for (what, rest, more) in [
        ("a command that fails", "RUN echo one; echo two; exit 3", ""),
        ("a command that is not there", "RUN no-such-program", ""),
        ("a command without its network", "RUN busybox wget -q http://10.255.255.1/", ""),
        ("a network that it may not have", "RUN --network=host true", ""),
        ("a privilege that it may not have", "RUN --security=insecure true", ""),
        ("a secret that is not given", "RUN --mount=type=secret,id=token,required true", ""),
        ("an agent that is not given", "RUN --mount=type=ssh,required true", ""),
        ("a mount of no such file", "RUN --mount=type=bind,source=absent,target=/x true", ""),
        ("a mount in the place of a file", "RUN --mount=type=tmpfs,target=/bin/busybox/x true", ""),
        ("a user that the image does not have", "USER nobody\nRUN true", ""),
        ("no such runtime", "RUN true", "--runtime no-such-runtime"),
        (
            "programs of another machine",
            "RUN true",
            "--build-context base=oci-layout://other:base --platform linux/s390x",
        ),
    ] {
        let project = Project::new(&format!("FROM base\n{rest}\n"));
        symlink(root.output(), project.path("bases")).unwrap();
        if more.contains("other") {
            let other = Project::new("FROM scratch\nCOPY x /\n");
            other.write("x", "");
            succeed(other.command_for("base").args(["--platform", "linux/s390x"]));
            fs::rename(other.output(), project.path("other")).unwrap();
        }
        let line = format!("build --progress plain --base bases -o out {more} context").replace("  ", " ");
        errors.add(what, &line, &mut command(&line, &project.path("")), &BTreeMap::new());
    }
    errors.check();
}
