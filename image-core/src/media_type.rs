//! Media types of OCI and Docker.

use std::{convert::Infallible, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::codec::Compression;

macro_rules! media_types {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// What a blob is, by its descriptor.
        ///
        /// # Spec
        /// OCI image-spec 1.1, media-types.md; Docker image manifest version 2, schema 2.
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum MediaType {
            $($(#[$doc])* $name,)*
            /// Any other media type: kept as it is, and copied.
            Other(Box<str>),
        }

        impl MediaType {
            /// The media type as it is written.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$name => $text,)*
                    Self::Other(text) => text,
                }
            }
        }

        impl From<&str> for MediaType {
            fn from(text: &str) -> Self {
                match text {
                    $($text => Self::$name,)*
                    other => Self::Other(other.into()),
                }
            }
        }
    };
}

media_types! {
    /// OCI image manifest.
    OciManifest = "application/vnd.oci.image.manifest.v1+json",
    /// OCI image index.
    OciIndex = "application/vnd.oci.image.index.v1+json",
    /// OCI image configuration.
    OciConfig = "application/vnd.oci.image.config.v1+json",
    /// Layer: plain tar.
    OciLayer = "application/vnd.oci.image.layer.v1.tar",
    /// Layer: tar with gzip.
    OciLayerGzip = "application/vnd.oci.image.layer.v1.tar+gzip",
    /// Layer: tar with zstd.
    OciLayerZstd = "application/vnd.oci.image.layer.v1.tar+zstd",
    /// Layer that is not to be distributed: plain tar. Deprecated by the specification.
    OciLayerNondistributable = "application/vnd.oci.image.layer.nondistributable.v1.tar",
    /// Layer that is not to be distributed: tar with gzip. Deprecated by the specification.
    OciLayerNondistributableGzip = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
    /// Layer that is not to be distributed: tar with zstd. Deprecated by the specification.
    OciLayerNondistributableZstd = "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
    /// The empty JSON object, standing for a configuration that there is none of.
    OciEmpty = "application/vnd.oci.empty.v1+json",
    /// Docker image manifest, schema 2.
    DockerManifest = "application/vnd.docker.distribution.manifest.v2+json",
    /// Docker manifest list.
    DockerManifestList = "application/vnd.docker.distribution.manifest.list.v2+json",
    /// Docker image configuration.
    DockerConfig = "application/vnd.docker.container.image.v1+json",
    /// Docker layer: plain tar.
    DockerLayer = "application/vnd.docker.image.rootfs.diff.tar",
    /// Docker layer: tar with gzip.
    DockerLayerGzip = "application/vnd.docker.image.rootfs.diff.tar.gzip",
    /// Docker layer: tar with zstd.
    DockerLayerZstd = "application/vnd.docker.image.rootfs.diff.tar.zstd",
    /// Docker layer that is fetched from elsewhere: plain tar.
    DockerForeignLayer = "application/vnd.docker.image.rootfs.foreign.diff.tar",
    /// Docker layer that is fetched from elsewhere: tar with gzip.
    DockerForeignLayerGzip = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
}

impl MediaType {
    /// Whether it is an image manifest.
    #[must_use]
    pub fn is_manifest(&self) -> bool {
        matches!(self, Self::OciManifest | Self::DockerManifest)
    }

    /// Whether it is an index, or a manifest list as Docker calls it.
    #[must_use]
    pub fn is_index(&self) -> bool {
        matches!(self, Self::OciIndex | Self::DockerManifestList)
    }

    /// Whether it is an image configuration.
    #[must_use]
    pub fn is_config(&self) -> bool {
        matches!(self, Self::OciConfig | Self::DockerConfig)
    }

    /// Whether it is a layer of a root file system.
    #[must_use]
    pub fn is_layer(&self) -> bool {
        self.layer_compression().is_some()
    }

    /// How a layer of this media type is compressed; `None` where it is not a layer.
    #[must_use]
    pub fn layer_compression(&self) -> Option<Compression> {
        match self {
            Self::OciLayer | Self::OciLayerNondistributable | Self::DockerLayer | Self::DockerForeignLayer => {
                Some(Compression::None)
            }
            Self::OciLayerGzip
            | Self::OciLayerNondistributableGzip
            | Self::DockerLayerGzip
            | Self::DockerForeignLayerGzip => Some(Compression::Gzip),
            Self::OciLayerZstd | Self::OciLayerNondistributableZstd | Self::DockerLayerZstd => Some(Compression::Zstd),
            _ => None,
        }
    }

    /// Whether it is a layer that is not to be distributed, so that an image may lack it.
    #[must_use]
    pub fn is_nondistributable(&self) -> bool {
        matches!(
            self,
            Self::OciLayerNondistributable
                | Self::OciLayerNondistributableGzip
                | Self::OciLayerNondistributableZstd
                | Self::DockerForeignLayer
                | Self::DockerForeignLayerGzip
        )
    }

    /// OCI's name for what Docker has another name for; anything else stays what it is.
    ///
    /// # Spec
    /// OCI image-spec 1.1, media-types.md, § Compatibility Matrix.
    #[must_use]
    pub fn to_oci(&self) -> Self {
        match self {
            Self::DockerManifest => Self::OciManifest,
            Self::DockerManifestList => Self::OciIndex,
            Self::DockerConfig => Self::OciConfig,
            Self::DockerLayer => Self::OciLayer,
            Self::DockerLayerGzip => Self::OciLayerGzip,
            Self::DockerLayerZstd => Self::OciLayerZstd,
            Self::DockerForeignLayer => Self::OciLayerNondistributable,
            Self::DockerForeignLayerGzip => Self::OciLayerNondistributableGzip,
            other => other.clone(),
        }
    }

    /// The OCI media type of a layer with this compression.
    #[must_use]
    pub fn layer(compression: Compression) -> Self {
        match compression {
            Compression::None => Self::OciLayer,
            Compression::Gzip => Self::OciLayerGzip,
            Compression::Zstd => Self::OciLayerZstd,
        }
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for MediaType {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(text.into())
    }
}

impl Serialize for MediaType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for MediaType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // A null or missing media type is empty, and means what the place it stands in means.
        Ok(Option::<String>::deserialize(deserializer)?.unwrap_or_default().as_str().into())
    }
}

impl Default for MediaType {
    /// The empty media type: a document or descriptor that names none.
    fn default() -> Self {
        Self::Other("".into())
    }
}
