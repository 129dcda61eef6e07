//! Dockerfiles with RUN built by buildah and by Docker Engine's BuildKit: the same trees and the same configurations, but
//! for what the table says with its reason.

use std::{fs, path::Path, process::Command};

use image_build::{
    BuildOptions,
    exec::{OciOptions, OciRuntime, RunOptions, Secret},
};
use test_support::{Docker, TreeBuilder, require_root, require_tool, temp_dir, tool};

use crate::{
    differential::{Bench, compare},
    differential_docker,
    run_fixture::rootfs,
};

/// A Dockerfile, and how our result differs from that of others: lines, as [`compare`] gives them.
struct Case {
    text: &'static str,
    /// The same in words that others know.
    older: Option<&'static str>,
    buildah: &'static [&'static str],
    docker: &'static [&'static str],
}

const fn same(text: &'static str) -> Case {
    Case { text, older: None, buildah: &[], docker: &[] }
}

/// The name of what the engine builds, which other tests use at the same time.
const NAME: &str = "localhost/run:1";

const SECRET: &str = "s3cr3t";

const CASES: &[Case] = &[
    same("FROM localhost/tools:1\nRUN echo \"a   $FROM_BASE\" >/f && mkdir -p /d/e && echo 'b' >/d/e/f"),
    same(
        "FROM localhost/tools:1\nRUN [\"touch\", \"/a b\"]\nRUN [\"/bin/sh\", \"-c\", \"echo $0 $1 >/f\", \"x\", \"y  z\"]",
    ),
    // Here-documents came to both of them later than what Debian has.
    Case {
        text: "FROM localhost/tools:1\nRUN <<EOF\necho one >/f\necho \"$FROM_BASE\" >>/f\nEOF\nRUN cat <<ONE >/g; cat <<'TWO' >>/g\na $FROM_BASE\nONE\nb $FROM_BASE\nTWO\n",
        older: Some(
            "FROM localhost/tools:1\nRUN echo one >/f; echo \"$FROM_BASE\" >>/f\nRUN echo a $FROM_BASE >/g; echo 'b $FROM_BASE' >>/g\n",
        ),
        buildah: &[],
        docker: &[],
    },
    same(
        "FROM localhost/tools:1\nSHELL [\"/bin/sh\", \"-eu\", \"-c\"]\nRUN echo $- >/f\nCMD run it\nENTRYPOINT [\"/e\"]",
    ),
    same(
        "FROM localhost/tools:1\nRUN chmod 1777 /tmp\nUSER user\nRUN id >/tmp/id; echo $HOME >/tmp/home; umask >/tmp/umask",
    ),
    same(
        "FROM localhost/tools:1\nRUN chmod 1777 /tmp\nUSER 7\nRUN id >/tmp/a\nUSER 7:8\nRUN id >/tmp/b\nUSER root:users\nRUN id >/tmp/c",
    ),
    same("FROM localhost/tools:1\nWORKDIR /w\nRUN pwd >p\nWORKDIR v/../u\nRUN pwd >p; cd /; mkdir -m 700 w/x"),
    same(
        "FROM localhost/tools:1\nARG GIVEN=d\nARG PLAIN=p\nARG OVER=arg\nARG NONE\nENV OVER=env A=\"b  c\" D='$A'\nRUN echo \"$GIVEN $PLAIN $OVER ${NONE-unset} $A $D ${UNDECLARED-unset}\" >/f\nRUN OVER=own && echo $OVER >/g",
    ),
    same("FROM localhost/tools:1\nRUN --mount=type=bind,target=/c cp -r /c /copied && cat /c/dir/sub/two >/two"),
    same("FROM localhost/tools:1\nRUN --mount=type=bind,source=dir,target=/c,rw touch /c/lost && ls /c >/f"),
    same(
        "FROM localhost/tools:1 AS one\nRUN mkdir /made && echo 1 >/made/f && chown 5:6 /made/f\nFROM localhost/tools:1\nRUN --mount=type=bind,from=one,source=/made,target=/m stat -c '%a %u:%g %n' /m/* >/f",
    ),
    same(
        "FROM localhost/tools:1\nRUN --mount=type=cache,id=differential,target=/c echo kept >>/c/f; wc -l </c/f >/n\nRUN --mount=type=cache,id=differential,target=/d cp /d/f /f",
    ),
    same(
        "FROM localhost/tools:1\nRUN --mount=type=tmpfs,target=/t echo x >/t/f && ls /t >/f\nRUN ls -d /t >/g 2>&1 || true",
    ),
    // A secret comes from the client, by a session that Debian's client cannot have.
    Case {
        text: "FROM localhost/tools:1\nRUN --mount=type=secret,id=s wc -c </run/secrets/s >/n\nRUN --mount=type=secret,id=s,target=/etc/s,uid=3,mode=0440 stat -c '%a %u:%g' /etc/s >/m",
        older: None,
        buildah: &[],
        docker: &[],
    },
    same("FROM localhost/tools:1\nRUN rm /old/one /old/link && rm -r /old/sub"),
    same("FROM localhost/tools:1\nRUN rm -r /old && mkdir -m 711 /old && echo new >/old/new"),
    same(
        "FROM localhost/tools:1\nRUN rm -r /old/sub && echo file >/old/sub && rm /old/one && mkdir /old/one && ln -sfn sub /old/link",
    ),
    same("FROM localhost/tools:1\nRUN mv /old /new && mv /new/sub /old"),
    same(
        "FROM localhost/tools:1\nRUN echo more >>/old/one; ln /old/one /again; ln -s ../old /link; ln -s nowhere /dangling; mkfifo -m 600 /fifo",
    ),
    same(
        "FROM localhost/tools:1\nRUN mkdir /s && cd /s && touch a b c && chmod 4755 a && chmod 2711 b && chmod 0 c && chmod 3777 . && mknod n c 1 3",
    ),
    same(
        "FROM localhost/tools:1\nRUN chown -R 5:6 /old && chown -h 7 /old/link && chmod 4750 /old/one\nRUN chown 8 /old/one",
    ),
    same(
        "FROM localhost/tools:1\nRUN setxattr /old/one user.new value && touch /x && setxattr /x user.x y && mkdir /d && setxattr /d user.d z",
    ),
    same(
        "FROM localhost/tools:1\nRUN dd if=/dev/zero of=/sparse bs=1k count=1 seek=4000 2>/dev/null && truncate -s 2M /hole && head -c 300000 /bin/busybox >/large",
    ),
    same(
        "FROM localhost/tools:1 AS one\nRUN mkdir /m && echo 1 >/m/f && ln /m/f /m/g && ln -s f /m/l && chmod 2750 /m && chown -R 5:6 /m\nFROM localhost/tools:1\nCOPY --from=one /m /all\nCOPY --from=one --chown=7:8 /m/f /m/l /some/\nRUN cat /all/g /some/f >/out",
    ),
    same("FROM localhost/tools:1 AS one\nONBUILD ARG GIVEN\nONBUILD RUN echo $GIVEN >/f\nFROM one\nRUN cat /f /f >/g"),
    same(
        "FROM localhost/tools:1 AS one\nRUN echo one >/one\nFROM one AS two\nRUN echo two >>/one\nFROM one\nRUN rm -f /two && cat /one >/three",
    ),
    same(
        "FROM localhost/tools:1\nRUN false || echo \\\n  # a comment\n  in 'two lines' \\\n  >/f; \\\n  echo \"$0\" >>/f",
    ),
    same("FROM scratch\nCOPY --from=localhost/tools:1 / /\nRUN echo \"$PATH\" >/f"),
    // BuildKit keeps what a command writes to a volume.
    same("FROM localhost/tools:1\nVOLUME /old\nRUN echo new >/old/new && rm /old/one"),
    same("FROM localhost/tools:1\nRUN touch /run/r /dev/d /dev/shm/s /tmp/t /proc/p 2>/dev/null; ls /dev/d /run/r >/f"),
    same(
        "FROM localhost/tools:1\nRUN true\nRUN touch -d @1500000000 /old/one && chmod 0644 /bin/busybox && chmod 0755 /bin/busybox",
    ),
];

