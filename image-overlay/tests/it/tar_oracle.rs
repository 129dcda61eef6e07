//! The reader on what other writers write, and other readers on what the writer writes.

use std::{
    cell::RefCell,
    io::{BufRead, BufReader, Lines, Read, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use image_core::Timestamp;
use image_overlay::{Entry, EntryKind, LayerPath, Metadata, TarWriter};
use proptest::{prelude::*, test_runner::TestRunner};
use test_support::require_tool;

use crate::{
    arb,
    raw_tar::{Seen, read},
};

/// What a command prints, given `input`.
fn run(command: &mut Command, input: &[u8]) -> Vec<u8> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let feed = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{command:?}");
    feed.join().unwrap().unwrap();
    output.stdout
}

fn write(entries: &[(Entry, Vec<u8>)]) -> Vec<u8> {
    let mut writer = TarWriter::new(Vec::new());
    for (entry, content) in entries {
        writer.append(entry, &mut &content[..]).unwrap();
    }
    writer.finish().unwrap()
}

fn find<'a>(seen: &'a [Seen], path: &str) -> &'a Seen {
    seen.iter().find(|seen| seen.entry.path.as_bytes() == path.as_bytes()).unwrap_or_else(|| panic!("no {path}"))
}

/// A directory with one of each kind that needs no privilege.
fn make_tree(root: &Path) {
    let long = root.join("d".repeat(120)).join("e".repeat(120));
    std::fs::create_dir_all(&long).unwrap();
    std::fs::write(long.join("f"), "deep").unwrap();
    std::fs::write(root.join("plain\nname"), "content").unwrap();
    std::fs::hard_link(root.join("plain\nname"), root.join("zlink")).unwrap();
    std::os::unix::fs::symlink("t".repeat(180), root.join("symlink")).unwrap();
    let mut sparse = std::fs::File::create(root.join("sparse")).unwrap();
    for i in 0..40_u64 {
        std::os::unix::fs::FileExt::write_all_at(&sparse, b"data", i * 65_536).unwrap();
    }
    sparse.set_len(41 * 65_536).unwrap();
    sparse.flush().unwrap();
}

#[test]
fn archives_of_gnu_tar() {
    if !require_tool("tar") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    make_tree(dir.path());
    for options in [
        &["--format=gnu"][..],
        &["--format=gnu", "--sparse"],
        &["--format=oldgnu", "--sparse"],
        &["--format=posix"],
        &["--format=posix", "--sparse", "--sparse-version=0.0"],
        &["--format=posix", "--sparse", "--sparse-version=0.1"],
        &["--format=posix", "--sparse", "--sparse-version=1.0"],
    ] {
        let mut tar = Command::new("tar");
        tar.args(options).args([
            "--sort=name",
            "--mtime=@1700000000",
            "--owner=3000000",
            "--group=7",
            "--numeric-owner",
        ]);
        let bytes = run(tar.args(["-c", "-C"]).arg(dir.path()).arg("."), b"");
        let seen = read(&bytes).unwrap_or_else(|e| panic!("{options:?}: {e}"));
        assert_eq!(seen.len(), 8, "{options:?}");
        for seen in &seen {
            let Metadata { uid, gid, mtime, .. } = seen.entry.metadata;
            assert_eq!((uid, gid, mtime), (3_000_000, 7, Timestamp::from_seconds(1_700_000_000)), "{options:?}");
        }
        assert_eq!((&seen[0].entry.path, &seen[0].entry.kind), (&LayerPath::root(), &EntryKind::Directory));
        let deep = format!("{}/{}/f", "d".repeat(120), "e".repeat(120));
        assert_eq!(find(&seen, &deep).content, b"deep", "{options:?}");
        assert_eq!(find(&seen, "plain\nname").content, b"content");
        assert_eq!(find(&seen, "symlink").entry.kind, EntryKind::Symlink { target: vec![b't'; 180] });
        let target = LayerPath::parse(b"plain\nname").unwrap();
        assert_eq!(find(&seen, "zlink").entry.kind, EntryKind::HardLink { target });
        let sparse = find(&seen, "sparse");
        #[expect(clippy::disallowed_methods, reason = "the file is this test's own")]
        let content = std::fs::read(dir.path().join("sparse")).unwrap();
        assert!(sparse.content == content, "{options:?}");
        assert_eq!(sparse.segments.len() > 30, options.len() > 1, "{options:?}");
    }
}

