//! RUN --mount, and what of it must never be left anywhere.

use std::{fs, os::unix::net::UnixListener};

use image_build::exec::Secret;

use crate::{
    build_fixture::dir,
    build_run_fixture::{allow, bytes_of, files_below, for_each_runtime, made},
};

#[test]
fn files_of_contexts_stages_and_images_are_seen_and_not_kept() {
    for_each_runtime(|fixture| {
        fixture.write("a.txt", "a");
        fixture.write("sub/b.txt", "b");
        fixture.write("ignored", "i");
        fixture.write(".dockerignore", "ignored\n");
        fixture.symlink("sub", "link");
        fixture.set_mode("a.txt", 0o755);
        fixture.bases.add("data", vec![dir("data"), crate::build_fixture::file("data/f")], |_| {});
        let built = fixture.build(
            "FROM base AS one\nRUN mkdir /one && echo 1 >/one/f && chown 5:6 /one/f && chmod 0600 /one/f\n\
             FROM base\nARG DIR=sub\n\
             RUN --mount=target=/c --mount=type=bind,source=$DIR/b.txt,target=/b.txt \
                 --mount=type=bind,from=one,source=/one,target=/one --mount=type=bind,from=data,target=/data,rw \
                 --mount=from=0,source=one/f,target=rel \
                 (ls -R /c; cat /b.txt; stat -c '%a %u:%g' /one/f /c/a.txt /c; cat /data/data/f rel; \
                  touch /data/x && ls /data; touch /c/x /one/x) >/out 2>/dev/null || echo ro >>/out\n",
        );
        assert_eq!(
            made(&built),
            [
                "f 0644 0:0 /out /c:\na.txt\nlink\nsub\n\n/c/sub:\nb.txt\nb600 5:6\n755 0:0\n755 0:0\n/data/f1\ndata\nx\nro\n"
            ]
        );
    });
}

#[test]
fn caches_are_kept_and_seeded() {
    for_each_runtime(|fixture| {
        let built = fixture.build(
            "FROM base AS seed\nRUN mkdir /s && echo seed >/s/f\nFROM base\n\
             RUN --mount=type=cache,target=/c,uid=5,gid=6,mode=0700 stat -c '%a %u:%g' /c >/1; echo kept >/c/f\n\
             RUN --mount=type=cache,id=/c,target=/d,ro cat /d/f >/2; touch /d/x 2>/dev/null || echo ro >>/2\n\
             RUN --mount=type=cache,target=/e,from=seed,source=/s,sharing=locked cat /e/f >/3; echo more >>/e/f\n\
             RUN --mount=type=cache,target=/e,from=seed,source=/s cat /e/f >/4\n\
             RUN --mount=type=cache,target=/e ls /e >/5\n",
        );
        let expected = ["1 700 5:6", "2 kept\nro", "3 seed", "4 seed\nmore", "5 "];
        let expected: Vec<_> =
            expected.iter().map(|line| format!("f 0644 0:0 /{line}\n").replace("5 \n", "5 ")).collect();
        assert_eq!(made(&built), expected);
    });
}

#[test]
fn secrets_and_agents_are_given_and_left_nowhere() {
    for_each_runtime(|fixture| {
        let secret = "s3cr3t-of-the-test";
        let agent = fixture.context().with_file_name("agent");
        let listener = UnixListener::bind(&agent).unwrap();
        allow(fixture, |run| {
            let run = run.with_secret("one", Secret::new(secret.as_bytes())).with_secret("two", Secret::new(*b"other"));
            run.with_agent("default", &agent)
        });
        let built = fixture.build(
            "FROM base\n\
             RUN --mount=type=secret,id=one test \"$(cat /run/secrets/one)\" = s3cr3t-of-the-\"\"test && \
                 stat -c '%a %u:%g' /run/secrets/one >/1\n\
             RUN --mount=type=secret,id=one,target=/etc/a/b,uid=3,gid=4,mode=0440 stat -c '%a %u:%g' /etc/a/b >/2\n\
             RUN --mount=type=secret,id=two,env=TWO --mount=type=secret,id=none,env=NONE \
                 echo ${#TWO} ${NONE-unset} >/3; ls /run/secrets 2>/dev/null >>/3; true\n\
             RUN --mount=type=ssh test -S \"$SSH_AUTH_SOCK\" && echo $SSH_AUTH_SOCK >/4\n",
        );
        drop(listener);
        let expected = ["1 400 0:0", "2 440 3:4", "3 5 unset", "4 /run/buildkit/ssh_agent.0"];
        assert_eq!(made(&built), expected.map(|line| format!("f 0644 0:0 /{line}\n")));
        assert_eq!(built.layer_paths(2), ["/", "/2"]);
        for file in files_below(fixture.state()) {
            let bytes = bytes_of(&file);
            assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()), "{}", file.display());
        }
        let listing = built.listing().join("\n");
        let config = serde_json::to_string(&built.config()).unwrap();
        assert!(!listing.contains(secret) && !config.contains(secret));
        for (flags, missing) in
            [("type=secret,id=x,required", "secret \"x\""), ("type=ssh,id=y,required=true", "agent \"y\"")]
        {
            let error = fixture.error(&format!("FROM base\nRUN --mount={flags} true\n"));
            assert!(error.contains("Dockerfile:2:1") && error.contains(missing), "{error}");
        }
    });
}

