//! Platforms: which machines an image is for.

use std::{collections::BTreeMap, env::consts, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result, excerpt},
    json,
};

/// An operating system and a CPU architecture, by Go's names for them, and what narrows them down.
///
/// Equality is that of the fields as they are written; [`Platform::matches`] sees through other names.
///
/// # Spec
/// OCI image-spec 1.1, image-index.md, `platform`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Platform {
    /// The CPU architecture: `amd64`.
    #[serde(default, deserialize_with = "json::null_as_default")]
    pub architecture: String,
    /// The operating system: `linux`.
    #[serde(default, deserialize_with = "json::null_as_default")]
    pub os: String,
    /// The version of the operating system that the image needs. Used for Windows.
    #[serde(rename = "os.version", default, skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// Features of the operating system that the image needs.
    #[serde(
        rename = "os.features",
        default,
        deserialize_with = "json::null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub os_features: Vec<String>,
    /// The variant of the CPU architecture: `v7` of `arm`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// What this crate has no name for.
    #[serde(flatten)]
    pub extra: BTreeMap<String, serde_json::Value>,
}

impl Platform {
    /// A platform of any variant, by names as they are given.
    #[must_use]
    pub fn new(os: impl Into<String>, architecture: impl Into<String>) -> Self {
        Self { os: os.into(), architecture: architecture.into(), ..Self::default() }
    }

    /// With this variant of the architecture.
    #[must_use]
    pub fn with_variant(self, variant: impl Into<String>) -> Self {
        Self { variant: Some(variant.into()), ..self }
    }

    /// The platform that this program was compiled for.
    #[must_use]
    pub fn of_target() -> Self {
        let little_endian = cfg!(target_endian = "little");
        let architecture = match consts::ARCH {
            "x86" => "386",
            "loongarch64" => "loong64",
            "powerpc" => "ppc",
            "powerpc64" if little_endian => "ppc64le",
            "powerpc64" => "ppc64",
            "mips" if little_endian => "mipsle",
            "mips64" if little_endian => "mips64le",
            "wasm32" => "wasm",
            other => other,
        };
        Self::new(consts::OS, architecture).normalised()
    }

    /// The same platform by Go's names: `linux/x86_64` is `linux/amd64`, `linux/arm` is `linux/arm/v7`,
    /// and of `linux/arm64/v8` the variant, being the plain one, is left out.
    ///
    /// # Spec
    /// OCI image-spec 1.1, image-index.md, § Platform Variants; the names and defaults of the module
    /// `containerd/platforms`.
    #[must_use]
    pub fn normalised(&self) -> Self {
        let mut os = self.os.to_ascii_lowercase();
        if os == "macos" {
            "darwin".clone_into(&mut os);
        }
        let architecture = self.architecture.to_ascii_lowercase();
        let variant = self.variant.as_deref().unwrap_or_default().to_ascii_lowercase();
        let (architecture, variant) = normalise_architecture(&architecture, &variant);
        Self {
            os,
            architecture: architecture.to_owned(),
            variant: (!variant.is_empty()).then(|| variant.to_owned()),
            ..self.clone()
        }
    }

