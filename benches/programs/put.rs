//! Stores a file as a blob, without syncing it, and prints its digest: what `peers/put.py` runs beside `openssl dgst`.

use std::{
    env,
    fs::File,
    io::{self, Read, Write},
};

use benches::Result;
use image_core::{
    BlobStore,
    blob::{Durability, Expected, FsBlobStoreOptions},
};

fn main() -> Result<()> {
    let paths: Vec<_> = env::args_os().skip(1).collect();
    let [file, store] = paths.as_slice() else { return Err("put FILE STORE".into()) };
    let store = FsBlobStoreOptions::default().with_durability(Durability::Fast).create(store)?;
    let (mut file, mut blob) = (File::open(file)?, store.create(&Expected::any())?);
    let mut buffer = vec![0; 256 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            count => blob.write_all(buffer.get(..count).unwrap_or_default())?,
        }
    }
    writeln!(io::stdout(), "{}", blob.commit()?.digest)?;
    Ok(())
}
