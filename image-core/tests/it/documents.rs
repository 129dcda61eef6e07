//! Manifests, indexes and configs: read leniently where that is harmless, refused where it is ambiguous.

#![expect(clippy::unwrap_used, reason = "tests fail by panic")]

use image_core::{
    ContainerConfig, Descriptor, Digest, Document, History, ImageConfig, ImageIndex, ImageManifest, MediaType,
    Platform, Timestamp, document::Body,
};

const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn manifest(fields: &str) -> String {
    format!(
        r#"{{"schemaVersion":2,"config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{EMPTY}","size":0}}{fields}}}"#
    )
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

fn refused<T: Body + std::fmt::Debug>(text: &str, expected: &str) {
    let error = Document::<T>::parse(text.as_bytes().to_vec(), "under test").unwrap_err();
    let text = chain(&error);
    assert!(text.contains(expected), "{text:?} does not say {expected:?}");
    assert!(text.contains("under test"), "{text:?} does not name the document");
    assert!(error.is_corrupt(), "{error:?}");
}

#[test]
fn what_real_tools_write_is_read() {
    for text in [
        manifest(""),
        manifest(r#","layers":null"#),
        manifest(r#","layers":[],"annotations":null"#),
        manifest(r#","mediaType":"application/vnd.docker.distribution.manifest.v2+json","layers":[]"#),
        manifest(r#","mediaType":"","layers":[]"#),
        manifest(r#","layers":[],"somethingNew":{"a":[1,2.5,null]}"#),
    ] {
        let document = Document::<ImageManifest>::parse(text.clone().into_bytes(), "x").unwrap();
        assert!(document.value().layers.is_empty());
        assert_eq!(&document.bytes()[..], text.as_bytes(), "bytes are kept as they are");
        assert_eq!(*document.digest(), Digest::sha256_of(text.as_bytes()));
    }
    let config = r#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":null},"config":null}"#;
    let config = Document::<ImageConfig>::parse(config.as_bytes(), "x").unwrap();
    assert!(config.value().history.is_empty());

    let config = r#"{"architecture":null,"os":null,"created":"2015-04-21T18:18:45.185+02:00","history":null,
        "config":{"Entrypoint":"/init","Cmd":["a"],"Shell":null,"Env":null,"Labels":null,"OnBuild":null,"User":null,
        "ExposedPorts":{"80/tcp":{},"81/tcp":null,"82/tcp":{"new":1}},"Volumes":{"/data":null}},
        "rootfs":{"type":"layers","diff_ids":[]}}"#;
    let config = Document::<ImageConfig>::parse(config.as_bytes(), "x").unwrap().into_value();
    assert_eq!(config.created.unwrap().to_string(), "2015-04-21T16:18:45.185Z");
    assert_eq!(config.config.entrypoint, Some(vec!["/init".into()]));
    assert_eq!((config.config.cmd, config.config.shell), (Some(vec!["a".into()]), None));
    assert_eq!((config.config.exposed_ports.len(), config.config.volumes.len()), (3, 1));
}

#[test]
fn a_document_of_more_values_than_any_needs_is_refused() {
    let zeros = |count: usize| format!(r#","x":[{}]"#, vec!["0"; count].join(","));
    let text = manifest(&zeros(390_000));
    assert!(Document::<ImageManifest>::parse(text.into_bytes(), "x").is_ok());
    refused::<ImageManifest>(&manifest(&zeros(400_000)), "more than 400000 values");
    let entries = vec![r#"{"digest":"a:b","size":1}"#; 300_000].join(",");
    refused::<ImageIndex>(&format!(r#"{{"schemaVersion":2,"manifests":[{entries}]}}"#), "more than 400000 values");
}

#[test]
fn what_is_ambiguous_or_malformed_is_refused() {
    refused::<ImageManifest>(&manifest(r#","layers":[],"layers":[]"#), "\"layers\" twice in one object");
    refused::<ImageManifest>(&manifest(r#","layers":[],"x":{"a":1,"a":2}"#), "\"a\" twice in one object");
    refused::<ImageManifest>(&manifest(r#","layers":[],"manifests":[]"#), "could be read as an index");
    refused::<ImageManifest>(&manifest(r#","mediaType":"application/vnd.oci.image.index.v1+json""#), "mediaType is");
    refused::<ImageManifest>(&format!("{} {{}}", manifest("")), "trailing characters");
    refused::<ImageManifest>("", "EOF");
    refused::<ImageManifest>(&manifest("").replace(":2,", ":1,"), "schemaVersion is 1");
    refused::<ImageManifest>(&manifest("").replace("\"schemaVersion\":2,", ""), "missing field `schemaVersion`");
    refused::<ImageManifest>(&manifest("").replace("\"size\":0", "\"size\":-1"), "invalid value: integer `-1`");
    refused::<ImageManifest>(&manifest("").replace("\"size\":0", "\"size\":0.5"), "invalid type: floating point");
    refused::<ImageManifest>(&manifest("").replace("\"size\":0", "\"size\":\"0\""), "invalid type: string");
    refused::<ImageManifest>(&manifest("").replace(",\"size\":0", ""), "missing field `size`");
    refused::<ImageManifest>(&manifest("").replace("sha256:", "sha256:../../"), "invalid digest");
    refused::<ImageManifest>(&manifest("").replace("\"config\"", "\"Config\""), "missing field `config`");
    refused::<ImageIndex>(r#"{"schemaVersion":2,"manifests":[],"layers":[]}"#, "could be read as a manifest");
    refused::<ImageIndex>(r#"{"schemaVersion":2,"manifests":[],"config":null}"#, "could be read as a manifest");
    refused::<ImageConfig>(r#"{"rootfs":{"type":"windows","diff_ids":[]}}"#, "rootfs.type");
    refused::<ImageConfig>(r#"{"os":"linux"}"#, "missing field `rootfs`");
    let deep = format!(r#"{{"schemaVersion":2,"manifests":[],"x":{}1{}}}"#, "[".repeat(200), "]".repeat(200));
    refused::<ImageIndex>(&deep, "recursion limit");
    let many = format!(",\"layers\":[{}]", vec![format!(r#"{{"digest":"{EMPTY}","size":0}}"#); 4097].join(","));
    refused::<ImageManifest>(&manifest(&many), "more than the limit of 4096");
}

#[test]
fn a_descriptor_and_its_document_agree_on_the_media_type() {
    let text = manifest(r#","mediaType":"application/vnd.oci.image.manifest.v1+json""#);
    let descriptor = |media_type| Descriptor::new(media_type, Digest::sha256_of(text.as_bytes()), text.len() as u64);
    let parse = |media_type| Document::<ImageManifest>::parse_for(text.clone().into_bytes(), &descriptor(media_type));
    assert!(parse(MediaType::OciManifest).is_ok());
    assert!(parse(MediaType::default()).is_ok());
    let error = parse(MediaType::DockerManifest).unwrap_err().to_string();
    assert!(error.contains("its descriptor says \"application/vnd.docker"), "{error}");
}

#[test]
fn unknown_fields_survive_an_edit() {
    let text = manifest(r#","layers":[],"x":{"z":1,"a":[true]},"annotations":{"k":"v"}"#);
    let mut manifest = Document::<ImageManifest>::parse(text.into_bytes(), "x").unwrap().into_value();
    manifest.annotations.insert("new".into(), "1".into());
    let edited = Document::new(manifest).unwrap();
    let json: serde_json::Value = serde_json::from_slice(edited.bytes()).unwrap();
    assert_eq!(json["x"], serde_json::json!({"z": 1, "a": [true]}));
    assert_eq!(json["annotations"], serde_json::json!({"k": "v", "new": "1"}));
}

#[test]
fn json_is_written_as_go_writes_it() {
    let mut config = ImageConfig::new(&Platform::new("linux", "amd64"));
    config.config = ContainerConfig::default();
    config.config.env = vec!["A=<a> & \u{2028}\u{2029}\u{e9}".into()];
    config.config.cmd = Some(Vec::new());
    config.created = Timestamp::new(1_700_000_000, 120_000_000);
    config.history = vec![History::new(Timestamp::from_seconds(0), "CMD [\"sh\"]").without_layer()];
    let document = Document::new(config).unwrap();
    assert_eq!(
        std::str::from_utf8(document.bytes()).unwrap(),
        concat!(
            r#"{"architecture":"amd64","config":{"Env":["A=\u003ca\u003e \u0026 \u2028\u2029é"],"Cmd":[]},"#,
            r#""created":"2023-11-14T22:13:20.12Z","#,
            r#""history":[{"created":"1970-01-01T00:00:00Z","created_by":"CMD [\"sh\"]","empty_layer":true}],"#,
            r#""os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#,
        ),
    );
}

#[test]
fn fields_of_a_manifest_stand_in_the_order_of_the_specification() {
    let config = Descriptor::new(MediaType::OciConfig, EMPTY.parse().unwrap(), 0).with_annotation("b", "2");
    let manifest = ImageManifest::new(config, Vec::new());
    assert_eq!(
        std::str::from_utf8(Document::new(manifest).unwrap().bytes()).unwrap(),
        format!(
            concat!(
                r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","#,
                r#""config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{}","size":0,"#,
                r#""annotations":{{"b":"2"}}}},"layers":[]}}"#
            ),
            EMPTY
        )
    );
}

/// A configuration as BuildKit writes it, of an image that was built by Docker before, with the fields of
/// both: what is read and written is the same, to the byte.
#[test]
fn a_config_of_buildkit_is_written_as_it_was() {
    let text = concat!(
        r#"{"architecture":"arm64","author":"A \u003ca@example.org\u003e","config":{"User":"app","ExposedPorts":{"80/tcp":{}},"#,
        r#""Env":["PATH=/usr/bin"],"Entrypoint":["/run"],"Cmd":["sh","-c","a \u0026\u0026 b"],"Volumes":{"/data":{}},"#,
        r#""WorkingDir":"/app","Labels":{"a":"1","b":"2"},"StopSignal":"SIGINT","ArgsEscaped":true,"#,
        r#""Healthcheck":{"Test":["CMD","true"],"Interval":5000000000,"Timeout":1000000000,"StartPeriod":2000000000,"#,
        r#""StartInterval":3000000000,"Retries":3},"OnBuild":["RUN x"],"StopTimeout":5,"Shell":["/bin/sh","-c"]},"#,
        r#""container":"0f1e","container_config":{"Hostname":"0f1e","Tty":false},"created":"2024-01-02T03:04:05.060708091Z","#,
        r#""docker_version":"24.0.7","history":[{"created":"2024-01-02T03:04:05.060708091Z","created_by":"RUN x # buildkit","#,
        r#""comment":"buildkit.dockerfile.v0"},{"created":"2024-01-02T03:04:05.060708091Z","created_by":"CMD","#,
        r#""author":"A","comment":"buildkit.dockerfile.v0","empty_layer":true}],"moby.buildkit.buildinfo.v1":"e30=","#,
        r#""os":"linux","os.features":["f"],"os.version":"1","rootfs":{"type":"layers","diff_ids":["#,
        r#""sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]},"variant":"v8","zzz":[]}"#,
    );
    let config = Document::<ImageConfig>::parse(text.as_bytes(), "config").unwrap();
    let again = Document::new(config.into_value()).unwrap();
    assert_eq!(std::str::from_utf8(again.bytes()).unwrap(), text);
}

/// Configurations that Docker Engine 20.10.24 wrote: of a build without BuildKit and of `docker import --change`.
#[test]
fn a_config_of_docker_is_written_as_it_was() {
    for text in [include_str!("documents/docker-build.json"), include_str!("documents/docker-import.json")] {
        let config = Document::<ImageConfig>::parse(text.as_bytes(), "config").unwrap();
        let again = Document::new(config.into_value()).unwrap();
        assert_eq!(std::str::from_utf8(again.bytes()).unwrap(), text);
    }
}

/// A configuration that BuildKit wrote, as Docker Engine 20.10.24 has it.
#[test]
fn a_config_that_buildkit_wrote_is_written_as_it_was() {
    let text = include_str!("documents/buildkit-build.json");
    let config = Document::<ImageConfig>::parse(text.as_bytes(), "config").unwrap();
    assert_eq!(std::str::from_utf8(Document::new(config.into_value()).unwrap().bytes()).unwrap(), text);
}

/// Manifests and indexes with the fields in the order in which BuildKit's exporter has them, which indents them: white space
/// apart, they are written as they were.
#[test]
fn manifests_of_buildkit_are_written_as_they_were_but_for_white_space() {
    fn check<T: Body>(text: &'static str) {
        let document = Document::<T>::parse(text.as_bytes(), "it").unwrap();
        assert_eq!(document.bytes(), text.as_bytes());
        let mut compact = String::new();
        let mut is_text = false;
        for c in text.chars() {
            is_text ^= c == '"';
            compact.extend(Some(c).filter(|c| is_text || !c.is_whitespace()));
        }
        assert_eq!(std::str::from_utf8(Document::new(document.into_value()).unwrap().bytes()).unwrap(), compact);
    }
    check::<ImageManifest>(include_str!("documents/buildkit-manifest.json"));
    check::<ImageManifest>(include_str!("documents/buildkit-attestation.json"));
    check::<ImageIndex>(include_str!("documents/buildkit-index.json"));
}

/// What is taken for Docker's record of a container is kept, whatever it is.
#[test]
fn a_container_s_config_that_is_none_is_kept() {
    for kept in ["7", "null", "[]", r#"{"Cmd":7,"b":1}"#, r#"{"a":[{"b":null}]}"#] {
        let text = format!(
            r#"{{"architecture":"","config":{{}},"container_config":{kept},"os":"","rootfs":{{"type":"layers","diff_ids":[]}}}}"#
        );
        let config = Document::<ImageConfig>::parse(text.clone().into_bytes(), "config").unwrap();
        assert_eq!(Document::new(config.into_value()).unwrap().bytes(), text.as_bytes());
    }
}
