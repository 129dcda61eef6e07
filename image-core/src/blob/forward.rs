//! References, boxes and counted references of stores are stores.

use std::sync::Arc;

use super::{Blob, BlobBatch, BlobSource, BlobStore, BlobWriter, Committed, Expected};
use crate::{digest::Digest, error::Result};

macro_rules! forward {
    ($($wrapper:ty),*) => {$(
        #[deny(clippy::missing_trait_methods)]
        impl<T: BlobSource + ?Sized> BlobSource for $wrapper {
            fn stat(&self, digest: &Digest) -> Result<Option<u64>> {
                (**self).stat(digest)
            }

            fn open(&self, digest: &Digest) -> Result<Option<Blob>> {
                (**self).open(digest)
            }
        }

        #[deny(clippy::missing_trait_methods)]
        impl<T: BlobStore + ?Sized> BlobStore for $wrapper {
            fn create(&self, expected: &Expected) -> Result<Box<dyn BlobWriter>> {
                (**self).create(expected)
            }

            fn remove(&self, digest: &Digest) -> Result<bool> {
                (**self).remove(digest)
            }

            fn for_each(&self, visit: &mut dyn FnMut(&Digest, u64) -> Result<()>) -> Result<()> {
                (**self).for_each(visit)
            }

            fn renew(&self, digest: &Digest, size: u64) -> Result<bool> {
                (**self).renew(digest, size)
            }

            fn batch(&self) -> Result<Box<dyn BlobBatch + '_>> {
                (**self).batch()
            }
        }
    )*};
}

forward!(&T, Box<T>, Arc<T>);

#[deny(clippy::missing_trait_methods)]
impl<W: BlobWriter + ?Sized> BlobWriter for Box<W> {
    fn commit(self: Box<Self>) -> Result<Committed> {
        (*self).commit()
    }

    fn adopt(&mut self, blob: &Blob, told: &mut dyn FnMut(u64) -> Result<()>) -> Result<bool> {
        (**self).adopt(blob, told)
    }
}

#[deny(clippy::missing_trait_methods)]
impl<B: BlobBatch + ?Sized> BlobBatch for Box<B> {
    fn commit(self: Box<Self>) -> Result<()> {
        (*self).commit()
    }
}
