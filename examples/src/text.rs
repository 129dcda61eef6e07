//! Text for a terminal.

/// A size for a person, and exactly: `1.5 MiB (1572864 bytes)`.
#[must_use]
pub fn size(bytes: u64) -> String {
    if bytes < 1024 { format!("{bytes} bytes") } else { format!("{} ({bytes} bytes)", short_size(bytes)) }
}

/// A size for a person: `1.5 MiB`.
#[must_use]
pub fn short_size(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}

/// Foreign text without anything that a terminal would obey.
///
/// ```
/// assert_eq!(examples::text::printable("a\u{1b}[2Jb"), r"a\u{1b}[2Jb");
/// ```
#[must_use]
pub fn printable(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { safe.extend(c.escape_default()) } else { safe.push(c) }
    }
    safe
}

/// Foreign bytes without anything that a terminal would obey.
#[must_use]
pub fn printable_bytes(bytes: &[u8]) -> String {
    let mut safe = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        safe.push_str(&printable(chunk.valid()));
        safe.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    safe
}

/// A word as a shell reads it.
///
/// ```
/// assert_eq!(examples::text::shell_word("/tmp/out:latest"), "/tmp/out:latest");
/// assert_eq!(examples::text::shell_word("it's here"), r"'it'\''s here'");
/// ```
#[must_use]
pub fn shell_word(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
