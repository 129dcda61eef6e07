//! Verifying layouts: each fault is named, and nothing else.

use std::{num::NonZeroUsize, sync::Arc, sync::Mutex};

use image_core::{CancelToken, Compression, Ctx, Descriptor, DiffId, Digest, Event, MediaType};
use image_layout::fsck::{Finding, Report, VerifyOptions};

use crate::fixture::{Fixture, read};

fn verify(fixture: &Fixture) -> Report {
    fixture.layout.verify(None, &VerifyOptions::default(), &Ctx::default()).expect("the layout is verified")
}

/// An image of layers in every compression, under the name `it`, with each of its blobs.
struct Whole {
    fixture: Fixture,
    manifest: Descriptor,
    config: Descriptor,
    layers: Vec<Descriptor>,
}

fn whole() -> Whole {
    let fixture = Fixture::new();
    let compressions = [Compression::None, Compression::Gzip, Compression::Zstd, Compression::Gzip];
    let texts = ["one", "two", "three", "two"];
    let (layers, diff_ids): (Vec<_>, Vec<_>) =
        texts.iter().zip(compressions).map(|(text, compression)| fixture.layer(text, compression)).unzip();
    let config = fixture.config("linux/amd64", &diff_ids);
    let manifest = fixture.manifest(config.clone(), layers.clone());
    fixture.layout.tag("it", &fixture.index(vec![manifest.clone()])).expect("a name is given");
    Whole { fixture, manifest, config, layers }
}

/// That `report` has one finding, about `digest`, whose text and JSON are these.
#[track_caller]
fn check(report: &Report, digest: &Digest, text: &str, json: &str) {
    assert_eq!(report.findings.len(), 1, "{:#?}", report.findings);
    let finding = &report.findings[0];
    assert_eq!(&finding.digest, digest);
    let written = finding.to_string();
    assert!(written.starts_with(&format!("{digest} (")) && written.contains(text), "{written}");
    let written = serde_json::to_string(finding).expect("a finding is serialised");
    assert!(written.contains(json), "{written}");
    assert!(!report.is_clean());
}

#[test]
fn a_whole_layout() {
    let Whole { fixture, layers, .. } = whole();
    let report = verify(&fixture);
    assert!(report.is_clean(), "{:#?}", report.findings);
    assert_eq!(report.blobs, 6, "index, manifest, config and three layers, of which one is there twice");
    let sizes: u64 = layers[..3].iter().map(|layer| layer.size).sum();
    assert!(report.bytes > sizes);
    for threads in [1, 7] {
        let options = VerifyOptions::default().with_threads(NonZeroUsize::new(threads).unwrap());
        assert_eq!(fixture.layout.verify(Some("it"), &options, &Ctx::default()).unwrap(), report);
    }
    assert!(
        fixture.layout.verify(Some("other"), &VerifyOptions::default(), &Ctx::default()).unwrap_err().is_not_found()
    );
}