/// What one builder makes of a case.
fn check(builder: &str, expected: impl Fn(&Case) -> &'static [&'static str], found: impl Fn(&Case) -> Vec<String>) {
    let mut wrong = Vec::new();
    for case in CASES {
        let (found, expected) = (found(case), expected(case));
        if found != expected {
            let (found, expected) = (found.join("\n"), expected.join("\n"));
            wrong.push(format!("{}\n--- differs:\n{found}\n--- expected:\n{expected}\n", case.text));
        }
    }
    assert!(wrong.is_empty(), "{builder}: {}", wrong.join("\n"));
}

#[test]
fn commands_come_to_what_buildah_makes_of_them() {
    if !["buildah", "skopeo", "runc"].into_iter().all(require_tool) {
        return;
    }
    let Some(commands) = Commands::new() else { return };
    let bench = &commands.bench;
    bench.give_buildah("localhost/tools:1");
    let secret = format!("id=s,src={}", bench.path("secret").display());
    // Namespaces of the command's own, so that the machine's files are not bound into the tree.
    let more = ["--isolation", "oci", "--runtime", "runc", "--network", "none", "--secret", &secret];
    check(
        "buildah",
        |case| case.buildah,
        |case| {
            let scratch = temp_dir();
            let ours = commands.build(case.text);
            match bench.buildah(case.older.unwrap_or(case.text), &scratch.path().join("theirs"), &more) {
                Ok((theirs, config)) => without_own_times(compare(&ours, &theirs, &config, scratch.path())),
                Err(reason) => vec![format!("refused: {reason}")],
            }
        },
    );
}

