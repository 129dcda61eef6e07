//! Makes a layer of what an overlay mount's upper directory says, and prints its digest: what `peers/capture.py` runs beside
//! `buildah commit`.

use std::{
    env,
    io::{self, Write},
    path::Path,
};

use benches::Result;
use image_core::{Ctx, FsBlobStore, codec::EncodeOptions};
use image_overlay::{CapturedSource, DiffOptions, OverlayXattrs, PackOptions, Root, UpperDir, diff};

fn main() -> Result<()> {
    let paths: Vec<_> = env::args_os().skip(1).collect();
    let [lower, upper, store, compression] = paths.as_slice() else {
        return Err("capture LOWER UPPER STORE COMPRESSION".into());
    };
    let encode = compression.to_str().unwrap_or_default().parse::<EncodeOptions>()?;
    let ctx = Ctx::default();
    let upper = UpperDir::look(Root::open(Path::new(upper))?, OverlayXattrs::Trusted, &ctx)?;
    let lower = upper.scan_lower(Root::open(Path::new(lower))?, &ctx)?;
    let captured = CapturedSource::over(&lower, upper, &ctx)?;
    let changes = diff(&lower, &captured, &DiffOptions::default(), &ctx)?;
    let options = PackOptions::default().with_encode(encode);
    let (layer, _) = changes.pack_without_toc(&FsBlobStore::create(store)?, options, &ctx)?;
    writeln!(io::stdout(), "{} of {} entries", layer.digest, changes.len())?;
    Ok(())
}
