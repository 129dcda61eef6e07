//! Stages that are part of the result in one build and not in another: their layers are stored otherwise, and no step is
//! carried out again for it.

use std::fs;

use image_core::Timestamp;

use crate::{
    build_explain::said,
    build_fixture::{Fixture, dir, file},
};

const TEXT: &str = "FROM base AS one
WORKDIR /srv
COPY a /a
ENV X=1
FROM scratch
COPY --from=one /a /a
";

fn fixture() -> Fixture {
    let mut fixture = Fixture::with_files(&["a", "b"]);
    fixture.bases.add("base", vec![dir("etc"), file("etc/os")], |_| {});
    fixture
}

fn target(fixture: &mut Fixture, target: Option<&str>) {
    fixture.options.target = target.map(String::from);
}

#[test]
fn a_stage_that_becomes_the_result_or_ceases_to_be_it_is_not_built_again() {
    for compression in ["gzip", "gzip:9", "zstd", "none"] {
        let mut fixture = fixture();
        fixture.options = fixture.options.clone().with_encode(compression.parse().unwrap());
        fixture.build(TEXT);
        target(&mut fixture, Some("one"));
        let anew = fixture.try_build_anew(TEXT).unwrap().image.manifest;
        fixture.now = Timestamp::from_seconds(1_900_000_000);
        let built = fixture.build(TEXT);
        assert_eq!(built.done(), [""; 0], "{compression}");
        assert_eq!(built.image.manifest.digest, anew.digest, "{compression}: as it would be made");
        fixture.write("b", "new");
        let other = TEXT.replace("COPY a", "COPY b");
        fixture.build(&other);
        target(&mut fixture, None);
        let built = fixture.build(&other);
        assert_eq!(built.done(), ["[1 2/2] COPY --from=one /a /a"], "{compression}: the other way round");
        let of_one =
            "the instruction changed: COPY a /a → COPY b /a in an earlier step that was cached: [one 3] COPY b /a";
        assert_eq!(said(&built), [format!("1 2: 1 file of stage one changed: a (content); {of_one}")], "{compression}");
    }
}

#[test]
fn that_a_stage_is_the_result_is_no_reason_beside_another() {
    let mut fixture = fixture();
    fixture.build(TEXT);
    target(&mut fixture, Some("one"));
    fixture.write("a", "new");
    assert_eq!(
        said(&fixture.build(TEXT)),
        [
            "one 3: 1 file of the build context changed: a (content)",
            "one 4: an earlier step changed: [one 3] COPY a /a",
        ]
    );
}

#[test]
fn what_was_stored_for_another_target_counts_as_gone_where_it_is() {
    let mut fixture = fixture();
    fixture.build(TEXT);
    target(&mut fixture, Some("one"));
    for blob in fs::read_dir(fixture.state().join("blobs/sha256")).unwrap() {
        fs::remove_file(blob.unwrap().path()).unwrap();
    }
    assert_eq!(said(&fixture.build(TEXT)), ["one 2, one 3: nothing changed, but its layer sha256:… is gone"]);
}
