//! Graphs of documents, and files that are none.

use super::{
    LayoutCase,
    Requirement::{IndexDepth, RegularFilesOnly},
    Step::{self, Copy, Find, Unpack, Verify},
};
use crate::{
    layout::{
        Impostor::{self, Directory, Endless, Fifo},
        Layer, Layout, blob_name,
    },
    raw_tar::{archive, file},
};

pub(super) fn cases() -> Vec<LayoutCase> {
    [indexes(), impostors()].concat()
}

fn image() -> Layout {
    Layout::of(&[Layer::gzip(&archive(&[file("f", "x")]))])
}

fn indexes() -> Vec<LayoutCase> {
    let case = |name, layout, refused| LayoutCase::new(IndexDepth, name, layout, refused);
    // What the builder calls the manifest is an index here, which none can unpack.
    let deep: &[(Step, &str)] =
        &[(Find, "limit of 8"), (Verify, "limit of 8"), (Copy, "limit of 8"), (Unpack, "missing field `config`")];
    let index: &[(Step, &str)] = &[(Unpack, "missing field `config`")];
    vec![
        case("an index in an index, 7 deep", image().nested(7, 1), index),
        case("an index in an index, 20 deep", image().nested(20, 1), deep),
        case("10^20 ways through 20 indexes", image().nested(20, 10), deep),
        case("10^7 ways through 7 indexes", image().nested(7, 10), index),
    ]
}

fn impostors() -> Vec<LayoutCase> {
    let blob = |impostor: Impostor| {
        let layout = image();
        let name = layout.manifest().map(|manifest| blob_name(&manifest.digest)).unwrap_or_default();
        layout.with_impostor(&name, impostor)
    };
    let layer = |impostor: Impostor| {
        let layer = Layer::gzip(&archive(&[file("f", "x")]));
        let name = blob_name(&layer.described.digest);
        Layout::of(&[layer]).with_impostor(&name, impostor)
    };
    let file = |name: &str, impostor: Impostor| image().with_impostor(name, impostor);
    let case = |name, layout, refused| LayoutCase::new(RegularFilesOnly, name, layout, refused);
    let all: &[(Step, &str)] = &[(Find, ""), (Verify, "unreadable"), (Copy, ""), (Unpack, "")];
    let below: &[(Step, &str)] = &[(Verify, "unreadable"), (Copy, ""), (Unpack, "")];
    let index: &[(Step, &str)] =
        &[(Find, "it is not a regular file"), (Verify, "it is not a regular file"), (Copy, "it is not a regular file")];
    vec![
        case("a manifest that is a pipe", blob(Fifo), all),
        case("a manifest that is a directory", blob(Directory), all),
        case("a manifest that is a link to an endless device", blob(Endless), all),
        case("a layer that is a pipe", layer(Fifo), below),
        case("a layer that is a directory", layer(Directory), below),
        case("a layer that is a link to an endless device", layer(Endless), below),
        case("an index.json that is a pipe", file("index.json", Fifo), index),
        case("an index.json that is a directory", file("index.json", Directory), index),
        case("an index.json that is a link to an endless device", file("index.json", Endless), index),
        case("a marker that is a pipe", file("oci-layout", Fifo), index),
        case("a marker that is a link to an endless device", file("oci-layout", Endless), index),
    ]
}