    /// Whether this is the platform `unknown/unknown`, by which BuildKit marks what is no image.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.os == "unknown" && self.architecture == "unknown"
    }

    /// The platforms whose images run on this one, best first: itself, earlier variants of its
    /// architecture, then the 32-bit architecture that its machines also run. All are normalised.
    ///
    /// ```
    /// use image_core::Platform;
    /// let names: Vec<_> = "linux/amd64/v2".parse::<Platform>()?.only().iter().map(ToString::to_string).collect();
    /// assert_eq!(names, ["linux/amd64/v2", "linux/amd64", "linux/386"]);
    /// # Ok::<(), image_core::Error>(())
    /// ```
    #[must_use]
    pub fn only(&self) -> Vec<Self> {
        let this = self.normalised();
        let of = |(architecture, variant): (&str, String)| {
            let variant = (!variant.is_empty()).then_some(variant);
            Self { architecture: architecture.to_owned(), variant, ..this.clone() }.normalised()
        };
        runs(&this.architecture, this.variant.as_deref().unwrap_or_default()).into_iter().map(of).collect()
    }

    /// Whether an image for `candidate` runs on this platform.
    #[must_use]
    pub fn matches(&self, candidate: &Self) -> bool {
        self.rank(candidate).is_some()
    }

    /// How well an image for `candidate` suits this platform: 0 is best, `None` is not at all.
    ///
    /// Of several candidates take the first with the lowest rank. The architecture decides, then how many
    /// of this platform's features the image makes use of.
    ///
    /// # Spec
    /// OCI image-spec 1.1, image-index.md, `manifests`: of equal matches the first is used; `os.version`,
    /// `os.features`.
    #[must_use]
    pub fn rank(&self, candidate: &Self) -> Option<u32> {
        const FEATURES: u32 = 1 << 16;
        let candidate = candidate.normalised();
        let position = self.only().iter().position(|only| {
            (&only.os, &only.architecture, &only.variant)
                == (&candidate.os, &candidate.architecture, &candidate.variant)
        })?;
        let has = |feature| self.os_features.contains(feature);
        if !candidate.os_features.iter().all(has) || !self.allows_version_of(&candidate) {
            return None;
        }
        let unused = self.os_features.iter().filter(|feature| !candidate.os_features.contains(feature)).count();
        let unused = u32::try_from(unused).unwrap_or(FEATURES).min(FEATURES - 1);
        Some(u32::try_from(position).ok()? * FEATURES + unused)
    }

    /// On Windows, major, minor and build of the version must be the same where both have one.
    fn allows_version_of(&self, candidate: &Self) -> bool {
        let build = |version: &str| version.splitn(4, '.').take(3).map(str::to_owned).collect::<Vec<_>>();
        match (&self.os_version, &candidate.os_version) {
            (Some(own), Some(other)) if candidate.os == "windows" => build(own) == build(other),
            _ => true,
        }
    }
}

/// Go's name of an architecture, and its variant; both are lower case.
fn normalise_architecture<'a>(architecture: &'a str, variant: &'a str) -> (&'a str, &'a str) {
    match (architecture, variant) {
        ("i386", _) => ("386", ""),
        ("x86_64" | "x86-64" | "amd64", "v1") => ("amd64", ""),
        ("x86_64" | "x86-64", _) => ("amd64", variant),
        ("aarch64" | "arm64", "8" | "8.0" | "v8" | "v8.0") => ("arm64", ""),
        ("aarch64" | "arm64", "9" | "9.0" | "v9.0") => ("arm64", "v9"),
        ("aarch64", _) => ("arm64", variant),
        ("armhf", _) | ("arm", "" | "7") => ("arm", "v7"),
        ("armel", _) | ("arm", "6") => ("arm", "v6"),
        ("arm", "5") => ("arm", "v5"),
        ("arm", "8") => ("arm", "v8"),
        other => other,
    }
}

/// Architectures and variants whose programs run on this one, best first; all are normalised.
fn runs<'a>(architecture: &'a str, variant: &str) -> Vec<(&'a str, String)> {
    let mut all = vec![(architecture, variant.to_owned())];
    match (architecture, variant_version(variant)) {
        ("amd64", version) => {
            let (major, _) = version.unwrap_or((1, 0));
            all.extend((1..major).rev().map(|major| (architecture, format!("v{major}"))));
            all.push(("386", String::new()));
        }
        ("arm", Some((major, _))) => all.extend((5..major).rev().map(|major| (architecture, format!("v{major}")))),
        ("arm64", version) => {
            let minors = |major: u32, end: u32| (0..end).rev().map(move |minor| ("arm64", format!("v{major}.{minor}")));
            match if variant.is_empty() { Some((8, 0)) } else { version } {
                // Arm's v9.0 has all of v8.5, v9.1 all of v8.6, and so on up to v8.9, the last of them.
                Some((9, minor)) => {
                    all.extend(minors(9, minor));
                    all.extend(minors(8, minor.saturating_add(6).min(10)));
                }
                Some((8, minor)) => all.extend(minors(8, minor)),
                _ => return all,
            }
            all.extend(runs("arm", "v8"));
        }
        _ => {}
    }
    all
}

