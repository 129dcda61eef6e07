//! Giving files the names of blobs, and taking blobs away, whoever has them open.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;
