//! An image built on a real one: its configuration and its tree.

use std::{fs, os::unix::fs::MetadataExt, path::Path};

use serde_json::{Value, json};
use test_support::{Tree, TreeOptions, require_root, require_tool, temp_dir, tool};

use crate::{
    base_image::{self, Form, SHORT_NAME, base_image},
    program::{self, program, succeed, verify},
    project::{Project, TAG, write_modules},
    unpack::umoci_unpack,
};

/// Most of what a Dockerfile can say without RUN.
pub(crate) const DOCKERFILE: &str = r#"# syntax=docker/dockerfile:1
ARG BASE=localhost/base
FROM ${BASE}:1 AS assets
WORKDIR /srv/assets
COPY modules/ ./modules/
COPY config.json settings/config.json

FROM assets AS unreached
COPY not-there /

FROM localhost/base:1
ARG VERSION=1.0
ENV APP_HOME=/srv/app APP_VERSION=$VERSION
LABEL org.example.version="${VERSION}" \
      org.example.title="The application"
WORKDIR $APP_HOME
COPY --from=assets /srv/assets ./assets
COPY --chown=1000:2000 --chmod=0750 bin/ /usr/local/bin/
COPY . context/
EXPOSE 8080/tcp 9000/udp
VOLUME ["/srv/data"]
STOPSIGNAL SIGINT
HEALTHCHECK --interval=30s --timeout=5s --retries=2 CMD ["/usr/local/bin/check"]
SHELL ["/bin/bash", "-c"]
USER 1000:2000
ENTRYPOINT ["/usr/local/bin/run"]
CMD ["--serve"]
"#;

const IGNORED: &str =
    "# comments, patterns and exceptions\n**/*.md\n!**/README.md\n/secrets\nmodules/module-0[0-4]\n.git\n";

/// The project that [`DOCKERFILE`] builds.
pub(crate) fn project(base: &Path) -> Project {
    let project = Project::on(base, DOCKERFILE);
    fill(&project);
    project
}

/// Writes what [`DOCKERFILE`] copies.
pub(crate) fn fill(project: &Project) {
    project.write(".dockerignore", IGNORED);
    project.write("config.json", "{}");
    project.write("secrets/key", "must not get into the image");
    project.write("bin/run", "#!/bin/sh\n");
    project.write("bin/check", "#!/bin/sh\n");
    write_modules(&project.context(""));
}

