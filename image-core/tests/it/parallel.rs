//! Streams read ahead, and items looked at side by side.

use std::{
    io::{self, Read},
    num::NonZeroUsize,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use image_core::parallel::{self, Visit};
use proptest::prelude::*;

fn threads(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).expect("not zero")
}

/// Gives its bytes in pieces of these sizes in turn, and then fails, if it is to.
struct Pieces<'a> {
    bytes: &'a [u8],
    sizes: std::iter::Cycle<std::slice::Iter<'a, usize>>,
    failure: Option<io::ErrorKind>,
    interrupt: bool,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.interrupt = !self.interrupt;
        if self.interrupt {
            return Err(io::ErrorKind::Interrupted.into());
        }
        if let (true, Some(kind)) = (self.bytes.is_empty(), self.failure) {
            return Err(kind.into());
        }
        let size = self.sizes.next().map_or(1, |size| *size).min(buf.len()).min(self.bytes.len());
        let (now, rest) = self.bytes.split_at(size);
        buf[..size].copy_from_slice(now);
        self.bytes = rest;
        Ok(size)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_read_ahead_is_what_there_is(
        length in 0_usize..3 << 20,
        sizes in proptest::collection::vec(1_usize..400_000, 1..5),
        fails in any::<bool>(),
        step in 1_usize..700_000,
    ) {
        let bytes: Vec<u8> = (0..=u8::MAX).flat_map(|byte| [byte; 7]).cycle().take(length).collect();
        let failure = fails.then_some(io::ErrorKind::TimedOut);
        let reader = Pieces { bytes: &bytes, sizes: sizes.iter().cycle(), failure, interrupt: false };
        let (read, end) = parallel::read_ahead(reader, |ahead| {
            let (mut read, mut buffer) = (Vec::new(), vec![0; step]);
            loop {
                match ahead.read(&mut buffer) {
                    Ok(0) => {
                        assert_eq!(ahead.read(&mut buffer).expect("still the end"), 0);
                        return (read, Ok(()));
                    }
                    Ok(count) => read.extend_from_slice(&buffer[..count]),
                    Err(error) => {
                        assert!(ahead.read(&mut buffer).is_err(), "an error is no end");
                        return (read, Err(error.kind()));
                    }
                }
            }
        });
        prop_assert!(read == bytes);
        prop_assert_eq!(end, failure.map_or(Ok(()), Err));
    }

    #[test]
    fn results_are_in_the_order_of_the_items(items in proptest::collection::vec(any::<u32>(), 0..200), count in 1_usize..9) {
        let results = parallel::map(threads(count), &items, |item| Ok::<_, ()>(u64::from(*item) + 1));
        prop_assert_eq!(results, Ok(items.iter().map(|item| u64::from(*item) + 1).collect::<Vec<_>>()));
    }

    #[test]
    fn the_first_that_fails_is_the_error(failing in proptest::collection::btree_set(0_usize..50, 1..5), count in 1_usize..9) {
        let items: Vec<usize> = (0..50).collect();
        let result = parallel::map(threads(count), &items, |item| {
            // The earlier ones take longer.
            (0..50 - item).for_each(|_| thread::yield_now());
            if failing.contains(item) { Err(*item) } else { Ok(()) }
        });
        prop_assert_eq!(result.err(), failing.first().copied());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn all_of_a_tree_is_visited_and_parents_come_first(parents in proptest::collection::vec(any::<proptest::sample::Index>(), 0..200), count in 1_usize..5) {
        // Node n has one of the nodes before it as its parent.
        let parents: Vec<usize> = parents.iter().enumerate().map(|(at, index)| index.index(at + 1)).collect();
        let parents = &parents;
        let children = |node: usize| (1..=parents.len()).filter(move |child| parents[child - 1] == node);
        let mut seen = Vec::new();
        let visit = |node: usize, visit: &mut Visit<'_, usize, usize>| {
            children(node).for_each(|child| visit.find(child));
            visit.tell(node);
            Ok::<_, ()>(())
        };
        parallel::explore(threads(count), 0, visit, |node| {
            assert!(node == 0 || seen.contains(&parents[node - 1]), "{node} before its parent");
            seen.push(node);
            Ok(())
        }).expect("no visit fails");
        seen.sort_unstable();
        prop_assert_eq!(seen, (0..=parents.len()).collect::<Vec<_>>());
    }
}

#[test]
fn an_endless_tree_ends_with_an_error_of_either_side() {
    let deep = |depth: u32, visit: &mut Visit<'_, u32, ()>| {
        visit.find(depth + 1);
        visit.find(depth + 1);
        if depth < 40 { Ok(()) } else { Err("too deep") }
    };
    assert_eq!(parallel::explore(threads(3), 0, deep, |()| Ok(())), Err("too deep"));
    let endless = |depth: u64, visit: &mut Visit<'_, u64, u64>| {
        visit.find(depth + 1);
        visit.find(depth + 1);
        visit.tell(depth);
        Ok(())
    };
    let mut count = 0;
    let receive = |_| {
        count += 1;
        if count < 1000 { Ok(()) } else { Err("enough") }
    };
    assert_eq!(parallel::explore(threads(3), 0, endless, receive), Err("enough"));
}

#[test]
fn a_visit_that_panics_is_waited_for_by_nobody() {
    let caught = std::panic::catch_unwind(|| {
        let visit = |at: u32, visit: &mut Visit<'_, u32, ()>| {
            assert!(at < 5, "a visit that is broken");
            visit.find(at + 1);
            Ok::<_, ()>(())
        };
        parallel::explore(threads(4), 0, visit, |()| Ok(()))
    });
    assert!(caught.is_err());
}

#[test]
fn a_consumer_that_is_done_ends_the_reading() {
    static DROPPED: AtomicBool = AtomicBool::new(false);
    struct Endless;
    impl Read for Endless {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            buf.fill(7);
            Ok(buf.len())
        }
    }
    impl Drop for Endless {
        fn drop(&mut self) {
            DROPPED.store(true, Ordering::SeqCst);
        }
    }
    let mut some = [0; 1000];
    parallel::read_ahead(Endless, |ahead| ahead.read_exact(&mut some)).expect("there is enough");
    assert_eq!(some, [7; 1000]);
    assert!(DROPPED.load(Ordering::SeqCst));
}

#[test]
fn a_reader_that_panics_ends_nothing_well() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            panic!("a reader that is broken");
        }
    }
    let seen = Mutex::new(None);
    let caught = std::panic::catch_unwind(|| {
        parallel::read_ahead(Broken, |ahead| {
            *seen.lock().expect("nobody panics with it") = Some(ahead.read(&mut [0; 10]).is_err());
        });
    });
    assert!(caught.is_err());
    assert_eq!(seen.into_inner().expect("nobody panics with it"), Some(true), "no end of the stream");
}
