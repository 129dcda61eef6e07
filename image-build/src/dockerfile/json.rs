//! JSON arrays of strings: the exec form.

use std::ops::Range;

use serde::de::IgnoredAny;

/// What text that begins with `[` is.
#[derive(Debug)]
pub(super) enum Array {
    /// An array of strings, with the range of each, its quotes included.
    Strings(Vec<(Range<usize>, String)>),
    /// An array, but this element is no string.
    Mixed(usize),
    /// Not JSON.
    Invalid,
}

/// Reads an array of strings.
///
/// Half of a surrogate pair reads as U+FFFD, as the Dockerfile frontend's JSON reader has it.
pub(super) fn array(text: &str) -> Array {
    let mut reader = Reader { text, at: 0 };
    match reader.strings() {
        Ok(strings) => Array::Strings(strings),
        Err(Some(at)) if serde_json::from_str::<Vec<IgnoredAny>>(text).is_ok() => Array::Mixed(at),
        Err(_) => Array::Invalid,
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    /// The strings, or the offset of an element that is none, or nothing where this is not JSON.
    fn strings(&mut self) -> Result<Vec<(Range<usize>, String)>, Option<usize>> {
        let mut strings = Vec::new();
        self.blanks();
        if !self.eat(b'[') {
            return Err(None);
        }
        self.blanks();
        let mut more = !self.eat(b']');
        while more {
            self.blanks();
            let start = self.at;
            if !self.eat(b'"') {
                return Err(Some(start));
            }
            let string = self.string().ok_or(None)?;
            strings.push((start..self.at, string));
            self.blanks();
            more = self.eat(b',');
            if !more && !self.eat(b']') {
                return Err(None);
            }
        }
        self.blanks();
        if self.at == self.text.len() { Ok(strings) } else { Err(None) }
    }

    /// The rest of a string whose opening quote is read.
    fn string(&mut self) -> Option<String> {
        let mut string = String::new();
        loop {
            let plain = self.text.get(self.at..)?;
            let end = plain.find(|c: char| c == '"' || c == '\\' || c < ' ')?;
            string.push_str(plain.get(..end)?);
            self.at += end;
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    return Some(string);
                }
                b'\\' => {
                    self.at += 1;
                    string.push(self.escape()?);
                }
                _ => return None,
            }
        }
    }

    /// The character that an escape means whose backslash is read.
    fn escape(&mut self) -> Option<char> {
        let kind = self.peek()?;
        self.at += 1;
        Some(match kind {
            b'"' | b'\\' | b'/' => char::from(kind),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let unit = self.unit()?;
                char::from_u32(unit).or_else(|| self.low_surrogate(unit)).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            _ => return None,
        })
    }

    fn unit(&mut self) -> Option<u32> {
        let digits = self.text.get(self.at..self.at + 4)?;
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        self.at += 4;
        u32::from_str_radix(digits, 16).ok()
    }

    /// The character of a pair whose high half is read; nothing is read where no low half follows.
    fn low_surrogate(&mut self, high: u32) -> Option<char> {
        let before = self.at;
        let low = (self.eat(b'\\') && self.eat(b'u')).then(|| self.unit()).flatten();
        let pair = char::decode_utf16([u16::try_from(high).ok()?, u16::try_from(low.unwrap_or(0)).ok()?]).next();
        match pair {
            Some(Ok(c)) => Some(c),
            _ => {
                self.at = before;
                None
            }
        }
    }
}
