//! Keeps the README files true: their programs compile, and their digest is the one that a build gives.

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
