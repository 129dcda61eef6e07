//! The most memory that a program takes at any time, which has nothing to do with how large the image is.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    process::Command,
};

use image_core::{
    Digest,
    hasher::{Hasher, HashingReader},
};
use serde_json::json;
use test_support::{
    raw_tar::{Raw, file},
    require_tool, temp_dir, tool,
};

use crate::{
    base_image::{Form, base_image},
    program::{self, Said, program},
    project::{Built, Project},
};

/// In bytes.
pub(crate) const MOST: u64 = 128 << 20;

/// Of the largest file, in bytes.
const LARGE: usize = 96 << 20;

/// How many small files there are.
const FILES: usize = 20_000;

#[test]
fn building_and_unpacking_a_large_image_stays_small() {
    if !require_tool("time") {
        return;
    }
    let Some(base) = base_image(Form::Gzip) else { return };
    let dockerfile =
        "FROM localhost/base:1 AS files\nCOPY . /files/\nFROM localhost/base:1\nCOPY --from=files /files /copied\n";
    let project = Project::on(base, dockerfile);
    write_noise(&project.context("large"), LARGE);
    for file in 0..FILES {
        let directory = project.context(&format!("small/{:03}", file / 100));
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join(format!("file-{file:05}")), file.to_string()).unwrap();
    }
    let first = peak(&mut project.command());
    let second = peak(&mut project.command());
    let tree = temp_dir();
    let mut unpack = program("unpack");
    let unpacked = peak(unpack.arg("--rootless").arg(project.image()).arg(tree.path().join("tree")));
    let verified = peak(program("verify").arg(project.output()));
    for (what, bytes) in [("build", first), ("cached build", second), ("unpack", unpacked), ("verify", verified)] {
        println!("{what}: {} MiB at most", bytes >> 20);
        assert!(bytes < MOST, "{what} takes {bytes} bytes of memory");
    }
}

#[test]
fn many_steps_and_many_stages_stay_small_too() {
    if !require_tool("time") {
        return;
    }
    let stages: String = (0..40).map(|at| format!("FROM scratch AS s{at}\nCOPY {at} /{at}\nCOPY all /all\n")).collect();
    let copies: String = (0..40).map(|at| format!("COPY --from=s{at} /{at} /{at}\n")).collect();
    let wide = Project::new(&format!("{stages}FROM scratch\n{copies}"));
    let steps: String = (0..200).map(|at| format!("COPY {} /{at}\n", at % 40)).collect();
    let long = Project::new(&format!("FROM scratch\n{steps}"));
    for project in [&wide, &long] {
        for directory in 0..40 {
            for file in 0..50 {
                project.write(&format!("{directory}/{file}"), format!("{directory} {file}"));
            }
            write_noise(&project.context(&format!("{directory}/large")), 256 << 10);
        }
        write_noise(&project.context("all"), 16 << 20);
    }
    for (name, project, count) in [("40 stages", &wide, 161), ("200 steps", &long, 201)] {
        let first = peak(project.command().args(["--jobs", "8"]));
        let built = Built::of(project.command().args(["--jobs", "8"]));
        assert_eq!(built.cached().len(), count, "{name}");
        let again = peak(project.command().args(["--jobs", "1"]));
        for (what, bytes) in [("built", first), ("built again", again)] {
            println!("{name}, {what}: {} MiB at most", bytes >> 20);
            assert!(bytes < MOST, "{name}, {what}: {bytes} bytes of memory");
        }
    }
}

/// Of load and save, in bytes.
const MOST_OF_ARCHIVES: u64 = 64 << 20;

/// An archive of an image with three layers of some 200 MiB each, one for each way in which they are stored.
fn large_archive(dir: &Path) -> PathBuf {
    let members = dir.join("members");
    fs::create_dir(&members).unwrap();
    let forms: [(&str, &[&str]); 3] =
        [("0.tar", &[]), ("1.tar.gz", &["gzip", "-1"]), ("2.tar.zst", &["zstd", "--quiet", "--rm"])];
    let mut diff_ids = Vec::new();
    for (number, (_, compress)) in (0..).zip(forms) {
        // Zeros are a tar of nothing, and cost the disk nothing. No two layers are the same.
        let path = members.join(format!("{number}.tar"));
        File::create(&path).unwrap().set_len((200 + number) << 20).unwrap();
        let mut hashed = HashingReader::new(File::open(&path).unwrap(), Hasher::sha256());
        io::copy(&mut hashed, &mut io::sink()).unwrap();
        diff_ids.push(hashed.into_parts().1.finish().to_string());
        if let Some((program, arguments)) = compress.split_first() {
            tool::run(Command::new(program).args(arguments).arg(&path));
        }
    }
    let names = forms.map(|(name, _)| name);
    let config = json!({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}});
    let manifest = json!([{"Config": "config.json", "RepoTags": ["localhost/large:1"], "Layers": names}]);
    fs::write(members.join("config.json"), config.to_string()).unwrap();
    fs::write(members.join("manifest.json"), manifest.to_string()).unwrap();
    let archive = dir.join("large.tar");
    tool::run(
        Command::new("tar").arg("--create").arg("--file").arg(&archive).arg("--directory").arg(&members).arg("."),
    );
    archive
}

