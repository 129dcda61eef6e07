//! The roles a digest plays: diffID, chainID, image ID.
//!
//! They are made from a [`Digest`] only where that is written out, so that no caller
//! swaps a layer's digest for its diffID unnoticed:
//!
//! ```compile_fail
//! use image_core::{Digest, DiffId};
//! let digest = Digest::sha256_of(b"");
//! let diff_id: DiffId = digest.into();
//! ```
//! ```compile_fail
//! use image_core::{ChainId, Digest, DiffId};
//! fn wants_chain(_: &ChainId) {}
//! wants_chain(&DiffId::from_digest(Digest::sha256_of(b"")));
//! ```
//! ```compile_fail
//! use image_core::{Digest, DiffId, ImageId};
//! fn wants_image(_: &ImageId) {}
//! wants_image(&DiffId::from_digest(Digest::sha256_of(b"")));
//! ```

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{digest::Digest, error::Error};

macro_rules! role {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Digest);

        impl $name {
            /// Gives a digest this role. Right only where the digest is known to be one.
            #[must_use]
            pub fn from_digest(digest: Digest) -> Self {
                Self(digest)
            }

            /// The digest without its role.
            #[must_use]
            pub fn as_digest(&self) -> &Digest {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                text.parse().map(Self)
            }
        }
    };
}

role! {
    /// The digest of a layer's plain, uncompressed tar.
    ///
    /// # Spec
    /// OCI image-spec 1.1, config.md, § Layer DiffID.
    DiffId
}
role! {
    /// The name of a stack of layers, applied in order.
    ///
    /// # Spec
    /// OCI image-spec 1.1, config.md, § Layer ChainID.
    ChainId
}
role! {
    /// The digest of an image's configuration, byte for byte.
    ///
    /// # Spec
    /// OCI image-spec 1.1, config.md, § ImageID.
    ImageId
}

impl ChainId {
    /// The chainID of the stack whose only layer is `bottom`.
    #[must_use]
    pub fn bottom(bottom: &DiffId) -> Self {
        Self(bottom.0.clone())
    }

    /// The chainID of this stack with one more layer on top:
    /// SHA-256 of `this chainID`, a space, and the layer's diffID.
    #[must_use]
    pub fn push(&self, layer: &DiffId) -> Self {
        Self(Digest::sha256_of(format!("{self} {layer}").as_bytes()))
    }

    /// The chainID of a whole stack, base layer first; `None` for a stack of no layers.
    #[must_use]
    pub fn of<'a>(layers: impl IntoIterator<Item = &'a DiffId>) -> Option<Self> {
        layers.into_iter().fold(None, |chain, layer| match chain {
            None => Some(Self::bottom(layer)),
            Some(below) => Some(below.push(layer)),
        })
    }
}
