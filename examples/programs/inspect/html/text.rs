//! Foreign text in a page: nothing of it is markup, and none of it is without bounds.

use std::fmt::{self, Display, Write};

use examples::text::printable_bytes;
use image_overlay::LayerPath;

/// How long a path is at most in the page, in characters.
const PATH_CHARS: usize = 200;
/// How long any other text is at most.
const TEXT_CHARS: usize = 2000;

/// Text in which every character stands for itself.
///
/// Characters that would be markup are written as references, those that nobody sees or that turn the text around them
/// about are written out as escapes.
pub(crate) struct Text<'a>(pub(crate) &'a str);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                '\n' => f.write_char(c)?,
                _ if c.is_control() || is_unseen(c) => write!(f, "{}", c.escape_default())?,
                _ => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// Marks of direction, characters of no width, and separators that are no spaces.
fn is_unseen(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Text of an image, cut where it is too long.
pub(crate) fn foreign(text: &str) -> String {
    Text(&cut(text, TEXT_CHARS)).to_string()
}

/// A path of an image. Of one that is too long the middle is left out.
pub(crate) fn path(path: &LayerPath) -> String {
    let text = printable_bytes(path.as_bytes());
    Text(&format!("/{}", shorten(&text, PATH_CHARS))).to_string()
}

/// The last name of a path, in so many characters.
pub(crate) fn name(path: &LayerPath, chars: usize) -> String {
    let text = path.file_name().map_or_else(|| "/".to_owned(), printable_bytes);
    Text(&cut(&text, chars)).to_string()
}

fn cut(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some((end, _)) => format!("{}…", text.split_at(end).0),
        None => text.to_owned(),
    }
}

fn shorten(text: &str, chars: usize) -> String {
    let length = text.chars().count();
    if length <= chars {
        return text.to_owned();
    }
    let half = chars / 2;
    let (start, end): (String, String) =
        (text.chars().take(half).collect(), text.chars().skip(length - half).collect());
    format!("{start}…{end}")
}

/// How long something took or how far apart it is, for a person.
pub(crate) fn duration(seconds: i64) -> String {
    match seconds {
        ..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// A number with its thousands apart.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}