#[test]
fn loading_and_saving_a_large_image_stays_smaller_still() {
    if !["time", "tar", "gzip", "zstd"].into_iter().all(require_tool) {
        return;
    }
    let dir = temp_dir();
    let at = |name: &str| dir.path().join(name);
    let archive = large_archive(dir.path());
    let layout = at("layout");
    let loaded = peak(program("load").arg(&archive).arg(&layout));
    let save = |format: &str| {
        let image = program::image(&layout, "localhost/large:1");
        peak(program("save").args(["--format", format]).arg(image).arg(at(format)))
    };
    let (docker, oci) = (save("docker"), save("oci"));
    assert!(fs::metadata(at("docker")).unwrap().len() > 600 << 20);
    let again = peak(program("load").arg(at("docker")).arg(at("again")));
    for (what, bytes) in [("load", loaded), ("save", docker), ("save as OCI", oci), ("load again", again)] {
        println!("{what}: {} MiB at most", bytes >> 20);
        assert!(bytes < MOST_OF_ARCHIVES, "{what} takes {bytes} bytes of memory");
    }
}

/// All of them wait until the last one was read.
#[test]
fn loading_an_image_of_many_layers_stays_as_small() {
    if !require_tool("time") {
        return;
    }
    let layers: Vec<_> = (0..120).map(|number| vec![0; (2 << 20) + 512 * number]).collect();
    let diff_ids: Vec<_> = layers.iter().map(|layer| Digest::sha256_of(layer).to_string()).collect();
    let names: Vec<_> = (0..layers.len()).map(|number| format!("{number}.tar")).collect();
    let config = json!({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}});
    let manifest = json!([{"Config": "config.json", "RepoTags": ["localhost/many:1"], "Layers": names}]);
    let members = names.iter().zip(layers).map(|(name, layer)| file(name.clone(), layer));
    let documents = [file("config.json", config.to_string()), file("manifest.json", manifest.to_string())];
    let dir = temp_dir();
    let archive = dir.path().join("many.tar");
    fs::write(&archive, members.chain(documents).collect::<Vec<_>>().concat()).unwrap();
    for (what, arguments) in [("as they are", &[][..]), ("compressed", &["--compression", "gzip:1"])] {
        let bytes = peak(program("load").args(arguments).arg(&archive).arg(dir.path().join(what)));
        println!("{what}: {} MiB at most", bytes >> 20);
        assert!(bytes < MOST_OF_ARCHIVES, "{what} they take {bytes} bytes of memory");
    }
}

/// Of load where an archive has as many members as it may, in bytes: some hundred for each.
const MOST_OF_MEMBERS: u64 = 160 << 20;

/// What an archive of a stranger is, how it is made, and what is said of it where it is refused.
type Greedy = (&'static str, fn() -> Vec<u8>, Option<&'static str>);

/// Archives that ask for much.
const GREEDY: [Greedy; 5] = [
    ("a million members", || many(1_000_000), Some("neither a file manifest.json")),
    ("more than a million members", || many(1_000_001), Some("limit of 1000000")),
    ("256 MiB of zeros", || [file("zeros", vec![0; 256 << 20]), none()].concat(), None),
    ("an extended header of 4 GiB", || Raw::new(b'x', b"big", 1 << 32).block(), Some("extended headers")),
    ("100 MiB of what looks like documents", || [documents(100), none()].concat(), None),
];

fn many(count: usize) -> Vec<u8> {
    (0..count).flat_map(|n| file(format!("{n}"), "")).collect()
}

fn documents(count: usize) -> Vec<u8> {
    (0..count).flat_map(|n| file(format!("{n}"), vec![b'['; (1 << 20) + n])).collect()
}

/// The `manifest.json` of no images.
fn none() -> Vec<u8> {
    file("manifest.json", "[]")
}

#[test]
fn loading_what_strangers_made_stays_small_too() {
    if !["time", "zstd"].into_iter().all(require_tool) {
        return;
    }
    let dir = temp_dir();
    let (plain, packed) = (dir.path().join("archive"), dir.path().join("archive.zst"));
    for (number, (name, make, refused)) in GREEDY.into_iter().enumerate() {
        fs::write(&plain, make()).unwrap();
        tool::run(Command::new("zstd").args(["--quiet", "--force", "--rm", "-3", "-o"]).arg(&packed).arg(&plain));
        let layout = dir.path().join(format!("layout-{number}"));
        let (said, bytes) = timed(program("load").arg(&packed).arg(&layout));
        println!("{name}: {} MiB at most", bytes >> 20);
        match refused {
            None => assert_eq!(said.status, Some(0), "{name}: {said}"),
            Some(text) => assert!(said.status == Some(1) && said.stderr.contains(text), "{name}: {said}"),
        }
        assert!(bytes < MOST_OF_MEMBERS, "{name} takes {bytes} bytes of memory");
        fs::remove_dir_all(layout).unwrap();
    }
}

/// Runs a program and gives the size of the most memory that it had resident, in bytes.
pub(crate) fn peak(command: &mut Command) -> u64 {
    let (said, peak) = timed(command);
    assert_eq!(said.status, Some(0), "{command:?}: {said}");
    peak
}

fn timed(command: &mut Command) -> (Said, u64) {
    let dir = temp_dir();
    let report = dir.path().join("peak");
    let mut timed = Command::new("time");
    timed.args(["--format=%M", "--output"]).arg(&report).arg(command.get_program()).args(command.get_args());
    let said = program::run(timed.env_remove("SOURCE_DATE_EPOCH"));
    // A line about the exit status goes before, where that is not 0.
    let kibibytes: u64 = fs::read_to_string(report).unwrap().lines().last().unwrap().parse().unwrap();
    (said, kibibytes << 10)
}

/// Writes bytes that do not compress, the same each time.
fn write_noise(path: &Path, size: usize) {
    let mut file = BufWriter::new(File::create(path).unwrap());
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..size / 8 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        file.write_all(&state.to_le_bytes()).unwrap();
    }
    file.flush().unwrap();
}
