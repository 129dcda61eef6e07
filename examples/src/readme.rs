//! Keeps the README files and the cookbook true: their programs compile, the cookbook's run, and the README's digest is the
//! one that a build gives.

#[cfg(doctest)]
mod programs {
    #[doc = include_str!("../../README.md")]
    struct Workspace;
    #[doc = include_str!("../../image-core/README.md")]
    struct Core;
    #[doc = include_str!("../../image-layout/README.md")]
    struct Layout;
    #[doc = include_str!("../../image-overlay/README.md")]
    struct Overlay;
    #[doc = include_str!("../../image-build/README.md")]
    struct Build;
}

#[cfg(doctest)]
mod cookbook {
    #[doc = include_str!("../../docs/cookbook/unpack-for-a-vm.md")]
    struct UnpackForAVm;
    #[doc = include_str!("../../docs/cookbook/show-progress.md")]
    struct ShowProgress;
    #[doc = include_str!("../../docs/cookbook/build-in-a-test.md")]
    struct BuildInATest;
    #[doc = include_str!("../../docs/cookbook/inject-a-file.md")]
    struct InjectAFile;
    #[doc = include_str!("../../docs/cookbook/reproducible-builds.md")]
    struct ReproducibleBuilds;
    #[doc = include_str!("../../docs/cookbook/share-a-cache.md")]
    struct ShareACache;
    #[doc = include_str!("../../docs/cookbook/rootless.md")]
    struct Rootless;
    #[doc = include_str!("../../docs/cookbook/verify.md")]
    struct Verify;
    #[doc = include_str!("../../docs/cookbook/collect-garbage.md")]
    struct CollectGarbage;
    #[doc = include_str!("../../docs/cookbook/own-blob-store.md")]
    struct OwnBlobStore;
    #[doc = include_str!("../../docs/cookbook/task-cache.md")]
    struct TaskCache;
}

#[cfg(test)]
#[test]
fn the_cookbook_lists_every_recipe_and_every_recipe_is_run() {
    use std::{fs, path::Path};

    let directory = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/cookbook"));
    let list = include_str!("../../docs/cookbook/README.md");
    let mut recipes = 0;
    for entry in fs::read_dir(directory).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name != "README.md" {
            assert!(list.contains(&format!("({name})")), "the list of recipes lacks {name}");
            assert!(include_str!("readme.rs").contains(&format!("docs/cookbook/{name}\"")), "{name} is not run");
            recipes += 1;
        }
    }
    assert_eq!(recipes, list.matches(".md)").count(), "the list of recipes names one that is not there");
}

/// That a task runner needs no Dockerfile, and little else.
#[cfg(test)]
#[test]
fn a_task_runner_takes_fewer_than_eighty_lines() {
    assert!(include_str!("../programs/task_cache.rs").lines().count() < 80);
}

#[cfg(test)]
#[test]
fn the_session_has_the_digest_of_the_bundled_example() {
    use image_build::{BuildContext, BuildOptions, BuildState, Builder, Dockerfile, Ignore};
    use image_core::{Ctx, MemoryBlobStore, Platform, Timestamp};
    use image_layout::OciLayout;

    let hello = concat!(env!("CARGO_MANIFEST_DIR"), "/hello");
    let file = format!("{hello}/Dockerfile");
    let dockerfile = Dockerfile::open(&file).unwrap();
    let context = BuildContext::open(hello, Ignore::for_dockerfile(&file, hello).unwrap()).unwrap();
    let directory = test_support::temp_dir();
    let state = BuildState::open(directory.path()).unwrap();
    let bases: Vec<OciLayout> = Vec::new();
    let options = BuildOptions::default()
        .with_platform(Platform::new("linux", "amd64"))
        .with_source_date_epoch(Some(Timestamp::UNIX_EPOCH));
    let built = Builder::new(&state, &context, &bases)
        .build(&dockerfile, &options, &MemoryBlobStore::default(), &Ctx::default())
        .unwrap();

    let readme = include_str!("../../README.md");
    assert!(
        readme.contains(&format!("digest: {}\n", built.manifest.digest)),
        "the digest is {}",
        built.manifest.digest
    );
    assert!(readme.contains(&format!("image ID: {}\n", built.id)), "the image ID is {}", built.id);
}
