//! Images whose content is not what is said of it.

use super::{
    LayoutCase, Limit,
    Requirement::{Accepted, ContentIsVerified, Digests, LayerBytes, NoRecursion, ZstdWindow},
    Step::{self, Copy, Find, Unpack, Verify},
};
use crate::{
    layout::{Layer, Layout, digest, gzip, zstd},
    raw_tar::{archive, dir, file},
};

const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
const PLAIN: &str = "application/vnd.oci.image.layer.v1.tar";

pub(super) fn cases() -> Vec<LayoutCase> {
    [blobs(), streams(), diff_ids(), accepted(), bombs(), digests()].concat()
}

fn tar() -> Vec<u8> {
    archive(&[dir("d"), file("d/f", "content".repeat(500))])
}

fn first() -> Layer {
    Layer::plain(&archive(&[file("first", "x")]))
}

/// A whole layer, then this one.
fn stack(layer: Layer) -> Layout {
    Layout::of(&[first(), layer])
}

fn verified(name: &'static str, layer: Layer, refused: &'static [(Step, &'static str)]) -> LayoutCase {
    LayoutCase::new(ContentIsVerified, name, stack(layer), refused)
}

fn blobs() -> Vec<LayoutCase> {
    let mut flipped = tar();
    flipped[600] ^= 1;
    let mut unused = tar();
    *unused.last_mut().expect("an end") ^= 1;
    let corrupt: &[(Step, &str)] = &[
        (Verify, "it hashes to"),
        (Copy, "content is corrupt: it hashes to"),
        (Unpack, "content is corrupt: it hashes to"),
    ];
    let mut shorter = Layer::gzip(&tar());
    let mut longer = shorter.clone();
    shorter.described.size = (shorter.described.size.parse::<u64>().expect("a size") - 1).to_string();
    longer.described.size = (longer.described.size.parse::<u64>().expect("a size") + 1).to_string();
    let sized: &[(Step, &str)] =
        &[(Verify, "where the descriptor says"), (Copy, "content is corrupt"), (Unpack, "content is corrupt")];
    let gone: &[(Step, &str)] = &[(Verify, "missing"), (Copy, "blob not found"), (Unpack, "blob not found")];
    let whole = Layer::gzip(&tar()).stored.expect("what is stored");
    vec![
        verified("one bit of a layer's content", Layer::plain(&tar()).storing(flipped), corrupt),
        verified("one bit of what no reader of tar looks at", Layer::plain(&tar()).storing(unused), corrupt),
        verified("a layer that is cut", Layer::gzip(&tar()).storing(whole[..whole.len() - 1].to_vec()), sized),
        verified("a layer with a byte more", Layer::gzip(&tar()).storing([whole, vec![0]].concat()), sized),
        verified("a size that is one too small", shorter, sized),
        verified("a size that is one too large", longer, sized),
        verified("a layer that is missing", Layer { stored: None, ..Layer::gzip(&tar()) }, gone),
    ]
}

fn streams() -> Vec<LayoutCase> {
    let corrupt: &[(Step, &str)] = &[(Verify, "corrupt gzip stream"), (Unpack, "corrupt gzip stream")];
    let corrupt_zstd: &[(Step, &str)] = &[(Verify, "corrupt zstd stream"), (Unpack, "corrupt zstd stream")];
    let changed = |at_end: usize| {
        let mut stored = gzip(&tar());
        let at = stored.len() - at_end;
        stored[at] ^= 1;
        Layer::new(GZIP, stored, &tar())
    };
    let whole = gzip(&tar());
    let second = [whole.clone(), whole[..20].to_vec()].concat();
    let mut checksum = zstd(&tar());
    *checksum.last_mut().expect("a checksum") ^= 1;
    let cut = zstd(&tar());
    vec![
        verified("a checksum of gzip that is wrong", changed(8), corrupt),
        verified("a length of gzip that is wrong", changed(4), corrupt),
        verified("a stream of gzip that is cut", Layer::new(GZIP, whole[..whole.len() - 9].to_vec(), &tar()), corrupt),
        verified("a second member of gzip that is cut", Layer::new(GZIP, second, &tar()), corrupt),
        verified("a checksum of zstd that is wrong", Layer::new(ZSTD, checksum, &tar()), corrupt_zstd),
        verified("a stream of zstd that is cut", Layer::new(ZSTD, cut[..cut.len() - 6].to_vec(), &tar()), corrupt_zstd),
    ]
}

fn diff_ids() -> Vec<LayoutCase> {
    let wrong = || Layer { diff_id: digest(b"another"), ..Layer::gzip(&tar()) };
    let trailing = |tail: &[u8]| [tar(), vec![0; 9000], tail.to_vec()].concat();
    let lie: &[(Step, &str)] = &[(Verify, "its diffID is"), (Unpack, "but its diffID is")];
    let counts: &[(Step, &str)] = &[(Find, "layers"), (Verify, "layers"), (Unpack, "layers")];
    let kind: &[(Step, &str)] = &[(Find, "\"layers\""), (Verify, "layers"), (Unpack, "\"layers\"")];
    let layers = [first(), Layer::gzip(&tar())];
    let config = |change: &dyn Fn(&str) -> String| Layout::edited(&layers, change, &str::to_owned);
    let case = |name, layout, refused| LayoutCase::new(ContentIsVerified, name, layout, refused);
    vec![
        verified("a diffID of another layer", wrong(), lie),
        verified(
            "a diffID that leaves out what follows the end of the archive",
            Layer::new(GZIP, gzip(&trailing(b"more")), &trailing(b"")),
            lie,
        ),
        case("a diffID too few", config(&|json| json.replacen(&format!("\"{}\",", layers[0].diff_id), "", 1)), counts),
        case(
            "a diffID too many",
            config(&|json| json.replace("\"diff_ids\":[", &format!("\"diff_ids\":[\"{}\",", layers[0].diff_id))),
            counts,
        ),
        case("diffIDs of another kind", config(&|json| json.replace("\"layers\"", "\"squashfs\"")), kind),
    ]
}

fn accepted() -> Vec<LayoutCase> {
    let case = |name, layer| LayoutCase::new(Accepted, name, stack(layer), &[]);
    let (one, other) = (tar()[..700].to_vec(), tar()[700..].to_vec());
    let skippable = [b"\x50\x2a\x4d\x18\x03\0\0\0abc".to_vec(), zstd(&one), zstd(&other)].concat();
    let named =
        [b"\x1f\x8b\x08\x1c\0\0\0\0\0\x03\x02\0abname\0comment\0".to_vec(), gzip(&one)[10..].to_vec(), gzip(&other)]
            .concat();
    let all: Vec<Layer> = (0..300).map(|n| Layer::plain(&archive(&[file(format!("f{n}"), "x")]))).collect();
    vec![
        case("members of gzip, one with a name and a comment", Layer::new(GZIP, named, &tar())),
        case("frames of zstd, and one to be skipped", Layer::new(ZSTD, skippable, &tar())),
        case("a plain stream that is said to be gzip", Layer::new(GZIP, tar(), &tar())),
        case("a stream of gzip that is said to be plain", Layer::new(PLAIN, gzip(&tar()), &tar())),
        case(
            "Docker's name for a layer",
            Layer::new("application/vnd.docker.image.rootfs.diff.tar.gzip", gzip(&tar()), &tar()),
        ),
        case("zeros after the end of the archive", Layer::gzip(&[tar(), vec![0; 20_000]].concat())),
        LayoutCase::new(Accepted, "no layers", Layout::of(&[]), &[]),
        LayoutCase::new(Accepted, "one layer thrice", Layout::of(&[first(), first(), first()]), &[]),
        LayoutCase::new(Accepted, "300 layers", Layout::of(&all), &[]),
    ]
}

/// Streams that are a thousand times as long as what is stored, within a limit on plain bytes.
fn bombs() -> Vec<LayoutCase> {
    const PLAIN_BYTES: usize = 32 << 20;
    let big = archive(&[file("big", vec![0; PLAIN_BYTES])]);
    let zeros = [archive(&[file("f", "x")]), vec![0; PLAIN_BYTES]].concat();
    let limit = Limit::LayerBytes(1 << 20);
    let refused: &[(Step, &str)] = &[(Unpack, "exceed the limit of 1048576")];
    let case = |name, layer| LayoutCase::new(LayerBytes, name, stack(layer), refused).with_limit(limit);
    let members = gzip(&[]).repeat(20_000);
    let stored = [gzip(&tar()), members].concat();
    let frames = [zstd(&tar()), zstd(&[]).repeat(20_000)].concat();
    // A frame that says that its window has 2 GiB.
    let window = [b"\x28\xb5\x2f\xfd\x00\xa8".to_vec(), zstd(&tar())[6..].to_vec()].concat();
    let too_wide: &[(Step, &str)] = &[(Verify, "zstd"), (Unpack, "zstd")];
    vec![
        case("a file of zeros, 1000:1, by gzip", Layer::gzip(&big)),
        case("a file of zeros, 1000:1, by zstd", Layer::zstd(&big)),
        case("zeros after the archive, 1000:1, by gzip", Layer::gzip(&zeros)),
        case("zeros after the archive, 1000:1, by zstd", Layer::zstd(&zeros)),
        LayoutCase::new(NoRecursion, "20000 empty members of gzip", stack(Layer::new(GZIP, stored, &tar())), &[]),
        LayoutCase::new(NoRecursion, "20000 empty frames of zstd", stack(Layer::new(ZSTD, frames, &tar())), &[]),
        LayoutCase::new(ZstdWindow, "a window of 2 GiB", stack(Layer::new(ZSTD, window, &tar())), too_wide),
    ]
}

fn digests() -> Vec<LayoutCase> {
    let all = |name, text: &'static str, said: &'static [(Step, &'static str)]| {
        let layers = [first()];
        let (digest, text) = (layers[0].described.digest.clone(), text.to_owned());
        let layout = Layout::edited(&layers, &str::to_owned, &move |json| json.replace(&digest, &text));
        LayoutCase::new(Digests, name, layout, said)
    };
    let invalid: &[(Step, &str)] = &[(Find, "digest"), (Verify, "digest"), (Copy, "digest"), (Unpack, "digest")];
    const HEX: &str = "0000000000000000000000000000000000000000000000000000000000000000";
    assert_eq!(HEX.len(), 64);
    vec![
        all("a digest that climbs", "sha256:../../../../etc/passwd", invalid),
        all(
            "a digest in capital letters",
            "sha256:ABCDEF0000000000000000000000000000000000000000000000000000000000",
            invalid,
        ),
        all("a digest that is too short", "sha256:00", invalid),
        all(
            "a digest that is too long",
            "sha256:00000000000000000000000000000000000000000000000000000000000000000",
            invalid,
        ),
        all("a digest without an algorithm", HEX, invalid),
        all("a digest with a slash in its algorithm", "sha256/../x:00", invalid),
        all("a digest with NUL", "sha256:\\u0000000000000000000000000000000000000000000000000000000000000000", invalid),
        all("no digest", "", invalid),
        all(
            "a digest of an algorithm that nobody knows",
            "blake9:00",
            &[(Verify, "not verified"), (Copy, "blake9:00"), (Unpack, "blake9:00")],
        ),
    ]
}