#[test]
fn no_link_leads_a_mount_out() {
    for_each_runtime(|fixture| {
        fixture.symlink("/etc", "out");
        fixture.symlink("../../../../etc/passwd", "up");
        let outside = fixture.context().with_file_name("outside");
        fs::create_dir(&outside).unwrap();
        let evil = format!(
            "FROM base AS evil\nRUN ln -s /etc /out && ln -s {0} /away && ln -s /proc/self/fd /fds && ln -s / /root/all\n",
            outside.display()
        );
        for (flag, expected) in [
            ("source=out,target=/x", "not found in the build context"),
            ("source=../../../../../../etc/passwd,target=/x", "not found in the build context"),
            ("from=evil,source=/away/x,target=/x", "not found in stage evil"),
        ] {
            let error = fixture.error(&format!("{evil}FROM base\nRUN --mount={flag} true\n"));
            assert!(error.contains(expected), "{flag}: {error}");
        }
        // Links lead within their own tree.
        let built = fixture.build(&format!(
            "{evil}FROM base\nRUN --mount=from=evil,source=/out/passwd,target=/x grep -c user /x >/n\n"
        ));
        assert_eq!(made(&built), ["f 0644 0:0 /n 1\n"]);
        // Mount points that are links are resolved inside the root.
        let built = fixture.build(&format!(
            "{evil}FROM evil\nRUN --mount=type=tmpfs,target=/away/t echo x >/away/t/f; echo y >/away/g; true\n"
        ));
        assert!(!outside.join("t").exists() && !outside.join("g").exists());
        assert!(!built.listing().iter().any(|line| line.contains("/t/f")));
        for place in ["/fds/7", "/proc/self/fd/7", "/fds"] {
            let error = fixture.error(&format!("{evil}FROM evil\nWORKDIR {place}\nRUN true\n"));
            assert!(error.contains("cannot begin in /proc"), "{place}: {error}");
        }
        for target in ["/", "/proc", "/fds", "/root/all"] {
            let error = fixture.error(&format!("{evil}FROM evil\nRUN --mount=type=tmpfs,target={target} true\n"));
            assert!(error.contains("Dockerfile:4:1"), "{target}: {error}");
        }
    });
}

#[test]
fn mounts_that_mean_nothing_are_refused_with_their_place() {
    for_each_runtime(|fixture| {
        for (flag, expected) in [
            ("type=bnd,target=/x", "unknown type \"bnd\""),
            ("type=bind,targt=/x", "did you mean target?"),
            ("type=bind,target", "needs a value"),
            ("type=tmpfs,target=/x,size=much", "it is a number of bytes"),
            ("type=bind,target=/x,uid=5", "has no mode, uid or gid"),
            ("type=bind,from=$X,target=/x", "takes no variables"),
            ("type=cache,target=/x,sharing=some", "it is shared, private or locked"),
            ("type=secret", "a secret needs an id or a target"),
            ("type=secret,id=a,from=b", "has no from"),
            ("type=bind,from=9,target=/x", "there is no stage 9"),
        ] {
            let error = fixture.error(&format!("FROM base\nRUN --mount={flag} true\n"));
            assert!(error.contains("Dockerfile:2:"), "{flag}: {error}");
            assert!(error.contains(expected), "{flag}: {error}");
        }
    });
}
