//! What a command writes, as lines.

use std::collections::VecDeque;

/// The longest line that is passed on whole, in bytes.
const MAX_LINE: usize = 64 << 10;

/// How many last lines are remembered, and how many bytes of each.
const TAIL_LINES: usize = 20;
const TAIL_BYTES: usize = 512;

/// Cuts a stream into lines and remembers the last of them.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    pending: Vec<u8>,
    tail: VecDeque<Vec<u8>>,
    /// Whether the last line of the tail goes on.
    is_open: bool,
}

impl Lines {
    /// Takes the next bytes, and passes on the lines that are whole.
    pub(crate) fn push(&mut self, bytes: &[u8], output: &mut dyn FnMut(&[u8])) {
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            for part in piece.chunks(MAX_LINE) {
                self.pending.extend_from_slice(part);
                if part.ends_with(b"\n") || self.pending.len() >= MAX_LINE {
                    self.flush(output);
                }
            }
        }
    }

    /// Passes on what is left, and gives the last lines.
    pub(crate) fn finish(mut self, output: &mut dyn FnMut(&[u8])) -> String {
        self.flush(output);
        let lines: Vec<_> = self.tail.iter().map(|line| String::from_utf8_lossy(line)).collect();
        lines.concat()
    }

    fn flush(&mut self, output: &mut dyn FnMut(&[u8])) {
        if self.pending.is_empty() {
            return;
        }
        output(&self.pending);
        let is_whole = self.pending.ends_with(b"\n");
        if !self.is_open {
            if self.tail.len() == TAIL_LINES {
                self.tail.pop_front();
            }
            let short = self.pending.get(..TAIL_BYTES).map(|start| [start, "…\n".as_bytes()].concat());
            self.tail.push_back(short.unwrap_or_else(|| self.pending.clone()));
        }
        self.is_open = !is_whole;
        self.pending.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&[u8]]) -> (Vec<Vec<u8>>, String) {
        let mut out = Vec::new();
        let mut lines = Lines::default();
        for piece in pieces {
            lines.push(piece, &mut |line| out.push(line.to_vec()));
        }
        let tail = lines.finish(&mut |line| out.push(line.to_vec()));
        (out, tail)
    }

    #[test]
    fn lines_come_whole_and_nothing_is_lost() {
        let (out, tail) = lines(&[b"a\nb", b"c\n\n\x1b[1md\xff", b"", b"e"]);
        assert_eq!(out, [&b"a\n"[..], b"bc\n", b"\n", b"\x1b[1md\xffe"]);
        assert_eq!(tail, "a\nbc\n\n\u{1b}[1md\u{fffd}e");
    }

    #[test]
    fn long_lines_come_in_parts_and_are_one_in_the_tail() {
        let long = [vec![b'x'; 3 * MAX_LINE], b"\nlast\n".to_vec()].concat();
        let (out, tail) = lines(&[&long]);
        assert_eq!(out.concat(), long);
        assert!(out.iter().all(|line| line.len() <= MAX_LINE + 1));
        assert_eq!(tail, format!("{}…\nlast\n", "x".repeat(TAIL_BYTES)));
    }

    #[test]
    fn the_tail_is_bounded() {
        let many: String = (0..1000).map(|n| format!("{n}\n")).collect();
        let (out, tail) = lines(&[many.as_bytes()]);
        assert_eq!(out.len(), 1000);
        assert_eq!(tail.lines().collect::<Vec<_>>(), (980..1000).map(|n| n.to_string()).collect::<Vec<_>>());
    }
}