/// The numbers in a variant such as `v9.1`; those that no machine has are none.
fn variant_version(variant: &str) -> Option<(u32, u32)> {
    let version = variant.strip_prefix('v')?;
    let (major, minor) = version.split_once('.').unwrap_or((version, "0"));
    let number = |text: &str| text.parse().ok().filter(|n| *n < 100);
    Some((number(major)?, number(minor)?))
}

impl fmt::Display for Platform {
    /// Writes `os/architecture/variant`, the variant where there is one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = format!("{}/{}", self.os, self.architecture);
        if let Some(variant) = self.variant.as_deref().filter(|variant| !variant.is_empty()) {
            text.extend(["/", variant]);
        }
        f.pad(&text)
    }
}

impl FromStr for Platform {
    type Err = Error;

    /// Reads `os/architecture`, `os/architecture/variant`, or one of operating system and architecture
    /// alone, where the other is that of [`Platform::of_target`]. The names are normalised, except that
    /// a variant which is the architecture's plain one stays as it was given: there or not.
    fn from_str(text: &str) -> Result<Self> {
        let invalid = |reason| Error::InvalidPlatform { input: excerpt(text), reason };
        let is_component = |part: &str| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
        };
        let parts: Vec<&str> = text.splitn(4, '/').collect();
        if !parts.iter().all(|part| is_component(part)) {
            return Err(invalid("a component is empty or holds other characters than letters, digits, '_', '.', '-'"));
        }
        match parts[..] {
            [one] => from_single(one).ok_or_else(|| {
                invalid("it is no operating system or architecture that is known: write OS/ARCH[/VARIANT]")
            }),
            [os, architecture] => Ok(Self::new(os, architecture).normalised().without_plain_variant()),
            [os, architecture, variant] => {
                let platform = Self::new(os, architecture).with_variant(variant).normalised();
                let is_plain_arm64 = platform.architecture == "arm64" && platform.variant.is_none();
                Ok(if is_plain_arm64 { platform.with_variant("v8") } else { platform })
            }
            _ => Err(invalid("it has more than three components: write OS/ARCH[/VARIANT]")),
        }
    }
}

impl Platform {
    /// Takes away the variant that `arm` has by default, where none was given.
    fn without_plain_variant(self) -> Self {
        let is_plain = self.architecture == "arm" && self.variant.as_deref() == Some("v7");
        if is_plain { Self { variant: None, ..self } } else { self }
    }
}

/// An operating system or an architecture alone; the other is the target's.
fn from_single(text: &str) -> Option<Platform> {
    const SYSTEMS: [&str; 17] = [
        "aix",
        "android",
        "darwin",
        "dragonfly",
        "freebsd",
        "hurd",
        "illumos",
        "ios",
        "js",
        "linux",
        "nacl",
        "netbsd",
        "openbsd",
        "plan9",
        "solaris",
        "windows",
        "zos",
    ];
    const ARCHITECTURES: [&str; 24] = [
        "386",
        "amd64",
        "amd64p32",
        "arm",
        "arm64",
        "arm64be",
        "armbe",
        "loong64",
        "mips",
        "mips64",
        "mips64le",
        "mips64p32",
        "mips64p32le",
        "mipsle",
        "ppc",
        "ppc64",
        "ppc64le",
        "riscv",
        "riscv64",
        "s390",
        "s390x",
        "sparc",
        "sparc64",
        "wasm",
    ];
    let target = Platform::of_target();
    let as_system = Platform { os: text.to_owned(), ..target.clone() }.normalised();
    let as_architecture = Platform::new(target.os, text).normalised();
    if SYSTEMS.contains(&&*as_system.os) {
        Some(as_system.without_plain_variant())
    } else if ARCHITECTURES.contains(&&*as_architecture.architecture) {
        Some(as_architecture.without_plain_variant())
    } else {
        None
    }
}
