//! Programs of others in C, JavaScript and Python, built from Debian's sources by commands in a Debian, and run.

use std::{fs, path::Path, process::Command, sync::Arc};

use image_core::Image;
use image_layout::OciLayout;
use test_support::{require_tool, some_cases, temp_dir, tool};

use crate::{
    debian::{debian, fetch_sources},
    project::{Built, Project, TAG},
    tools::Storage,
};

/// A source package, what is built of it, and what is changed then.
struct Source {
    package: &'static str,
    dockerfile: &'static str,
    /// What the image writes when it is run.
    says: &'static str,
    /// A file, and a text in it that is replaced.
    edit: (&'static str, &'static str, &'static str),
    /// The steps that are carried out after that, in the order of the file.
    again: &'static [&'static str],
    /// What the image writes then.
    then_says: &'static str,
}

const SOURCES: [Source; 3] = [
    Source {
        package: "tree",
        dockerfile: r#"FROM localhost/debian:1 AS build
WORKDIR /src
COPY source ./
RUN make --silent CFLAGS=-O1 LDFLAGS=-static && ! ldd tree

FROM localhost/debian:1 AS manual
COPY source/doc/tree.1 /
RUN gzip --best --no-name tree.1

FROM scratch
COPY --from=manual /tree.1.gz /man/
COPY --from=build /src/tree /bin/
USER 1000:1000
ENTRYPOINT ["/bin/tree", "--noreport"]
CMD ["/man", "/bin"]
"#,
        says: "/man\n`-- tree.1.gz\n/bin\n`-- tree\n",
        edit: ("tree.c", "int main(", "__attribute__((constructor)) void greet() { puts(\"edited\"); }\nint main("),
        again: &[
            "COPY source ./",
            "RUN make --silent CFLAGS=-O1 LDFLAGS=-static && ! ldd tree",
            "COPY --from=build /src/tree /bin/",
            "USER 1000:1000",
            "ENTRYPOINT [\"/bin/tree\", \"--noreport\"]",
            "CMD [\"/man\", \"/bin\"]",
        ],
        then_says: "edited\n/man\n`-- tree.1.gz\n/bin\n`-- tree\n",
    },
    Source {
        package: "uglify-js",
        dockerfile: r#"FROM localhost/debian:1 AS node
RUN for file in /usr/bin/node $(ldd /usr/bin/node | grep --only-matching '/[^ ]*'); do cp --parents --dereference $file /srv; done && cp --parents --archive /usr/share/nodejs /srv

FROM localhost/debian:1 AS build
WORKDIR /src
COPY source/package.json ./
COPY source/bin bin
COPY source/tools tools
COPY source/lib lib
RUN node bin/uglifyjs --self --mangle --output /srv/uglify.js

FROM scratch
COPY --from=node /srv /
COPY --from=build /srv /app
COPY <<EOF /app/main.js
require("vm").runInThisContext(require("fs").readFileSync("/app/uglify.js"));
console.log(UglifyJS.minify("function add(first, second) { return first + second; }").code);
EOF
CMD ["node", "/app/main.js"]
"#,
        says: "function add(n,d){return n+d}\n",
        edit: ("lib/minify.js", "result.code = stream.get();", "result.code = \"edited: \" + stream.get();"),
        again: &[
            "COPY source/lib lib",
            "RUN node bin/uglifyjs --self --mangle --output /srv/uglify.js",
            "COPY --from=build /srv /app",
            "COPY <<EOF /app/main.js",
            "CMD [\"node\", \"/app/main.js\"]",
        ],
        then_says: "edited: function add(n,d){return n+d}\n",
    },
    Source {
        package: "python-toml",
        dockerfile: r#"FROM localhost/debian:1 AS python
RUN <<EOF
for file in /usr/bin/python3 $(ldd /usr/bin/python3 | grep --only-matching '/[^ ]*'); do
  cp --parents --dereference $file /srv
done
cp --parents --archive /usr/lib/python3.11 /srv
EOF

FROM localhost/debian:1 AS build
WORKDIR /src
COPY source ./
RUN --mount=type=tmpfs,target=/build \
    python3 setup.py --quiet build --build-base /build install --root /srv --install-lib /app

FROM scratch
COPY --from=python /srv /
COPY --from=build /srv /
WORKDIR /app
ENV PYTHONDONTWRITEBYTECODE=1
ENTRYPOINT ["python3", "-c", "import toml; print(toml.dumps(toml.loads('a = [1, 2]')), toml.__version__)"]
"#,
        says: "a = [ 1, 2,]\n 0.10.2\n",
        edit: ("toml/__init__.py", "__version__ = \"0.10.2\"", "__version__ = \"0.10.3\""),
        again: &[
            "COPY source ./",
            "RUN --mount=type=tmpfs,target=/build     python3 setup.py --quiet build --build-base /build install --root /srv --install-lib /app",
            "COPY --from=build /srv /",
            "WORKDIR /app",
            "ENV PYTHONDONTWRITEBYTECODE=1",
            "ENTRYPOINT [\"python3\", \"-c\", \"import toml; print(toml.dumps(toml.loads('a = [1, 2]')), toml.__version__)\"]",
        ],
        then_says: "a = [ 1, 2,]\n 0.10.3\n",
    },
];

