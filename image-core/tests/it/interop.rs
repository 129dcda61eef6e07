//! Conversions to and from the types of the `oci-spec` crate.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use image_core::{Descriptor, Digest, Document, Error, ImageConfig, ImageIndex, ImageManifest, MediaType, Platform};
use oci_spec::image as oci;
use serde::de::DeserializeOwned;

const DIGEST: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

/// Fills in digests, and reads our document.
fn ours<T: image_core::document::Body>(text: &str) -> T {
    Document::parse(text.replace("DIGEST", DIGEST).into_bytes(), "test").unwrap().into_value()
}

fn theirs<T: DeserializeOwned>(text: &str) -> T {
    serde_json::from_str(&text.replace("DIGEST", DIGEST)).unwrap()
}

/// What both crates read from `text` converts into one another.
macro_rules! check {
    ($ours:ty, $theirs:ty, $text:expr) => {{
        let (a, b): ($ours, $theirs) = (ours($text), theirs($text));
        assert_eq!(<$theirs>::try_from(&a).unwrap(), b);
        assert_eq!(<$ours>::try_from(&b).unwrap(), a);
    }};
}

#[test]
fn documents_convert_into_one_another() {
    check!(
        ImageManifest,
        oci::ImageManifest,
        r#"{"schemaVersion":2,"config":{"mediaType":"a/b","digest":"DIGEST","size":2},"layers":[]}"#
    );
    check!(
        ImageManifest,
        oci::ImageManifest,
        r#"{
            "schemaVersion": 2,
            "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "artifactType": "application/x",
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": "DIGEST", "size": 2, "data": "e30="},
            "layers": [
                {"mediaType": "application/vnd.oci.image.layer.v1.tar+zstd", "digest": "DIGEST", "size": 2, "urls": ["https://example.org"]},
                {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": "blake3:00ff", "size": 18446744073709551615}
            ],
            "subject": {"mediaType": "a/b", "digest": "DIGEST", "size": 2, "artifactType": "application/y"},
            "annotations": {"b": "2", "a": "1"}
        }"#
    );
    check!(
        ImageIndex,
        oci::ImageIndex,
        r#"{
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [
                {"mediaType": "a/b", "digest": "DIGEST", "size": 2, "platform": {"os": "linux", "architecture": "arm", "variant": "v7"}},
                {"mediaType": "a/b", "digest": "DIGEST", "size": 2, "annotations": {"k": "v"}}
            ],
            "subject": {"mediaType": "a/b", "digest": "DIGEST", "size": 2},
            "annotations": {"c": "3"}
        }"#
    );
    check!(
        ImageConfig,
        oci::ImageConfiguration,
        r#"{
            "created": "2020-01-02T03:04:05.6Z",
            "author": "me",
            "architecture": "amd64",
            "os": "windows",
            "os.version": "10.0",
            "os.features": ["win32k"],
            "variant": "v2",
            "config": {
                "User": "1:2", "ExposedPorts": {"80/tcp": {}}, "Env": ["A=1"], "Entrypoint": ["/e"], "Cmd": [],
                "Volumes": {"/v": {}}, "WorkingDir": "/w", "Labels": {"l": "m"}, "StopSignal": "SIGINT"
            },
            "rootfs": {"type": "layers", "diff_ids": ["DIGEST"]},
            "history": [{"created": "2020-01-02T03:04:05Z", "created_by": "x", "author": "y", "comment": "z", "empty_layer": true}]
        }"#
    );
}

#[test]
fn platforms_convert_whatever_their_json_is_called() {
    let mut ours = Platform::new("windows", "armbe").with_variant("v1");
    ours.os_version = Some("10".into());
    ours.os_features = vec!["win32k".into()];
    ours.extra.insert("features".into(), ["sse4"].as_slice().into());
    let theirs = oci::Platform::from(&ours);
    assert_eq!(theirs.architecture(), &oci::Arch::ARMbe);
    assert_eq!(theirs.os(), &oci::Os::Windows);
    assert_eq!(theirs.os_version().as_deref(), Some("10"));
    assert_eq!(theirs.features().as_deref(), Some(&["sse4".to_owned()][..]));
    assert_eq!(Platform::from(&theirs), ours);
    let config = ImageConfig::new(&ours);
    let config = oci::ImageConfiguration::try_from(&config).unwrap();
    assert_eq!(config.architecture(), &oci::Arch::ARMbe);
    assert_eq!(config.os_version().as_deref(), Some("10"));
}

#[test]
fn fields_that_they_do_not_hold_are_lost() {
    let manifest: ImageManifest =
        ours(r#"{"schemaVersion":2,"config":{"mediaType":"a/b","digest":"DIGEST","size":2,"x":1},"layers":[],"y":2}"#);
    let back = ImageManifest::try_from(&oci::ImageManifest::try_from(&manifest).unwrap()).unwrap();
    assert!(back.extra.is_empty() && back.config.extra.is_empty());
    assert_eq!(back.config.digest, manifest.config.digest);
    let config: ImageConfig =
        ours(r#"{"rootfs":{"type":"layers","diff_ids":[]},"config":{"Shell":["sh"],"Cmd":["c"]},"x":1}"#);
    let back = ImageConfig::try_from(&oci::ImageConfiguration::try_from(&config).unwrap()).unwrap();
    assert_eq!((back.config.shell, back.extra.len()), (None, 0));
    assert_eq!(back.config.cmd, config.config.cmd);
}

#[test]
fn what_either_does_not_take_is_an_error() {
    let digest: Digest = "sha384:short".parse().unwrap();
    let descriptor = Descriptor::new(MediaType::OciLayer, digest, 0);
    let error = oci::Descriptor::try_from(&descriptor).unwrap_err();
    assert!(matches!(error, Error::InvalidDigest { .. }), "{error}");
    let mut theirs = oci::ImageConfiguration::default();
    theirs.set_created(Some("yesterday".into()));
    assert!(ImageConfig::try_from(&theirs).unwrap_err().is_corrupt());
    let mut index = ImageIndex::new(vec![]);
    index.schema_version = 1 << 32;
    assert!(oci::ImageIndex::try_from(&index).unwrap_err().is_corrupt());
}
