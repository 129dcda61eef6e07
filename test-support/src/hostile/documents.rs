//! Documents that could be read in two ways, or in none.

use super::{
    LayoutCase,
    Requirement::{DocumentBytes, Documents, JsonNesting, LayersOfAnImage},
    Step::{self, Copy, Find, Unpack, Verify},
};
use crate::{
    layout::{Layer, Layout},
    raw_tar::{archive, file},
};

pub(super) fn cases() -> Vec<LayoutCase> {
    [manifests(), configs(), indexes(), sizes()].concat()
}

fn layers() -> [Layer; 1] {
    [Layer::gzip(&archive(&[file("f", "x")]))]
}

/// An image whose manifest is changed before `index.json` names it.
fn manifest(change: &dyn Fn(&str) -> String) -> Layout {
    Layout::edited(&layers(), &str::to_owned, change)
}

/// An image whose configuration is changed before its manifest names it.
fn config(change: &dyn Fn(&str) -> String) -> Layout {
    Layout::edited(&layers(), change, &str::to_owned)
}

/// The members that a document gets in addition, at its end.
fn with(members: &str) -> impl Fn(&str) -> String {
    let members = members.to_owned();
    move |json| format!("{},{members}}}", &json[..json.len() - 1])
}

fn replacing(from: &str, to: &str) -> impl Fn(&str) -> String {
    let (from, to) = (from.to_owned(), to.to_owned());
    move |json| {
        assert!(json.contains(&from), "{json} has no {from}");
        json.replacen(&from, &to, 1)
    }
}

fn everywhere(text: &'static str) -> Vec<(Step, &'static str)> {
    vec![(Find, text), (Verify, text), (Copy, text), (Unpack, text)]
}

fn case(name: &'static str, layout: Layout, refused: Vec<(Step, &'static str)>) -> LayoutCase {
    LayoutCase::new(Documents, name, layout, refused.leak())
}

fn manifests() -> Vec<LayoutCase> {
    let changed = |name, change: &dyn Fn(&str) -> String, text| case(name, manifest(change), everywhere(text));
    let size = |to| replacing("\"size\":", to);
    vec![
        changed("a manifest with a key twice", &with("\"layers\":[]"), "twice"),
        changed("a manifest that is an index too", &with("\"manifests\":[]"), "manifests"),
        changed("a manifest and more", &|json| format!("{json} {{}}"), "trailing"),
        changed(
            "a manifest of another schema",
            &replacing("\"schemaVersion\":2", "\"schemaVersion\":1"),
            "schemaVersion",
        ),
        changed("a manifest without a schema", &replacing("\"schemaVersion\":2,", ""), "schemaVersion"),
        changed(
            "a manifest that says it is an index",
            &replacing("image.manifest.v1", "image.index.v1"),
            "its mediaType is",
        ),
        // A manifest without layers can be copied, but is no image of this configuration.
        case(
            "a manifest whose layers are in capital letters",
            manifest(&replacing("\"layers\":", "\"LAYERS\":")),
            vec![(Find, "it has 0 layers"), (Verify, "it has 0 layers"), (Unpack, "it has 0 layers")],
        ),
        changed("a manifest that is a list", &|json| format!("[{json}]"), "not a valid document"),
        changed("a manifest that is cut", &|json| json[..json.len() - 1].to_owned(), "not a valid document"),
        changed("a manifest of no bytes", &|_| String::new(), "not a valid document"),
        changed("a size below 0", &size("\"size\":-"), "-"),
        changed("a size with a fraction", &size("\"size\":0.5,\"x\":"), "0.5"),
        changed("a size in a string", &size("\"size\":\"1\",\"x\":"), "invalid type"),
        changed("no size", &size("\"x\":"), "size"),
        changed("a size of 2^64", &size("\"size\":18446744073709551616,\"x\":"), "expected u64"),
        changed("a size that is not a number", &size("\"size\":NaN,\"x\":"), "not a valid document"),
        changed("another key twice, deep inside", &with("\"annotations\":{\"a\":\"1\",\"a\":\"2\"}"), "twice"),
    ]
}

