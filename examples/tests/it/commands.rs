//! Commands of RUN: many of them, an ordinary user's, and such as ask for more than all may have.

use std::{
    fs,
    os::unix::fs::{chown, symlink},
    path::Path,
    process::Command,
};

use test_support::{TempDir, require_root, require_tool, temp_dir, tool};

use crate::{
    memory::{MOST, peak},
    program::{image, path, program, refuse, succeed},
    project::{Built, Project, TAG},
};

/// Nobody: who owns nothing.
const USER: u32 = 65534;

const EPOCH: [&str; 2] = ["--source-date-epoch", "1700000000"];

/// A layout with the image `localhost/shell:1`, which has busybox and accounts; `None`, and said so, where commands cannot be
/// run.
fn shell() -> Option<TempDir> {
    if !require_root() || !["busybox", "runc", "setpriv", "unshare"].into_iter().all(require_tool) {
        return None;
    }
    let layout = temp_dir();
    let files = temp_dir();
    for directory in ["bin", "etc"] {
        fs::create_dir(files.path().join(directory)).unwrap();
    }
    fs::copy(tool::find("busybox").unwrap(), files.path().join("bin/busybox")).unwrap();
    for name in ["awk", "cat", "chown", "grep", "id", "ln", "mkdir", "mount", "rm", "sh", "stat", "true"] {
        symlink("busybox", files.path().join("bin").join(name)).unwrap();
    }
    fs::write(files.path().join("etc/passwd"), "root:x:0:0::/:/bin/sh\nuser:x:1000:1001::/:/bin/sh\n").unwrap();
    let config = ["--config", r#"{"Env": ["PATH=/bin"]}"#];
    succeed(program("import").args(config).arg(files.path()).arg(image(layout.path(), "localhost/shell:1")));
    Some(layout)
}

#[test]
fn many_commands_in_a_row_and_in_stages_stay_small() {
    if !require_tool("time") {
        return;
    }
    let Some(base) = shell() else { return };
    let steps: String = (0..200).map(|at| format!("RUN echo {at} >>/log\n")).collect();
    let long = Project::on(base.path(), &format!("FROM localhost/shell:1\n{steps}"));
    let stages: String =
        (0..40).map(|at| format!("FROM localhost/shell:1 AS s{at}\nRUN echo {at} >/{at} && mkdir /d{at}\n")).collect();
    let copies: String = (0..40).map(|at| format!("COPY --from=s{at} /{at} /all/\n")).collect();
    let wide = Project::on(base.path(), &format!("{stages}FROM localhost/shell:1\n{copies}RUN cat /all/* >/sum\n"));
    for (name, project, count) in [("200 commands", &long, 201), ("40 stages", &wide, 122)] {
        let built = peak(project.command().args(["--jobs", "8"]));
        println!("{name}: {} MiB at most", built >> 20);
        assert!(built < MOST, "{name}: {built} bytes of memory");
        let again = Built::of(project.command().args(["--jobs", "8"]));
        assert_eq!((again.cached().len(), again.ran()), (count, Vec::new()), "{name}");
        let tree = project.path("tree");
        crate::program::unpack(project.image(), &tree);
        let (file, lines) = if count == 201 { ("log", 200) } else { ("sum", 40) };
        assert_eq!(fs::read_to_string(tree.join(file)).unwrap().lines().count(), lines, "{name}");
    }
}

#[test]
fn an_ordinary_user_builds_with_commands_what_root_builds() {
    let tools = ["newuidmap", "pasta", "slirp4netns", "mount", "mknod"];
    if !tools.into_iter().all(require_tool) {
        return;
    }
    let Some(base) = shell() else { return };
    let project = Project::on(
        base.path(),
        "FROM localhost/shell:1
RUN id -u >/id && mkdir -m 2750 /d && echo x >/d/f && ln /d/f /d/g && chown -R 33:44 /d
RUN --mount=type=cache,target=/c --mount=type=tmpfs,target=/t echo y >/c/f && cat /c/f >/t/f && cat /t/f >/d/f
USER user
RUN id >/dev/null && stat -c '%u:%g %h' /d | cat && ! rm /id
USER root
RUN rm -r /d && stat -c '%u:%g' /etc/passwd >/etc/owner
",
    );
    let expected = project.build_with(&EPOCH).digest;

    // What such a user has on a machine that is set up for it: ids of their own, and `/dev/net/tun`.
    let place = temp_dir();
    let at = |name: &str| place.path().join(name);
    for directory in ["etc", "work"] {
        fs::create_dir(at(directory)).unwrap();
    }
    for file in ["etc/subuid", "etc/subgid"] {
        fs::write(at(file), "nobody:300000:65536\n").unwrap();
    }
    tool::run(Command::new("mknod").args(["-m", "666"]).arg(at("tun")).args(["c", "10", "200"]));
    fs::copy(path("build"), at("build")).unwrap();
    chown(at("work"), Some(USER), Some(USER)).unwrap();
    tool::run(Command::new("cp").arg("-r").arg(base.path()).arg(at("base")));
    tool::run(Command::new("cp").arg("-r").arg(project.context("")).arg(at("context")));
    tool::run(Command::new("chmod").args(["-R", "a+rX"]).args([at("base"), at("context")]));
    let user = |words: &[&str]| {
        let begin = r#"mount -t overlay -o lowerdir="$0/etc:/etc" overlay /etc && mount --bind "$0/tun" /dev/net/tun &&
            exec setpriv --reuid=65534 --regid=65534 --clear-groups unshare --map-root-user --map-auto --mount "$@""#;
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", begin]).arg(place.path()).arg(at("build"));
        command.args(["--progress", "plain", "--tag", TAG, "--output", "out", "--base"]).arg(at("base")).args(words);
        command.current_dir(at("work")).env_remove("SOURCE_DATE_EPOCH").env("HOME", "/nonexistent");
        command
    };
    let built = Built::of(user(&EPOCH).arg(at("context")));
    assert_eq!(built.digest, expected);
    assert!(Built::of(user(&EPOCH).arg(at("context"))).ran().is_empty());

    fs::write(
        at("context/Dockerfile"),
        "FROM localhost/shell:1\nRUN awk '$2 == \"00000000\" { print \"a way out\" }' /proc/net/route | grep way\n",
    )
    .unwrap();
    let complaint = refuse(user(&[]).arg(at("context")));
    assert!(complaint.contains("it had no network"), "{complaint}");
    let said = succeed(user(&["--network", "user"]).arg(at("context")));
    assert!(said.stderr.contains("a way out"), "{said}");
    assert_nothing_left(place.path());
}

#[test]
fn a_command_has_all_power_only_if_the_builder_says_so_too() {
    let Some(base) = shell() else { return };
    let text = "FROM localhost/shell:1\nRUN mkdir /m && ! mount -t tmpfs tmpfs /m\n\
        RUN --security=insecure mount -t tmpfs tmpfs /m\n";
    let project = Project::on(base.path(), text);
    let complaint = refuse(&mut project.command());
    for part in [
        "Dockerfile:3:1",
        "RUN --security=insecure mount",
        "--security=insecure is not allowed",
        "build with --security=insecure",
    ] {
        assert!(complaint.contains(part), "{part:?} is not in:\n{complaint}");
    }
    project.build_with(&["--security", "insecure"]);
    assert_nothing_left(&project.path(""));
}

/// Nothing is mounted below a directory, and no process works there.
fn assert_nothing_left(directory: &Path) {
    let here = directory.display().to_string();
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(&here), "{mounts}");
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        // Some end meanwhile.
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        assert!(!line.contains(&here), "{line}");
    }
}