#[test]
fn commands_come_to_what_buildkit_makes_of_them() {
    let Some(docker) = Docker::shared() else { return };
    let Some(commands) = Commands::new() else { return };
    let bench = &commands.bench;
    differential_docker::load_image(&docker, bench, "localhost/tools:1");
    check(
        "BuildKit",
        |case| case.docker,
        |case| {
            let scratch = temp_dir();
            let ours = commands.build(case.text);
            let text = case.older.unwrap_or(case.text);
            let built = docker.try_build_with_buildkit(&bench.path("context"), text, NAME, &[("GIVEN", "given")]);
            match built.map(|()| differential_docker::built(&docker, bench, NAME)) {
                Ok(Ok((theirs, config))) => without_own_times(compare(&ours, &theirs, &config, scratch.path())),
                Ok(Err(reason)) | Err(reason) => vec![format!("refused: {reason}")],
            }
        },
    );
}

/// The differences without the times of what each build wrote itself.
fn without_own_times(mut differences: Vec<String>) -> Vec<String> {
    let is_own =
        |time: &str| time.split('.').next().and_then(|seconds| seconds.parse::<i64>().ok()) > Some(1_700_000_000);
    differences.retain(|line| {
        let times = line.split_once(": mtime ").and_then(|(_, times)| times.split_once(", not "));
        !times.is_some_and(|(ours, theirs)| is_own(ours) && is_own(theirs))
    });
    differences
}

/// A bench with a base image that has programs, and what runs them.
struct Commands {
    bench: Bench,
    executor: OciRuntime,
}

impl Commands {
    fn new() -> Option<Self> {
        let tools = ["busybox", "gcc", "runc", "unshare", "setpriv"];
        if !require_root() || !tools.into_iter().all(require_tool) {
            return None;
        }
        let bench = Bench::without_buildah();
        write_tools(&bench.path("tools-files"));
        bench.build(
            "FROM scratch\nCOPY . /\nENV FROM_BASE=1 PATH=/bin\nCMD [\"base\"]",
            "tools-files",
            "localhost/tools:1",
        );
        fs::write(bench.path("secret"), SECRET).unwrap();
        let executor = OciRuntime::open(bench.path("exec"), &OciOptions::default().with_runtime("runc")).unwrap();
        Some(Self { bench, executor })
    }

    fn build(&self, text: &str) -> image_core::Image {
        let run = RunOptions::default().with_secret("s", Secret::new(SECRET.as_bytes()));
        let options = BuildOptions::default().with_run(run);
        self.bench.build_with(text, "context", "localhost/built:1", options, Some(&self.executor))
    }
}

/// Gives a file an extended attribute, which busybox does not: `setxattr FILE NAME VALUE`.
const SETXATTR: &str = r#"
#include <string.h>
#include <sys/xattr.h>
int main(int count, char **words) {
    return count != 4 || setxattr(words[1], words[2], words[3], strlen(words[3]), 0) != 0;
}
"#;

/// A root file system of busybox, with what runtimes mount something on, and with something to change.
fn write_tools(root: &Path) {
    rootfs(root);
    let source = root.with_extension("c");
    fs::write(&source, SETXATTR).unwrap();
    tool::run(Command::new("gcc").arg("-static").arg(&source).arg("-o").arg(root.join("bin/setxattr")));
    TreeBuilder::new()
        .dir("", 0o755)
        .dir("bin", 0o755)
        .dir("dev", 0o755)
        .dir("etc", 0o755)
        .file("etc/group", b"root:x:0:\nusers:x:1001:\nextra:x:50:user\n", 0o644)
        .file("etc/hostname", b"", 0o644)
        .file("etc/hosts", b"", 0o644)
        .file("etc/passwd", b"root:x:0:0::/root:/bin/sh\nuser:x:1000:1001::/home/user:/bin/sh\n", 0o644)
        .file("etc/resolv.conf", b"", 0o644)
        .dir("old", 0o750)
        .file("old/one", b"1", 0o640)
        .symlink("old/link", "one")
        .dir("old/sub", 0o755)
        .file("old/sub/two", b"2", 0o644)
        .dir("proc", 0o755)
        .dir("root", 0o700)
        .dir("run", 0o755)
        .dir("sys", 0o755)
        .dir("tmp", 0o755)
        .write_to(root);
}
