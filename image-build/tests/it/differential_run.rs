//! Dockerfiles with RUN built by buildah and by Docker Engine's BuildKit: the same trees and the same configurations, but
//! for what the table says with its reason.

use std::{fs, os::unix::fs::symlink, panic::resume_unwind, path::Path, process::Command, thread};

use image_build::{
    BuildOptions,
    exec::{OciOptions, OciRuntime, RunOptions, Secret},
};
use image_core::Image;
use serde_json::Value;
use test_support::{Docker, TreeBuilder, require_root, require_tool, some_cases, temp_dir, tool};

use crate::{
    differential::{Bench, compare},
    differential_docker,
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

/// The image that all are built on.
const BASE: &str = "localhost/tools:1";

/// The name of what the engine builds, which other tests use at the same time.
const NAME: &str = "localhost/run:1";

const SECRET: &str = "s3cr3t";

/// What the engine leaves of a mount.
const LEFT: &str = "c: only in the other: directory, mode 0755, owner 0:0";

/// What ours makes where a file of the context is not there.
const IGNORED: &str = "ignored: not in the other: file of 0 bytes, sha256 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855, mode 0644, owner 0:0, mtime 1500000000.000000000";

const CASES: &[Case] = &[
    same("FROM localhost/tools:1\nRUN echo \"a   $FROM_BASE\" >/f && mkdir -p /d/e && echo 'b' >/d/e/f"),
    same(
        "FROM localhost/tools:1\nRUN [\"touch\", \"/a b\"]\nRUN [\"/bin/sh\", \"-c\", \"echo $0 $1 >/f\", \"x\", \"y  z\"]",
    ),
    // Here-documents came to both of them later than what Debian has.
    Case {
        older: Some(
            "FROM localhost/tools:1\nRUN echo one >/f; echo \"$FROM_BASE\" >>/f\nRUN echo a $FROM_BASE >/g; echo 'b $FROM_BASE' >>/g\n",
        ),
        ..same(
            "FROM localhost/tools:1\nRUN <<EOF\necho one >/f\necho \"$FROM_BASE\" >>/f\nEOF\nRUN cat <<ONE >/g; cat <<'TWO' >>/g\na $FROM_BASE\nONE\nb $FROM_BASE\nTWO\n",
        )
    },
    // The shell that SHELL names is that of CMD too.
    Case {
        buildah: &[r#"Cmd: ["/bin/sh","-eu","-c","run it"], not ["/bin/sh","-c","run it"]"#],
        ..same(
            "FROM localhost/tools:1\nSHELL [\"/bin/sh\", \"-eu\", \"-c\"]\nRUN echo $- >/f\nCMD run it\nENTRYPOINT [\"/e\"]",
        )
    },
    // BuildKit has since put users into the groups that name them.
    Case {
        docker: &[
            "tmp/id: file of 60 bytes, sha256 fdf8eda4fc8636b9b9e4e69457ce031b86ccb38eb8afbf7582a1da46760ec5fc, not file of 48 bytes, sha256 6b9b02b118b48877ca75c43dfa2408e129e729f134d3733cf556459ee0272700",
        ],
        ..same(
            "FROM localhost/tools:1\nRUN chmod 1777 /tmp\nUSER user\nRUN id >/tmp/id; echo $HOME >/tmp/home; umask >/tmp/umask",
        )
    },
    // A user's group is one of the groups since it was found that set-group-id programs let go of it otherwise.
    Case {
        docker: &[
            "tmp/a: file of 33 bytes, sha256 10a9c95cbdcf8c4e633946b1d03deb3cc4746841d632de92c8f7dd45c865ab5c, not file of 18 bytes, sha256 c1680d7e5a02cc1a604b504dafe62a9710bd73bf257f9e7b4931a9dee0e2fe98",
            "tmp/b: file of 21 bytes, sha256 d90a068fee23ce17e8de9d8d331d073918f32aab51cf75c8869d16290360494b, not file of 12 bytes, sha256 bb1d5b91903c6e5f28674795d47dd0cc05573f064f681b81b10b28d6028508d4",
            "tmp/c: file of 47 bytes, sha256 b0c1d3e2fc46705f98bd59e26c41be4353c766912be90a7ac22637f7166f3c1c, not file of 28 bytes, sha256 baabc5888e183d9862a12432b38c397061211ff54c140d4bccbee3f8eba6f50e",
            "tmp/root: file of 39 bytes, sha256 5ef391d886d04116cf84b584ae37ef136f83950ab69b7bfb2a6da7506f7b3a57, not file of 24 bytes, sha256 ac352e0f45e72935209b81b53b1e797423e552dee8f5c11cbd9a633500a3ccea",
        ],
        ..same(
            "FROM localhost/tools:1\nRUN chmod 1777 /tmp; id >/tmp/root\nUSER 7\nRUN id >/tmp/a\nUSER 7:8\nRUN id >/tmp/b\nUSER root:users\nRUN id >/tmp/c",
        )
    },
    same("FROM localhost/tools:1\nWORKDIR /w\nRUN pwd >p\nWORKDIR v/../u\nRUN pwd >p; cd /; mkdir -m 700 w/x"),
    same(
        "FROM localhost/tools:1\nARG GIVEN=d\nARG PLAIN=p\nARG OVER=arg\nARG NONE\nENV OVER=env A=\"b  c\" D='$A'\nRUN echo \"$GIVEN $PLAIN $OVER ${NONE-unset} $A $D ${UNDECLARED-unset}\" >/f\nRUN OVER=own && echo $OVER >/g",
    ),
    // What a mount is put on goes again, if it was not there; BuildKit has since done so too. buildah removes it also where it
    // was there, so here it never is.
    Case {
        docker: &[LEFT],
        ..same(
            "FROM localhost/tools:1\nRUN --mount=type=bind,source=dir,target=/c cp -r /c /copied && cat /c/sub/two >/two",
        )
    },
    // What is ignored is in no mount of the context either. The engine is given an address, of which it ignores nothing.
    Case {
        buildah: &[IGNORED],
        docker: &[LEFT, IGNORED],
        ..same(
            "FROM localhost/tools:1\nRUN --mount=type=bind,target=/c [ -e /c/skipped/file ] || touch -d @1500000000 /ignored",
        )
    },
    Case {
        docker: &[LEFT],
        ..same("FROM localhost/tools:1\nRUN --mount=type=bind,source=dir,target=/c,rw touch /c/lost && ls /c >/f")
    },
    Case {
        docker: &[LEFT],
        ..same(
            "FROM localhost/tools:1 AS one\nRUN mkdir /made && echo 1 >/made/f && chown 5:6 /made/f\nFROM localhost/tools:1\nRUN --mount=type=bind,from=one,source=/made,target=/c stat -c '%a %u:%g %n' /c/* >/f",
        )
    },
    Case {
        docker: &[LEFT],
        ..same(
            "FROM localhost/tools:1\nRUN --mount=type=cache,id=differential,target=/c echo kept >>/c/f; wc -l </c/f >/n\nRUN --mount=type=cache,id=differential,target=/c cp /c/f /f",
        )
    },
    Case {
        docker: &[LEFT],
        ..same("FROM localhost/tools:1\nRUN --mount=type=tmpfs,target=/c echo x >/c/f && ls /c >/f")
    },
    // A secret comes from the client, by a session that Debian's client cannot have.
    Case {
        buildah: &["run/secrets: only in the other: directory, mode 0755, owner 0:0"],
        docker: &["refused: no active sessions"],
        ..same(
            "FROM localhost/tools:1\nRUN --mount=type=secret,id=s wc -c </run/secrets/s >/n\nRUN --mount=type=secret,id=s,target=/etc/s,uid=3,mode=0440 stat -c '%a %u:%g' /etc/s >/m",
        )
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
        "FROM localhost/tools:1\nRUN mkdir /s && cd /s && touch a b c && chmod 4755 a && chmod 2711 b && chmod 0 c && chmod 3777 .",
    ),
    // A build may make devices, in BuildKit.
    Case {
        buildah: &["refused: exit status: 1: mknod: /null: Operation not permitted"],
        ..same("FROM localhost/tools:1\nRUN mknod -m 600 /null c 1 3")
    },
    same(
        "FROM localhost/tools:1\nRUN chown -R 5:6 /old && chown -h 7 /old/link && chmod 4750 /old/one\nRUN chown 8 /old/one",
    ),
    // The engine's archives have no attribute but capabilities.
    Case {
        docker: &[
            "d: xattrs {user.d=\"z\"}, not {}",
            "old/one: xattrs {user.new=\"value\"}, not {}",
            "x: xattrs {user.x=\"y\"}, not {}",
        ],
        ..same(
            "FROM localhost/tools:1\nRUN setxattr /old/one user.new value && touch /x && setxattr /x user.x y && mkdir /d && setxattr /d user.d z",
        )
    },
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
    // A volume is of the container, not of the build: BuildKit keeps what a command does to it.
    Case {
        buildah: &[
            "old/new: not in the other: file of 0 bytes, sha256 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855, mode 0644, owner 0:0, mtime 1500000000.000000000",
            "old/one: only in the other: file of 1 bytes, sha256 6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b, mode 0640, owner 0:0, mtime 1577836800.000000000",
        ],
        ..same("FROM localhost/tools:1\nVOLUME /old\nRUN touch -d @1500000000 /old/new && rm /old/one")
    },
    same("FROM localhost/tools:1\nRUN touch /run/r /dev/d /dev/shm/s /tmp/t 2>/dev/null; ls /dev/d /run/r >/f"),
    same(
        "FROM localhost/tools:1\nRUN true\nRUN touch -d @1500000000 /old/one && chmod 0600 /bin/busybox && chmod 0755 /bin/busybox",
    ),
];

#[test]
fn commands_come_to_what_others_make_of_them() {
    if !["buildah", "skopeo"].into_iter().all(require_tool) {
        return;
    }
    let Some(docker) = Docker::shared() else { return };
    let Some(commands) = Commands::new() else { return };
    commands.bench.give_buildah(BASE);
    differential_docker::load_image(&docker, &commands.bench, BASE);
    let mut wrong = Vec::new();
    for case in some_cases(CASES, 5) {
        let ours = commands.build(case.text);
        let text = case.older.unwrap_or(case.text);
        let buildah = || commands.buildah(text, &ours);
        let (buildah, docker) = thread::scope(|scope| {
            let buildah = scope.spawn(buildah);
            let docker = commands.docker(&docker, text, &ours);
            (buildah.join().unwrap_or_else(|panic| resume_unwind(panic)), docker)
        });
        for (builder, found, expected) in [("buildah", buildah, case.buildah), ("BuildKit", docker, case.docker)] {
            if found != expected {
                let (found, expected) = (found.join("\n"), expected.join("\n"));
                wrong.push(format!("{builder}: {}\n--- differs:\n{found}\n--- expected:\n{expected}\n", case.text));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
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
        bench.build("FROM scratch\nCOPY . /\nENV FROM_BASE=1 PATH=/bin\nCMD [\"base\"]", "tools-files", BASE);
        fs::write(bench.path("secret"), SECRET).unwrap();
        let executor = OciRuntime::open(bench.path("exec"), &OciOptions::default().with_runtime("runc")).unwrap();
        Some(Self { bench, executor })
    }

    fn build(&self, text: &str) -> Image {
        let run = RunOptions::default().with_secret("s", Secret::new(SECRET.as_bytes()));
        let options = BuildOptions::default().with_run(run);
        self.bench.build_with(text, "context", "localhost/built:1", options, Some(&self.executor))
    }

    /// What differs from what buildah builds.
    fn buildah(&self, text: &str, ours: &Image) -> Vec<String> {
        let scratch = temp_dir();
        let secret = format!("id=s,src={}", self.bench.path("secret").display());
        // Namespaces of the command's own, so that the machine's files are not bound into the tree.
        let more = ["--isolation", "oci", "--runtime", "runc", "--network", "none", "--secret", &secret];
        differences(ours, self.bench.buildah(text, &scratch.path().join("theirs"), &more), scratch.path())
    }

    /// What differs from what BuildKit builds.
    fn docker(&self, docker: &Docker, text: &str, ours: &Image) -> Vec<String> {
        let (scratch, context) = (temp_dir(), self.bench.path("context"));
        let built = docker.try_build_with_buildkit(&context, text, NAME, &[("GIVEN", "given")]);
        let built = built.and_then(|()| differential_docker::built(docker, &self.bench, NAME));
        differences(ours, built, scratch.path())
    }
}

/// What differs from what another built, or why it did not.
fn differences(ours: &Image, theirs: Result<(Image, Value), String>, scratch: &Path) -> Vec<String> {
    match theirs {
        Ok((theirs, config)) => without_own_times(compare(ours, &theirs, &config, scratch)),
        Err(reason) => vec![format!("refused: {}", reason.lines().next().unwrap_or_default())],
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

/// The programs of busybox that the cases use: each is a file more that every builder copies.
const APPLETS: [&str; 24] = [
    "[", "cat", "chmod", "chown", "cp", "dd", "echo", "head", "id", "ln", "ls", "mkdir", "mkfifo", "mknod", "mv",
    "pwd", "rm", "sh", "stat", "touch", "true", "truncate", "wc", "false",
];

/// A root file system of busybox, with what runtimes mount something on, and with something to change.
fn write_tools(root: &Path) {
    for directory in ["bin", "dev", "etc", "old/sub", "proc", "root", "run", "sys", "tmp"] {
        fs::create_dir_all(root.join(directory)).unwrap();
    }
    fs::copy(tool::find("busybox").unwrap(), root.join("bin/busybox")).unwrap();
    for name in APPLETS {
        symlink("busybox", root.join("bin").join(name)).unwrap();
    }
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