#[test]
fn the_configuration_is_what_the_dockerfile_says() {
    let Some(base) = base_image(Form::Gzip) else { return };
    let project = project(base);
    project.build_with(&["--build-arg", "VERSION=2.5"]);
    let config = config(&project.output());
    let expected = json!({
        "Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "BASE=1", "APP_HOME=/srv/app", "APP_VERSION=2.5"],
        "Labels": {"of": "base", "org.example.version": "2.5", "org.example.title": "The application"},
        "WorkingDir": "/srv/app",
        "ExposedPorts": {"8080/tcp": {}, "9000/udp": {}},
        "Volumes": {"/srv/data": {}},
        "StopSignal": "SIGINT",
        "Healthcheck": {
            "Test": ["CMD", "/usr/local/bin/check"], "Interval": 30_000_000_000_u64, "Timeout": 5_000_000_000_u64,
            "Retries": 2,
        },
        "Shell": ["/bin/bash", "-c"],
        "User": "1000:2000",
        "Entrypoint": ["/usr/local/bin/run"],
        "Cmd": ["--serve"],
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(config["config"][name], *value, "{name}");
    }
    assert_eq!(config["architecture"], base_image::architecture());
    assert_eq!(config["os"], "linux");

    let base_config = config_of(base, SHORT_NAME);
    let (layers, base_layers) = (diff_ids(&config), diff_ids(&base_config));
    assert_eq!(layers[..base_layers.len()], base_layers, "the layers of the base come first");
    assert_eq!(layers.len(), base_layers.len() + 4, "one layer for each WORKDIR and COPY of the last stage");
    let history = config["history"].as_array().unwrap();
    let with_layer = history.iter().filter(|step| step["empty_layer"] != true).count();
    assert_eq!(with_layer, layers.len());
    let told: Vec<&str> = history.iter().map(|step| step["created_by"].as_str().unwrap_or_default()).collect();
    for instruction in ["ENV APP_HOME=/srv/app APP_VERSION=2.5", "WORKDIR /srv/app", "CMD [\"--serve\"]"] {
        assert!(told.contains(&instruction), "{instruction} of {told:?}");
    }
}

#[test]
fn the_tree_is_the_one_of_the_base_with_what_was_copied() {
    let Some(base) = base_image(Form::Gzip) else { return };
    if !require_root() || !require_tool("umoci") {
        return;
    }
    let project = project(base);
    project.build();
    let dir = temp_dir();
    let ours = dir.path().join("ours");
    program::unpack(project.image(), &ours);
    let theirs = umoci_unpack(&project.image(), &dir.path().join("theirs"));
    Tree::scan(&ours).assert_same(&Tree::scan(&theirs));

    // What comes from the context is there, but for what the ignore file leaves out.
    let copied = ours.join("srv/app/context");
    let by_content = TreeOptions::default().without_owners().without_root();
    let expected = temp_dir();
    let context = expected.path().join("context");
    tool::run(std::process::Command::new("cp").arg("-a").arg(project.context("")).arg(&context));
    for left_out in [
        "secrets",
        "modules/module-00",
        "modules/module-01",
        "modules/module-02",
        "modules/module-03",
        "modules/module-04",
    ] {
        fs::remove_dir_all(context.join(left_out)).unwrap();
    }
    for module in 5..60 {
        fs::remove_file(context.join(format!("modules/module-{module:02}/docs/notes.md"))).unwrap();
    }
    let by_content = by_content.without_directory_mtimes().with_whole_seconds();
    Tree::scan_with(&copied, by_content).assert_same(&Tree::scan_with(&context, by_content));
    let modules = Tree::scan_with(&ours.join("srv/app/assets/modules"), by_content);
    modules.assert_same(&Tree::scan_with(&copied.join("modules"), by_content));
    assert!(modules.nodes().count() > 2500);

    // Owners and modes as the flags say; all else is root's.
    let owner_and_mode = |path: &str| {
        let meta = fs::symlink_metadata(ours.join(path)).unwrap();
        (meta.uid(), meta.gid(), meta.mode() & 0o7777)
    };
    assert_eq!(owner_and_mode("usr/local/bin/run"), (1000, 2000, 0o750));
    assert_eq!(owner_and_mode("srv/app/assets/settings/config.json").0, 0);
    // What the base has and the build does not touch is as it was.
    let base_tree = dir.path().join("base");
    program::unpack(program::image(base, SHORT_NAME), &base_tree);
    for part in ["usr/share", "srv/sticky", "opt"] {
        Tree::scan(&ours.join(part)).assert_same(&Tree::scan(&base_tree.join(part)));
    }
}

#[test]
fn a_copy_follows_the_links_of_the_image_as_a_container_would() {
    let Some(base) = base_image(Form::Gzip) else { return };
    if !require_root() || !require_tool("umoci") {
        return;
    }
    let dockerfile = "FROM localhost/base:1\nCOPY tool /bin/\nCOPY tool /lib/deep/er/tool\n";
    let project = Project::on(base, dockerfile);
    project.write("tool", "through a link");
    project.build();
    let dir = temp_dir();
    let ours = dir.path().join("ours");
    program::unpack(project.image(), &ours);
    for path in ["usr/bin/tool", "usr/lib/deep/er/tool"] {
        assert_eq!(fs::read_to_string(ours.join(path)).unwrap(), "through a link", "{path}");
    }
    assert!(fs::symlink_metadata(ours.join("bin")).unwrap().is_symlink(), "bin is still the link");
    Tree::scan(&ours).assert_same(&Tree::scan(&umoci_unpack(&project.image(), &dir.path().join("theirs"))));
}

#[test]
fn a_target_stage_is_built_alone() {
    let Some(base) = base_image(Form::Gzip) else { return };
    let project = project(base);
    let built = project.build_with(&["--target", "assets"]);
    let instructions = built.ran();
    assert!(instructions.contains(&"COPY config.json settings/config.json"), "{instructions:?}");
    assert!(!instructions.iter().any(|step| step.starts_with("ENV")), "{instructions:?}");
    assert_eq!(config(&project.output())["config"]["WorkingDir"], "/srv/assets");
}

#[test]
fn layers_are_compressed_as_asked() {
    let project = Project::new("FROM scratch\nCOPY data /\n");
    project.write("data", "content\n".repeat(10_000));
    let media = "application/vnd.oci.image.layer.v1.tar";
    for (compression, media_type) in
        [("none", media.to_owned()), ("gzip", format!("{media}+gzip")), ("zstd:3", format!("{media}+zstd"))]
    {
        project.build_with(&["--compression", compression]);
        let layer = &manifest(&project.output(), TAG)["layers"][0];
        assert_eq!(layer["mediaType"], media_type, "{compression}");
        verify(&project.output());
        let inspected = succeed(program("inspect").arg(project.image()));
        assert!(inspected.stdout.contains(layer["digest"].as_str().unwrap()), "{inspected}");
    }
}

fn diff_ids(config: &Value) -> Vec<&str> {
    config["rootfs"]["diff_ids"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect()
}

/// The configuration of the image that a build wrote.
fn config(layout: &Path) -> Value {
    config_of(layout, TAG)
}

fn config_of(layout: &Path, name: &str) -> Value {
    blob(layout, &manifest(layout, name)["config"])
}

/// The manifest of an image in a layout, found without any code of ours.
pub(crate) fn manifest(layout: &Path, name: &str) -> Value {
    let index: Value = serde_json::from_slice(&fs::read(layout.join("index.json")).unwrap()).unwrap();
    let is_named = |entry: &&Value| entry["annotations"]["org.opencontainers.image.ref.name"] == name;
    blob(layout, index["manifests"].as_array().unwrap().iter().find(is_named).unwrap())
}

fn blob(layout: &Path, descriptor: &Value) -> Value {
    let (_, encoded) = descriptor["digest"].as_str().unwrap().split_once(':').unwrap();
    serde_json::from_slice(&fs::read(layout.join("blobs/sha256").join(encoded)).unwrap()).unwrap()
}
