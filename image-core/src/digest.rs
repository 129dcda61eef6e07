//! Digests: the names of content.

use std::{borrow::Cow, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::error::{Error, Result, excerpt};

/// The algorithm of a [`Digest`].
///
/// # Spec
/// OCI image-spec 1.1, descriptor.md, § Digests: an unregistered algorithm passes
/// the grammar, so that content named by it can be copied.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// SHA-256, `sha256`: 64 lower-case hexadecimal characters.
    Sha256,
    /// SHA-512, `sha512`: 128 lower-case hexadecimal characters.
    Sha512,
    /// Any other algorithm that the grammar allows. It cannot be verified here.
    Other(Box<str>),
}

impl Algorithm {
    /// The algorithm's name as it stands before the colon.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
            Self::Other(name) => name,
        }
    }

    /// Whether this crate can compute it.
    #[must_use]
    pub fn is_supported(&self) -> bool {
        !matches!(self, Self::Other(_))
    }

    /// The number of hexadecimal characters of an encoded digest, for the supported ones.
    fn encoded_len(&self) -> Option<usize> {
        match self {
            Self::Sha256 => Some(64),
            Self::Sha512 => Some(128),
            Self::Other(_) => None,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The name of some content: an algorithm, and the encoded hash of the content's bytes.
///
/// A digest holds nothing but what the grammar allows, so it never contains a path
/// separator and never is `.` or `..`. It says nothing of the role the content plays:
/// see [`crate::DiffId`], [`crate::ChainId`] and [`crate::ImageId`].
///
/// # Spec
/// OCI image-spec 1.1, descriptor.md, § Digests.
///
/// ```
/// use image_core::Digest;
/// let digest = Digest::sha256_of(b"{}");
/// assert_eq!(
///     digest.to_string(),
///     "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
/// );
/// assert_eq!(digest.to_string().parse::<Digest>()?, digest);
/// # Ok::<(), image_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest {
    algorithm: Algorithm,
    encoded: Box<str>,
}

impl Digest {
    /// The SHA-256 digest of some bytes.
    #[must_use]
    pub fn sha256_of(bytes: &[u8]) -> Self {
        use sha2::Digest as _;
        Self::from_sha256(sha2::Sha256::digest(bytes).into())
    }

    /// The digest whose SHA-256 hash is `hash`.
    #[must_use]
    pub fn from_sha256(hash: [u8; 32]) -> Self {
        Self { algorithm: Algorithm::Sha256, encoded: hex::encode(hash).into() }
    }

    /// The digest whose SHA-512 hash is `hash`.
    #[must_use]
    pub fn from_sha512(hash: [u8; 64]) -> Self {
        Self { algorithm: Algorithm::Sha512, encoded: hex::encode(hash).into() }
    }

    /// The algorithm.
    #[must_use]
    pub fn algorithm(&self) -> &Algorithm {
        &self.algorithm
    }

    /// What stands behind the colon: the hash in lower-case hexadecimal for the supported algorithms.
    #[must_use]
    pub fn encoded(&self) -> &str {
        &self.encoded
    }

    /// Says that this crate can verify content against the digest.
    ///
    /// # Errors
    /// [`Error::is_unsupported`] where it cannot.
    pub fn require_supported(&self) -> Result<()> {
        if self.algorithm.is_supported() { Ok(()) } else { Err(Error::UnsupportedAlgorithm { digest: self.clone() }) }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm, self.encoded)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// `[a-z0-9]+ ( [+._-] [a-z0-9]+ )*`
fn is_algorithm(text: &str) -> bool {
    text.split(['+', '.', '_', '-'])
        .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()))
}

impl FromStr for Digest {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let invalid = |reason| Error::InvalidDigest { input: excerpt(text), reason };
        if text.len() > 1024 {
            return Err(invalid("longer than 1024 bytes"));
        }
        let Some((algorithm, encoded)) = text.split_once(':') else {
            return Err(invalid("no ':' between algorithm and hash"));
        };
        if !is_algorithm(algorithm) {
            return Err(invalid(
                "the algorithm is not lower-case letters and digits, parted by one of '+', '.', '_', '-'",
            ));
        }
        let algorithm = match algorithm {
            "sha256" => Algorithm::Sha256,
            "sha512" => Algorithm::Sha512,
            other => Algorithm::Other(other.into()),
        };
        match algorithm.encoded_len() {
            Some(len) if encoded.len() != len => {
                return Err(invalid("the hash has the wrong length for its algorithm"));
            }
            Some(_) if !encoded.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) => {
                return Err(invalid("the hash is not lower-case hexadecimal"));
            }
            None if encoded.is_empty()
                || !encoded.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'=' | b'_' | b'-')) =>
            {
                return Err(invalid("the hash is empty or holds other characters than letters, digits, '=', '_', '-'"));
            }
            _ => {}
        }
        Ok(Self { algorithm, encoded: encoded.into() })
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}
