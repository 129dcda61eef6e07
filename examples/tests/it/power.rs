//! In which order the programs write, sync and rename: what a loss of power at any moment must find.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::{Command, Stdio},
};

use image_core::Ctx;
use image_layout::{OciLayout, SaveOptions, save};
use test_support::{require_tool, temp_dir};

use crate::{
    faults::{image, may_trace},
    program,
};

/// What was written and not synced, as the system calls of a program go by.
#[derive(Default)]
struct Watch {
    /// Files whose content is not durable.
    files: BTreeSet<String>,
    /// Directories whose names are not durable.
    directories: BTreeSet<String>,
    /// Whether the names of blobs were synced, which others may have made a moment ago.
    has_synced_blobs: bool,
    renamed: usize,
    named: usize,
}

impl Watch {
    fn line(&mut self, line: &str) {
        // Without the number of the thread.
        let Some((_, call)) = line.split_once(' ') else { return };
        let call = call.trim_start();
        if call.contains("= -1 ") {
            return;
        }
        let Some((name, arguments)) = call.split_once('(') else { return };
        let paths: Vec<&str> = between(arguments, '<', '>');
        let texts: Vec<&str> = arguments.split('"').skip(1).step_by(2).collect();
        match (name, paths.as_slice(), texts.as_slice()) {
            ("write" | "pwrite64", [path, ..], _) => drop(self.files.insert((*path).to_owned())),
            ("fsync" | "fdatasync", [path, ..], _) => {
                self.files.remove(*path);
                self.directories.remove(*path);
                self.has_synced_blobs |= path.ends_with("/blobs/sha256");
            }
            ("syncfs", ..) => self.files.clear(),
            ("renameat" | "renameat2", [from, to, ..], [old, new, ..]) => {
                self.rename(&format!("{from}/{old}"), to, new)
            }
            _ => {}
        }
    }

    fn rename(&mut self, from: &str, to: &str, name: &str) {
        assert!(!self.files.contains(from), "{from} gets the name {name} before its content is durable");
        if name == "index.json" {
            assert!(self.directories.is_empty(), "index.json names what is not durable in {:?}", self.directories);
            assert!(self.has_synced_blobs, "index.json names what others may not have made durable");
            self.named += 1;
        }
        self.renamed += 1;
        self.directories.insert(to.to_owned());
    }
}

fn between(text: &str, open: char, close: char) -> Vec<&str> {
    text.split(open).skip(1).filter_map(|part| part.split_once(close)).map(|(inside, _)| inside).collect()
}

fn watch(dir: &Path, name: &str, arguments: &[&str]) -> Watch {
    let record = dir.join("record");
    let calls = "trace=write,pwrite64,fsync,fdatasync,syncfs,renameat,renameat2";
    let status = Command::new("strace")
        .args(["-f", "-qq", "-y", "-s", "200", "-e", calls, "-o"])
        .arg(&record)
        .arg(program::path(name))
        .args(arguments)
        .current_dir(dir)
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "{name}");
    let mut watch = Watch::default();
    String::from_utf8_lossy(&fs::read(record).unwrap()).lines().for_each(|line| watch.line(line));
    assert!(watch.directories.is_empty(), "{name} ends before the names in {:?} are durable", watch.directories);
    watch
}

#[test]
fn nothing_has_a_name_before_it_is_durable() {
    if !may_trace() || !require_tool("strace") {
        return;
    }
    let dir = temp_dir();
    let from = OciLayout::create(dir.path().join("from")).unwrap();
    from.tag("new:1", &image(from.blobs(), "new", 9)).unwrap();
    let images = [(from.image("new:1", None).unwrap(), vec!["new:1".to_owned()])];
    let archive = fs::File::create(dir.path().join("archive.tar")).unwrap();
    save(&images, archive, &SaveOptions::default(), &Ctx::default()).unwrap();
    OciLayout::create(dir.path().join("layout")).unwrap();
    OciLayout::create(dir.path().join("other")).unwrap();
    fs::create_dir(dir.path().join("tree")).unwrap();
    fs::write(dir.path().join("tree/file"), b"file").unwrap();

    // Eleven blobs and index.json; a layer, a config, a manifest and index.json; the same image again, whose
    // layer is there.
    for (name, arguments, renamed) in [
        ("load", &["archive.tar", "layout"][..], 12),
        ("copy", &["from:new:1", "other:new:1"], 12),
        ("import", &["tree", "layout:made:1"], 4),
        ("import", &["tree", "layout:made:2"], 3),
    ] {
        let watch = watch(dir.path(), name, arguments);
        assert_eq!((watch.renamed, watch.named), (renamed, 1), "{name}");
    }
}