#[test]
fn programs_of_others_are_built_from_debian_sources_and_run() {
    if !["podman", "runc", "skopeo", "tar"].into_iter().all(require_tool) {
        return;
    }
    let Some(base) = debian() else { return };
    let (sources, shared) = (temp_dir(), temp_dir());
    let chosen: Vec<_> = some_cases(&SOURCES, SOURCES.len()).collect();
    if !fetch_sources(&chosen.iter().map(|source| source.package).collect::<Vec<_>>(), sources.path()) {
        return;
    }
    for source in chosen {
        build_and_run(source, base, &sources.path().join(source.package), &shared.path().join("state"));
    }
}

fn build_and_run(source: &Source, base: &Path, files: &Path, state: &Path) {
    let package = source.package;
    let project = Project::on(base, source.dockerfile);
    fs::rename(files, project.context("source")).unwrap();
    let options = ["--compression", "none", "--cache", state.to_str().unwrap()];
    let first = project.build_with(&options);
    assert!(first.ran().iter().any(|step| step.starts_with("RUN ")), "{package}: {first:#?}");
    assert_eq!(run(&project), source.says, "{package}");

    let second = project.build_with(&options);
    assert_eq!((second.ran(), &second.digest), (Vec::new(), &first.digest), "{package}");

    Built::of(project.command_for("stage").args(options).args(["--target", "build"]));
    let (image, stage) = (size(&project, TAG), size(&project, "stage"));
    assert!(image * 3 < stage, "{package}: the image has {image} bytes, the stage that builds {stage}");

    let (path, from, to) = source.edit;
    let text = fs::read_to_string(project.context("source").join(path)).unwrap();
    assert_eq!(text.matches(from).count(), 1, "{package}: {path}");
    project.write(&format!("source/{path}"), text.replace(from, to));
    let edited = project.build_with(&options);
    assert_eq!(edited.ran(), source.again, "{package}");
    assert_eq!(run(&project), source.then_says, "{package}");
}

/// What an image writes when podman runs it.
fn run(project: &Project) -> String {
    let storage = Storage::new();
    let (root, run) = (storage.path("root"), storage.path("run"));
    // podman takes no layout whose path has capitals.
    let to = format!("containers-storage:[vfs@{}+{}]localhost/app:1", root.display(), run.display());
    let mut copy = Command::new("skopeo");
    tool::run(copy.args(["--insecure-policy", "copy", "--quiet", &format!("oci:{}", project.image()), &to]));
    let mut command = storage.command("podman");
    command.args(["--runtime", "runc", "--cgroup-manager", "cgroupfs", "run", "--rm", "--pull", "never"]);
    // What podman asks for is more than this process may have on some machines.
    command.args(["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"]);
    tool::run(command.args(["--network", "none", "localhost/app:1"]))
}

/// How many bytes the layers of an image have.
fn size(project: &Project, name: &str) -> u64 {
    let layout = OciLayout::open(project.output()).unwrap();
    let image = Image::open(Arc::new(layout.blobs().clone()), &layout.resolve(name).unwrap());
    image.unwrap().manifest().value().layers.iter().map(|layer| layer.size).sum()
}