fn configs() -> Vec<LayoutCase> {
    let read = |text| vec![(Find, text), (Verify, text), (Unpack, text)];
    let changed = |name, change: &dyn Fn(&str) -> String, text| case(name, config(change), read(text));
    vec![
        changed("a configuration with a key twice", &with("\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}"), "twice"),
        changed("a configuration without diffIDs", &|_| "{}".to_owned(), "rootfs"),
        changed("a configuration and more", &|json| format!("{json}{{}}"), "trailing"),
        changed("a configuration that is no JSON", &|_| "\u{feff}{}".to_owned(), "config"),
        changed("diffIDs in capital letters", &replacing("\"diff_ids\"", "\"DIFF_IDS\""), "diff"),
    ]
}

fn indexes() -> Vec<LayoutCase> {
    let whole = Layout::of(&layers());
    // The manifest itself is right, and unpacked where it is named otherwise.
    let said = |text: &'static str| vec![(Find, text), (Verify, text), (Copy, text)];
    let index =
        |name, json: &str, text: &'static str| case(name, whole.clone().with_file("index.json", json), said(text));
    let typed = whole
        .clone()
        .described(|described| described.media_type = "application/vnd.oci.image.index.v1+json".to_owned());
    let docker = whole.clone().described(|described| {
        described.media_type = "application/vnd.docker.distribution.manifest.v2+json".to_owned();
    });
    let marker =
        |name, json: &str, text: &'static str| case(name, whole.clone().with_file("oci-layout", json), said(text));
    vec![
        index("an index with a key twice", r#"{"schemaVersion":2,"manifests":[],"manifests":[]}"#, "twice"),
        index("an index that is a manifest too", r#"{"schemaVersion":2,"manifests":[],"config":{}}"#, "manifest"),
        index("an index with layers", r#"{"schemaVersion":2,"manifests":[],"layers":[]}"#, "manifest"),
        index("two indexes", r#"{"schemaVersion":2,"manifests":[]}{}"#, "trailing"),
        index("an index without a schema", r#"{"manifests":[]}"#, "schemaVersion"),
        index("an index of no bytes", "", "index.json"),
        index("an index of bytes that are no text", "\"\u{0}", "index.json"),
        case("a manifest under the media type of an index", typed, said("its mediaType is")),
        case("a manifest of OCI under the media type of Docker", docker, said("its mediaType is")),
        marker("a layout of a version to come", r#"{"imageLayoutVersion":"2.0.0"}"#, "2.0.0"),
        marker("a marker that is no JSON", "1.0.0", "oci-layout"),
    ]
}

fn sizes() -> Vec<LayoutCase> {
    let padded = |json: &str, bytes: usize| format!("{json}{}", " ".repeat(bytes));
    let large = (4 << 20) + 1;
    let nested = |levels: usize| format!("\"x\":{}{}", "[".repeat(levels), "]".repeat(levels));
    let read = |text| vec![(Find, text), (Verify, text), (Unpack, text)];
    let new = |requirement, name, layout, refused: Vec<_>| LayoutCase::new(requirement, name, layout, refused.leak());
    let many: Vec<Layer> = vec![layers()[0].clone(); 4097];
    let whole = Layout::of(&layers()).with_file("index.json", padded(r#"{"schemaVersion":2,"manifests":[]}"#, 8 << 20));
    let index = vec![(Find, "limit of 8388608"), (Verify, "limit of 8388608"), (Copy, "limit of 8388608")];
    vec![
        new(
            DocumentBytes,
            "a manifest of more than 4 MiB",
            manifest(&|json| padded(json, large)),
            everywhere("limit of 4194304"),
        ),
        new(
            DocumentBytes,
            "a configuration of more than 4 MiB",
            config(&|json| padded(json, large)),
            read("limit of 4194304"),
        ),
        new(DocumentBytes, "an index.json of more than 8 MiB", whole, index),
        new(JsonNesting, "a manifest nested 200 deep", manifest(&with(&nested(200))), everywhere("recursion limit")),
        new(
            JsonNesting,
            "a manifest nested a million deep",
            manifest(&with(&nested(1_000_000))),
            everywhere("recursion limit"),
        ),
        new(JsonNesting, "a configuration nested 200 deep", config(&with(&nested(200))), read("recursion limit")),
        new(JsonNesting, "a configuration nested 100 deep", config(&with(&nested(100))), vec![]),
        new(LayersOfAnImage, "4097 layers", Layout::of(&many), everywhere("4096")),
    ]
}