/// Lists archives, each given as its length in a line and its bytes: a line for each entry, and an empty one.
const LIST: &str = "
import sys, tarfile, io
for length in iter(sys.stdin.buffer.readline, b''):
    archive = tarfile.open(fileobj=io.BytesIO(sys.stdin.buffer.read(int(length))), errorlevel=2)
    for m in archive:
        data = archive.extractfile(m).read() if m.isreg() else b''
        fields = [m.name.rstrip('/'), m.type.decode(), m.mode, m.uid, m.gid, int(m.mtime), m.size, m.linkname, m.devmajor, m.devminor]
        sys.stdout.buffer.write(repr(fields).encode() + b' ' + data.hex().encode() + b'\\n')
    sys.stdout.buffer.write(b'\\n')
    sys.stdout.buffer.flush()
";

/// A Python that lists archives one after the other, since starting one takes longer than all else.
struct Python {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Python {
    fn start() -> Self {
        let mut python = Command::new("python3");
        let mut child = python.args(["-c", LIST]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, input, output }
    }

    fn list(&mut self, archive: &[u8]) -> Vec<String> {
        writeln!(self.input, "{}", archive.len()).unwrap();
        self.input.write_all(archive).unwrap();
        self.input.flush().unwrap();
        self.output.by_ref().map(|line| line.expect("a line")).take_while(|line| !line.is_empty()).collect()
    }

