//! How time grows with the input: layers, files, records. Doubling the input should at most double the time.
//!
//! This is no criterion bench: each input is measured three times at most, the least counts, and a table is printed. Words
//! on the command line choose curves by their names, as with the other benches. `--quick` takes a sixteenth of each input.
//! Files on disk go up to 64,000, or to the number in `BENCH_GROWTH_FILES`, as 1000000.

mod curve;
mod files;
mod layers;
mod records;

use std::process::ExitCode;

use benches::{Result, note};

use crate::curve::Growth;

fn curves(growth: &mut Growth) -> Result<()> {
    layers::curves(growth)?;
    files::in_memory(growth)?;
    files::on_disk(growth)?;
    records::of_caches(growth)?;
    records::of_blobs(growth)?;
    growth.summary()
}

fn main() -> ExitCode {
    match curves(&mut Growth::from_arguments()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            note(error);
            ExitCode::FAILURE
        }
    }
}
