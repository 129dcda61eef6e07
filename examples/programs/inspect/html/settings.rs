//! How a container of the image runs, and the documents that say so.

use std::fmt::{self, Write};

use image_core::Image;

use super::{
    rows,
    text::{Text, count, foreign},
};
use crate::summary::settings;

/// How much of a document is shown, in bytes.
const DOCUMENT_BYTES: usize = 256 << 10;

pub(super) fn write(image: &Image, out: &mut String) -> fmt::Result {
    out.push_str("<section id=\"config\"><h2>Configuration</h2>\n<div class=\"wide\"><table><tbody>\n");
    let settings = settings(&image.config().value().config);
    let omitted = rows(&settings, out, |(key, value), out| {
        writeln!(out, "<tr><th>{key}</th><td class=\"path\">{}</td></tr>", foreign(value))
    })?;
    out.push_str("</tbody></table></div>\n");
    if omitted > 0 {
        writeln!(out, "<p class=\"note\">{} more settings are not shown.</p>", count(omitted as u64))?;
    }
    document("Configuration as it is stored", image.config().bytes(), out)?;
    document("Manifest as it is stored", image.manifest().bytes(), out)?;
    out.push_str("</section>\n");
    Ok(())
}

/// A document, indented.
fn document(title: &str, bytes: &[u8], out: &mut String) -> fmt::Result {
    let value: Result<serde_json::Value, _> = serde_json::from_slice(bytes);
    let json = value.map_or_else(|_| String::from_utf8_lossy(bytes).into_owned(), |value| format!("{value:#}"));
    let end = (0..=json.len().min(DOCUMENT_BYTES)).rev().find(|end| json.is_char_boundary(*end));
    let (shown, rest) = json.split_at(end.unwrap_or(0));
    write!(out, "<details><summary>{title}</summary><pre>{}</pre>", Text(shown))?;
    if !rest.is_empty() {
        write!(out, "<p class=\"note\">{} more bytes are not shown.</p>", count(rest.len() as u64))?;
    }
    out.push_str("</details>\n");
    Ok(())
}
