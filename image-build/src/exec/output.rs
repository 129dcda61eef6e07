//! What a command writes, as lines.

use std::collections::VecDeque;

/// The longest line that is passed on whole, in bytes.
const MAX_LINE: usize = 64 << 10;

/// How many last lines are remembered, and how many bytes of each.
const TAIL_LINES: usize = 20;
const TAIL_BYTES: usize = 512;

/// Cuts one stream into lines.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    pending: Vec<u8>,
    /// Whether what comes goes on with a line whose start was passed on.
    is_open: bool,
}

impl Lines {
    /// Takes the next bytes, and passes on the lines that are whole, to `tail` and `output`.
    pub(crate) fn push(&mut self, bytes: &[u8], tail: &mut Tail, output: &mut dyn FnMut(&[u8])) {
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            for part in piece.chunks(MAX_LINE) {
                self.pending.extend_from_slice(part);
                if part.ends_with(b"\n") || self.pending.len() >= MAX_LINE {
                    self.flush(tail, output);
                }
            }
        }
    }

    /// Passes on what is left.
    pub(crate) fn flush(&mut self, tail: &mut Tail, output: &mut dyn FnMut(&[u8])) {
        if self.pending.is_empty() {
            return;
        }
        output(&self.pending);
        if !self.is_open {
            tail.push(&self.pending);
        }
        self.is_open = !self.pending.ends_with(b"\n");
        self.pending.clear();
    }
}

/// The last lines of all streams.
#[derive(Debug, Default)]
pub(crate) struct Tail(VecDeque<Vec<u8>>);

impl Tail {
    fn push(&mut self, line: &[u8]) {
        if self.0.len() == TAIL_LINES {
            self.0.pop_front();
        }
        let short = line.get(..TAIL_BYTES).map(|start| [start, "…\n".as_bytes()].concat());
        self.0.push_back(short.unwrap_or_else(|| line.to_owned()));
    }

    /// As text, what is no UTF-8 replaced.
    pub(crate) fn text(&self) -> String {
        self.0.iter().map(|line| String::from_utf8_lossy(line)).collect::<Vec<_>>().concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&[u8]]) -> (Vec<Vec<u8>>, String) {
        let mut out = Vec::new();
        let (mut lines, mut tail) = (Lines::default(), Tail::default());
        for piece in pieces {
            lines.push(piece, &mut tail, &mut |line| out.push(line.to_vec()));
        }
        lines.flush(&mut tail, &mut |line| out.push(line.to_vec()));
        (out, tail.text())
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