#[test]
fn a_missing_blob() {
    for position in 0..3 {
        let Whole { fixture, manifest, layers, .. } = whole();
        fixture.remove(&layers[position].digest);
        let place = format!("(layer {position} of {}): missing", manifest.digest);
        check(&verify(&fixture), &layers[position].digest, &place, r#""problem":"missing""#);
    }
    let Whole { fixture, manifest, config, .. } = whole();
    fixture.remove(&config.digest);
    check(&verify(&fixture), &config.digest, &format!("(config of {}): missing", manifest.digest), "missing");
    let Whole { fixture, manifest, .. } = whole();
    fixture.remove(&manifest.digest);
    check(&verify(&fixture), &manifest.digest, "(entry 0 of index sha256:", "missing");
}

#[test]
fn changed_content() {
    for position in 0..3 {
        let Whole { fixture, layers, .. } = whole();
        let layer = &layers[position];
        // One bit, in the middle or in what a decoder does not look at.
        for place in [layer.size / 2, layer.size - 1] {
            let mut bytes = read(fixture.blob_path(&layer.digest));
            bytes[usize::try_from(place).unwrap()] ^= 1;
            let actual = Digest::sha256_of(&bytes);
            fixture.corrupt(&layer.digest, &bytes);
            check(
                &verify(&fixture),
                &layer.digest,
                &format!("it hashes to {actual}"),
                r#""problem":"wrong-content","actual":"sha256"#,
            );
            bytes[usize::try_from(place).unwrap()] ^= 1;
            fixture.corrupt(&layer.digest, &bytes);
        }
    }
    let Whole { fixture, config, .. } = whole();
    fixture.corrupt(&config.digest, &vec![b' '; usize::try_from(config.size).unwrap()]);
    check(&verify(&fixture), &config.digest, "it hashes to", "wrong-content");
}

#[test]
fn changed_size() {
    let Whole { fixture, manifest, .. } = whole();
    fixture.corrupt(&manifest.digest, b"{}");
    check(
        &verify(&fixture),
        &manifest.digest,
        "2 bytes, where the descriptor says",
        r#""problem":"wrong-size","expected":"#,
    );

    let Whole { fixture, layers, .. } = whole();
    fixture.corrupt(&layers[1].digest, b"short");
    let report = verify(&fixture);
    assert_eq!(report.findings.len(), 2, "size and content: {:#?}", report.findings);

    // Two descriptors that do not agree about one blob.
    let fixture = Fixture::new();
    let (layer, diff_id) = fixture.layer("a", Compression::Gzip);
    let mut lie = layer.clone();
    lie.size += 1;
    let config = fixture.config("linux/amd64", &[diff_id.clone(), diff_id]);
    let manifest = fixture.manifest(config, vec![layer.clone(), lie]);
    fixture.layout.tag("it", &manifest).unwrap();
    check(&verify(&fixture), &layer.digest, &format!("(layer 1 of {})", manifest.digest), "wrong-size");
}

#[test]
fn wrong_diff_ids() {
    let fixture = Fixture::new();
    let (layer, diff_id) = fixture.layer("a", Compression::Zstd);
    let wrong = DiffId::from_digest(layer.digest.clone());
    let manifest = fixture.manifest(fixture.config("linux/amd64", &[wrong]), vec![layer.clone()]);
    fixture.layout.tag("it", &manifest).unwrap();
    let text = format!("its diffID is {diff_id}, where the config says {}", layer.digest);
    check(&verify(&fixture), &layer.digest, &text, r#""problem":"wrong-diff-id""#);

    let unknown = DiffId::from_digest("blake9:abc".parse().unwrap());
    let manifest = fixture.manifest(fixture.config("linux/amd64", &[unknown]), vec![layer.clone()]);
    fixture.layout.tag("it", &manifest).unwrap();
    check(&verify(&fixture), &layer.digest, "not verified", "unknown-algorithm");
}

#[test]
fn sha512_is_verified() {
    let fixture = Fixture::new();
    let (layer, _) = fixture.layer("a", Compression::Gzip);
    let mut tar = vec![0; 1024];
    tar.extend(b"a");
    tar.resize(2048, 0);
    let mut hasher =
        image_core::hasher::Hasher::for_digest(&format!("sha512:{}", "0".repeat(128)).parse().unwrap()).unwrap();
    hasher.update(&tar);
    let config = fixture.config("linux/amd64", &[DiffId::from_digest(hasher.finish())]);
    fixture.layout.tag("it", &fixture.manifest(config, vec![layer])).unwrap();
    assert!(verify(&fixture).is_clean());
}

#[test]
fn layers_and_diff_ids_that_do_not_pair_up() {
    let fixture = Fixture::new();
    let (layer, diff_id) = fixture.layer("a", Compression::Gzip);
    let config = fixture.config("linux/amd64", &[diff_id.clone(), diff_id]);
    let manifest = fixture.manifest(config, vec![layer]);
    fixture.layout.tag("it", &manifest).unwrap();
    let json = r#""problem":"layer-count","layers":1,"diff_ids":2"#;
    check(&verify(&fixture), &manifest.digest, "it has 1 layers, but its config has 2 diffIDs", json);
}

#[test]
fn layers_that_cannot_be_decompressed() {
    let fixture = Fixture::new();
    let (whole, diff_id) = fixture.layer("a", Compression::Gzip);
    let bytes = read(fixture.blob_path(&whole.digest));
    let cut = fixture.put(&bytes[..bytes.len() - 4], MediaType::OciLayerGzip);
    fixture.layout.tag("it", &fixture.manifest(fixture.config("linux/amd64", &[diff_id]), vec![cut.clone()])).unwrap();
    check(
        &verify(&fixture),
        &cut.digest,
        "cannot be decompressed: corrupt gzip stream: ",
        r#""problem":"corrupt-layer""#,
    );
}

#[test]
fn documents_that_are_not_what_they_should_be() {
    let fixture = Fixture::new();
    let digest = Digest::sha256_of(b"");
    let config = format!(r#"{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{digest}","size":0}}"#);
    let cases = [
        (r#"{"schemaVersion":2,"manifests":[],"layers":[]}"#.to_owned(), MediaType::OciIndex, "could be read as a manifest"),
        (
            format!(r#"{{"schemaVersion":2,"config":{config},"layers":[],"manifests":[]}}"#),
            MediaType::OciManifest,
            "could be read as an index",
        ),
        (r#"{"schemaVersion":1,"manifests":[]}"#.to_owned(), MediaType::OciIndex, "schemaVersion is 1"),
        (r#"{"schemaVersion":2,"schemaVersion":2,"manifests":[]}"#.to_owned(), MediaType::OciIndex, "twice"),
        (
            r#"{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.list.v2+json","manifests":[]}"#.to_owned(),
            MediaType::OciIndex,
            "its descriptor says \"application/vnd.oci.image.index.v1+json\"",
        ),
        ("not json".to_owned(), MediaType::OciManifest, "line 1"),
        (r#"{"schemaVersion":2,"manifests":[]} {}"#.to_owned(), MediaType::OciIndex, "trailing"),
        ("[".repeat(1000), MediaType::OciIndex, "recursion"),
    ];
    for (json, media_type, reason) in cases {
        let document = fixture.put(json.as_bytes(), media_type);
        fixture.layout.tag("it", &document).unwrap();
        check(&verify(&fixture), &document.digest, reason, r#""problem":"invalid-document","reason":"#);
    }
    let large = fixture.put(&vec![b' '; (4 << 20) + 1], MediaType::OciManifest);
    fixture.layout.tag("it", &large).unwrap();
    check(&verify(&fixture), &large.digest, "limit of 4194304", "invalid-document");
}

#[test]
fn layers_of_other_media_types() {
    let fixture = Fixture::new();
    let (layer, diff_id) = fixture.layer("a", Compression::Gzip);
    let mut odd = layer;
    odd.media_type = "text/plain".into();
    fixture.layout.tag("it", &fixture.manifest(fixture.config("linux/amd64", &[diff_id]), vec![odd.clone()])).unwrap();
    check(&verify(&fixture), &odd.digest, "its media type \"text/plain\" is no layer's", "not-a-layer");
}

#[test]
fn what_may_be_missing_or_unknown() {
    let fixture = Fixture::new();
    let foreign = Descriptor::new(MediaType::DockerForeignLayerGzip, Digest::sha256_of(b"elsewhere"), 9);
    let diff_id = DiffId::from_digest(Digest::sha256_of(b"its tar"));
    let image = fixture.manifest(fixture.config("windows/amd64", &[diff_id]), vec![foreign]);
    let empty = fixture.put(b"{}", MediaType::OciEmpty);
    let artifact = fixture.manifest(empty.clone(), vec![empty, fixture.put(b"data", "text/plain".into())]);
    let unknown = fixture.put(b"anything", "application/x-unheard-of".into());
    fixture.layout.tag("it", &fixture.index(vec![image, artifact, unknown])).unwrap();
    let report = verify(&fixture);
    assert!(report.is_clean(), "{:#?}", report.findings);
    assert_eq!(report.blobs, 8);
}

#[test]
fn all_findings_in_order() {
    let Whole { fixture, manifest, config, layers } = whole();
    let second = fixture.image("linux/arm64", "second");
    fixture.layout.tag("second", &second).unwrap();
    fixture.remove(&layers[0].digest);
    fixture.remove(&layers[2].digest);
    fixture.corrupt(&second.digest, b"");
    fixture.remove(&config.digest);
    let report = verify(&fixture);
    let mut digests: Vec<&Digest> = report.findings.iter().map(|finding: &Finding| &finding.digest).collect();
    let mut blobs = vec![&layers[0].digest, &layers[2].digest];
    blobs.sort();
    // Documents from the top down, by index.json's order, then blobs by digest.
    assert_eq!(digests.split_off(2), blobs);
    assert_eq!(digests, [&second.digest, &config.digest]);
    assert!(report.findings[2].place.contains(&manifest.digest.to_string()));
    for threads in [1, 5] {
        let options = VerifyOptions::default().with_threads(NonZeroUsize::new(threads).unwrap());
        assert_eq!(fixture.layout.verify(None, &options, &Ctx::default()).unwrap(), report);
    }
    let second_alone = fixture.layout.verify(Some("second"), &VerifyOptions::default(), &Ctx::default()).unwrap();
    assert_eq!(second_alone.findings.len(), 1);
}

#[test]
fn unreachable_blobs() {
    let Whole { fixture, .. } = whole();
    let stray = fixture.put(b"stray", MediaType::default());
    let options = VerifyOptions::default().with_unreachable();
    let all = |fixture: &Fixture| fixture.layout.verify(None, &options, &Ctx::default()).unwrap();
    assert!(all(&fixture).is_clean());
    assert_eq!(all(&fixture).blobs, verify(&fixture).blobs + 1);
    fixture.corrupt(&stray.digest, b"changed");
    assert!(verify(&fixture).is_clean());
    check(&all(&fixture), &stray.digest, "(unreachable): corrupt", "wrong-content");
}

#[test]
fn progress_and_cancellation() {
    let Whole { fixture, layers, .. } = whole();
    let bytes = Arc::new(Mutex::new((0, 0)));
    let seen = Arc::clone(&bytes);
    let observer = move |event: &Event<'_>| {
        if let Event::Advance { bytes, items, .. } = event {
            let mut seen = seen.lock().unwrap();
            *seen = (seen.0 + bytes, seen.1 + items);
        }
    };
    let ctx = Ctx::default().with_observer(Arc::new(observer));
    fixture.layout.verify(None, &VerifyOptions::default(), &ctx).unwrap();
    let sizes: u64 = layers[..3].iter().map(|layer| layer.size).sum();
    assert_eq!(*bytes.lock().unwrap(), (sizes, 3));

    let cancel = CancelToken::default();
    cancel.cancel();
    let ctx = Ctx::default().with_cancel(cancel);
    assert!(fixture.layout.verify(None, &VerifyOptions::default(), &ctx).unwrap_err().is_cancelled());
    // Between two blobs.
    let cancel = CancelToken::default();
    let cancelling = cancel.clone();
    let observer = move |event: &Event<'_>| {
        if matches!(event, Event::Advance { .. }) {
            cancelling.cancel();
        }
    };
    let ctx = Ctx::default().with_cancel(cancel).with_observer(Arc::new(observer));
    assert!(fixture.layout.verify(None, &VerifyOptions::default(), &ctx).unwrap_err().is_cancelled());
}

#[test]
fn a_config_that_images_share() {
    let fixture = Fixture::new();
    let (layer, diff_id) = fixture.layer("a", Compression::Gzip);
    let (other, _) = fixture.layer("b", Compression::Gzip);
    let config = fixture.config("linux/amd64", &[diff_id]);
    let right = fixture.manifest(config.clone(), vec![layer]);
    let wrong = fixture.manifest(config.clone(), vec![other.clone()]);
    fixture.layout.tag("it", &fixture.index(vec![right, wrong.clone()])).unwrap();
    check(&verify(&fixture), &other.digest, &format!("(layer 0 of {})", wrong.digest), "wrong-diff-id");
    // What is wrong with it is said once.
    fixture.remove(&config.digest);
    check(&verify(&fixture), &config.digest, "missing", "missing");
}

#[test]
fn indexes_that_are_too_deep_or_too_many_are_a_finding() {
    let fixture = Fixture::new();
    let mut chain = fixture.image("linux/amd64", "a");
    let mut deepest = Vec::new();
    for _ in 1..=9 {
        chain = fixture.index(vec![chain]);
        deepest.push(chain.digest.clone());
    }
    fixture.layout.tag("it", &chain).unwrap();
    check(&verify(&fixture), &deepest[0], "limit of 8", r#""problem":"invalid-document""#);

    let fixture = Fixture::new();
    let image = fixture.image("linux/amd64", "a");
    let index = |n: usize| fixture.index(vec![image.clone().with_annotation("n", n.to_string())]);
    let many: Vec<Descriptor> = (0..1000).map(index).collect();
    let last = many[999].digest.clone();
    fixture.layout.tag("it", &fixture.index(many)).unwrap();
    check(&verify(&fixture), &last, "number of indexes", r#""problem":"invalid-document""#);
}

#[test]
fn a_manifest_that_is_not_said_to_be_one() {
    let fixture = Fixture::new();
    let unsaid = |descriptor: &Descriptor| {
        let Descriptor { digest, size, .. } = descriptor;
        format!(r#"{{"schemaVersion":2,"manifests":[{{"digest":"{digest}","size":{size}}}]}}"#)
    };
    fixture.write_index(&unsaid(&fixture.image("linux/amd64", "a")));
    let report = verify(&fixture);
    assert!(report.is_clean() && report.blobs == 3, "{report:#?}");
    // What is none cannot be unpacked or copied, so it is not right.
    let index = fixture.index(Vec::new());
    fixture.write_index(&unsaid(&index));
    check(&verify(&fixture), &index.digest, "(entry 0 of index.json): ", "config");
}
