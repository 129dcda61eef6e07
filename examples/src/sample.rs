//! A small image to try things on.

use std::path::Path;

use image_core::{Ctx, History, ImageConfig, ImageEdit, Platform, Timestamp};
use image_layout::OciLayout;
use image_overlay::{Entry, EntryKind, LayerPath, LayerWriter, Metadata, PackOptions};

use crate::run::Result;

/// The files of each layer: path, content, mode and owner.
const LAYERS: [&[(&str, &str, u32, u32)]; 2] = [
    &[("bin/app", "#!/bin/sh\necho app\n", 0o755, 0), ("etc/motd", "hello\n", 0o644, 0)],
    &[("etc/motd", "hello from app\n", 0o644, 0), ("srv/data", "1 2 3\n", 0o600, 1000)],
];

/// A new layout with one image, `app:1`, of two layers.
///
/// # Errors
/// Where there is something already, or nothing can be written.
pub fn layout(directory: &Path) -> Result<OciLayout> {
    let (layout, ctx) = (OciLayout::create(directory)?, Ctx::default());
    let mut edit = ImageEdit::new(ImageConfig::new(&Platform::of_target()));
    for (number, files) in LAYERS.into_iter().enumerate() {
        let mut layer = LayerWriter::new(layout.blobs(), PackOptions::default())?;
        for (path, content, mode, owner) in files {
            let kind = EntryKind::File { size: content.len() as u64 };
            let entry =
                Entry::new(LayerPath::parse(path.as_bytes())?, kind, Metadata::new(*mode).with_owner(*owner, *owner));
            layer.append(entry, &mut content.as_bytes(), &ctx)?;
        }
        let layer = layer.finish()?;
        let history = History::new(Timestamp::UNIX_EPOCH, format!("layer {number}"));
        edit.push_layer(&layer.descriptor, layer.diff_id, history);
    }
    edit.config.config.cmd = Some(vec!["/bin/app".into()]);
    layout.tag("app:1", &edit.write(layout.blobs())?)?;
    Ok(layout)
}