    fn end(mut self) {
        drop(self.input);
        assert!(self.child.wait().unwrap().success());
    }
}

/// An entry as the script above prints it. Names are of characters that Python prints as they are.
fn listed((entry, content): &(Entry, Vec<u8>)) -> String {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (kind, link, major, minor) = match &entry.kind {
        EntryKind::File { .. } => ('0', String::new(), 0, 0),
        EntryKind::HardLink { target } => ('1', text(target.as_bytes()), 0, 0),
        EntryKind::Symlink { target } => ('2', text(target), 0, 0),
        EntryKind::CharDevice { major, minor } => ('3', String::new(), *major, *minor),
        EntryKind::BlockDevice { major, minor } => ('4', String::new(), *major, *minor),
        EntryKind::Directory => ('5', String::new(), 0, 0),
        EntryKind::Fifo => ('6', String::new(), 0, 0),
    };
    let m = &entry.metadata;
    let name = if entry.path.is_root() { ".".to_owned() } else { text(entry.path.as_bytes()) };
    let (size, mtime) = (entry.kind.size(), m.mtime.seconds());
    let hex: String = content.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("['{name}', '{kind}', {}, {}, {}, {mtime}, {size}, '{link}', {major}, {minor}] {hex}", m.mode, m.uid, m.gid)
}

/// Entries that every reader tells alike: printable names, and times that a float holds.
fn arb_plain_entry() -> impl Strategy<Value = (Entry, Vec<u8>)> {
    let path = || prop_oneof!["[a-z]{1,9}(/[a-z ]{1,9}x){0,3}", "[a-z]{90,200}(/[a-z]{90,200}){0,2}"];
    let parsed = move || path().prop_map(|p| LayerPath::parse(p.as_bytes()).unwrap());
    (parsed(), parsed(), arb::arb_entry(), -1_000_000_i64..20_000_000_000).prop_map(
        |(path, target, (mut entry, content), seconds)| {
            if !entry.path.is_root() {
                entry.path = path;
            }
            match &mut entry.kind {
                EntryKind::Symlink { target: link } => *link = target.as_bytes().to_vec(),
                EntryKind::HardLink { target: link } => *link = target,
                _ => {}
            }
            entry.metadata.mtime = Timestamp::from_seconds(seconds);
            entry.metadata.xattrs.clear();
            (entry, content)
        },
    )
}

#[test]
fn python_reads_what_was_written() {
    if !require_tool("python3") {
        return;
    }
    let python = RefCell::new(Python::start());
    let mut runner = TestRunner::default();
    let result = runner.run(&prop::collection::vec(arb_plain_entry(), 1..12), |entries| {
        let lines = python.borrow_mut().list(&write(&entries));
        prop_assert_eq!(lines, entries.iter().map(listed).collect::<Vec<_>>());
        Ok(())
    });
    python.into_inner().end();
    result.unwrap();
}

proptest! {
    #[test]
    fn the_tar_crate_agrees_where_it_is_right(entries in prop::collection::vec(arb_plain_entry(), 1..12)) {
        let bytes = write(&entries);
        let mut archive = tar::Archive::new(&bytes[..]);
        let mut count = 0;
        for (theirs, (entry, content)) in archive.entries().unwrap().zip(&entries) {
            let mut theirs = theirs.unwrap();
            let name = theirs.path_bytes().into_owned();
            prop_assert_eq!(&LayerPath::parse(&name).unwrap(), &entry.path);
            prop_assert_eq!(name.ends_with(b"/"), entry.kind.is_directory());
            prop_assert_eq!(theirs.size(), entry.kind.size());
            let mut data = Vec::new();
            theirs.read_to_end(&mut data).unwrap();
            prop_assert_eq!(&data, content);
            count += 1;
        }
        prop_assert_eq!(count, entries.len());
    }
}

#[test]
fn gnu_tar_reads_what_was_written() {
    if !require_tool("tar") {
        return;
    }
    let metadata = Metadata::new(0o640).with_owner(3_000_000, 8).with_mtime(Timestamp::from_seconds(-5));
    let long = format!("{}/ü\u{202e}", "n".repeat(200));
    let file = |name: &str| {
        Entry::new(LayerPath::parse(name.as_bytes()).unwrap(), EntryKind::File { size: 2 }, metadata.clone())
    };
    let bytes = write(&[(file("a"), b"hi".to_vec()), (file(&long), b"ho".to_vec())]);
    let mut list = Command::new("tar");
    list.args(["--numeric-owner", "--quoting-style=literal", "--full-time", "--utc", "-tvf", "-"]);
    let text = String::from_utf8(run(&mut list, &bytes)).unwrap();
    let line = |name: &str| format!("-rw-r----- 3000000/8         2 1969-12-31 23:59:55 {name}\n");
    assert_eq!(text, line("a") + &line(&long));
    let content = run(Command::new("tar").args(["-xOf", "-"]), &bytes);
    assert_eq!(content, b"hiho");
}

#[test]
fn archives_of_the_tar_crate() {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(4);
    header.set_mode(0o600);
    header.set_uid(1 << 31);
    builder.append_data(&mut header, "x/".repeat(100) + "long", &b"data"[..]).unwrap();
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    builder.append_pax_extensions([("SCHILY.xattr.user.a", &b"v"[..])]).unwrap();
    builder.append_link(&mut header, "l", "t/".repeat(90)).unwrap();
    let seen = read(&builder.into_inner().unwrap()).unwrap();
    assert_eq!(seen[0].entry.path.as_bytes(), ("x/".repeat(100) + "long").as_bytes());
    assert_eq!((seen[0].entry.metadata.uid, &seen[0].content[..]), (1 << 31, &b"data"[..]));
    assert_eq!(seen[1].entry.kind, EntryKind::Symlink { target: "t/".repeat(90).into_bytes() });
    assert_eq!(seen[1].entry.metadata.xattrs[&b"user.a"[..]], b"v");
}
