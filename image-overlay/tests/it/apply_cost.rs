//! Layers that are made to cost more than they hold.

use std::{
    fs::File,
    io::{self, Read},
    time::Duration,
};

use image_core::Ctx;
use image_overlay::{ApplyOptions, Resolution, apply_layer};
use test_support::thread_time;

use super::{
    layers::{Item, dir, file, layer, symlink},
    on_disk::{Sandbox, shape},
};

/// Memory of this process, in bytes.
fn memory() -> u64 {
    let mut status = String::new();
    File::open("/proc/self/status").unwrap().read_to_string(&mut status).unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

/// Layers of one item each, as one stream, that tells how much memory was taken when it ended.
struct Items<I> {
    items: I,
    buffer: Vec<u8>,
    taken: u64,
}

impl<I: Iterator<Item = Item>> Read for Items<I> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        if self.buffer.is_empty() {
            match self.items.next() {
                Some(item) => {
                    self.buffer = layer(&[item]);
                    self.buffer.truncate(self.buffer.len() - 1024);
                }
                None => self.taken = memory(),
            }
        }
        let count = to.len().min(self.buffer.len());
        to[..count].copy_from_slice(&self.buffer[..count]);
        self.buffer.drain(..count);
        Ok(count)
    }
}

#[test]
fn many_paths_to_one_directory_take_no_memory() {
    const NAME: &str = "apply_cost::many_paths_to_one_directory_take_no_memory";
    // Memory is that of a process, and other tests take theirs in this one.
    if std::env::args().nth(1).as_deref() == Some(NAME) {
        return take_memory();
    }
    let this = std::env::current_exe().unwrap();
    test_support::tool::run(std::process::Command::new(this).args([
        NAME,
        "--exact",
        "--nocapture",
        "--test-threads=1",
    ]));
}

fn take_memory() {
    const BITS: usize = 38;
    const ENTRIES: usize = 12_000;
    let sandbox = Sandbox::new();
    let [here, there] = ["a", "b"].map(|letter| letter.repeat(100));
    sandbox.apply(&[symlink(&here, "."), symlink(&there, ".")]).unwrap();
    let path = |number: usize| {
        let names = (0..BITS).map(|bit| if number >> bit & 1 == 0 { &here[..] } else { &there[..] });
        file([&names.collect::<Vec<_>>().join("/"), "/f"].concat(), "")
    };
    let mut items = Items { items: (0..ENTRIES).map(path), buffer: Vec::new(), taken: 0 };
    let before = memory();
    apply_layer(&mut items, &sandbox.root(), &ApplyOptions::default(), &Ctx::default()).unwrap();
    let taken = items.taken.saturating_sub(before);
    // Its paths alone are twice as long.
    assert!(taken < 24 << 20, "{taken} bytes");
    sandbox.assert_untouched();
}

#[test]
fn markers_that_come_again_and_again_cost_nothing() {
    const TIMES: usize = 2_500;
    let (opaque, plain) = ("d/.wh..wh..opq", ".wh.d");
    for (markers, named) in [([opaque; 2], true), ([plain; 2], true), ([opaque, plain], false)] {
        let sandbox = Sandbox::new();
        sandbox.apply(&[dir("d"), file("d/lower", "")]).unwrap();
        let mut items: Vec<_> = (0..TIMES).map(|number| file(format!("d/{number}"), "")).collect();
        items.extend(named.then(|| dir("d")));
        items.extend((0..TIMES).map(|number| file(markers[number % 2], "")));
        let begin = thread_time();
        sandbox.apply(&items).unwrap();
        let took = thread_time() - begin;
        // Twenty times as long where each looks at all of the directory.
        assert!(took < Duration::from_secs(10), "{markers:?} {took:?}");
        assert_eq!(shape(&sandbox.target()).len(), TIMES + 1);
    }
}

#[test]
fn a_link_that_goes_up_and_down_without_end_is_refused() {
    let sandbox = Sandbox::new().resolving(Resolution::Walk);
    let deep = ["d"; 900].join("/");
    let target = ["/", &deep, &"/..".repeat(33), &"/d/../..".repeat(250)].concat();
    sandbox.apply(&[dir(&deep), symlink("l", &target)]).unwrap();
    let error = sandbox.apply(&[file("l/f", "")]).unwrap_err();
    assert!(error.contains("symbolic links") && error.contains("l/f"), "{error}");
    sandbox.apply(&[file([&deep, "/f"].concat(), "")]).unwrap();
}

#[test]
fn no_link_leads_an_entry_to_a_name_that_is_a_marker() {
    for resolution in [Resolution::Kernel, Resolution::Walk] {
        let sandbox = Sandbox::new().resolving(resolution);
        let error = sandbox.apply(&[symlink("l", "d/.wh.x"), file("l/f", "")]).unwrap_err();
        assert!(error.contains("l/f") && error.contains("whiteout"), "{error}");
        assert!(!sandbox.target().join("d/.wh.x").exists());
    }
}

#[test]
fn a_marker_behind_a_link_that_leads_nowhere_hides_nothing() {
    for resolution in [Resolution::Kernel, Resolution::Walk] {
        for target in ["l", "missing", &"n".repeat(300), "f/x"] {
            let sandbox = Sandbox::new().resolving(resolution);
            sandbox.apply(&[symlink("l", target), file("f", "")]).unwrap();
            sandbox.apply(&[file("l/.wh.f", ""), file("l/.wh..wh..opq", "")]).unwrap();
            assert_eq!(shape(&sandbox.target()).len(), 2, "{target}");
        }
    }
}
