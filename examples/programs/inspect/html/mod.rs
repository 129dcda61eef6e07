//! The report as one page that needs nothing else: no network, and no script but to search and to change colours.
//!
//! Everything of an image is foreign: it comes into the page through [`text`] alone, as text. No data is handed to the
//! script, which reads what the tables say. And the page tells the browser to run this script and no other, by its digest.

mod files;
mod layers;
mod map;
mod settings;
mod text;
mod treemap;

use std::fmt::{self, Write};

use examples::{ImageName, text::short_size};
use image_core::{Image, hasher::Sha256};

use self::text::{count, foreign};
use crate::{report::Report, summary};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
/// How many colours there are for layers. Those of an image that has more share them.
const COLOURS: usize = 12;
/// How many bytes of rows any one table has at most, about.
const TABLE_BYTES: usize = 3 << 20;

/// Writes the page.
pub(crate) fn page(name: &ImageName, image: &Image, report: &Report) -> Result<String, fmt::Error> {
    let mut out = String::new();
    head(name, image, &mut out)?;
    tiles(image, report, &mut out)?;
    layers::write(image, report, &mut out)?;
    files::write_map(report, &mut out)?;
    files::write_wasted(report, &mut out)?;
    files::write_changes(report, &mut out)?;
    settings::write(image, &mut out)?;
    write!(out, "</main>\n<footer>What each layer holds was read and verified; nothing was unpacked.</footer>\n")?;
    write!(out, "<script>{SCRIPT}</script>\n</body>\n</html>\n")?;
    Ok(out)
}

fn head(name: &ImageName, image: &Image, out: &mut String) -> fmt::Result {
    let title = foreign(&name.to_string());
    write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src '{}'; script-src '{}'; \
         base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"referrer\" content=\"no-referrer\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<header>\n<h1>{title}</h1>\n",
        digest(STYLE),
        digest(SCRIPT),
    )?;
    writeln!(out, "<p class=\"id mono\">digest <b>{}</b></p>", image.descriptor().digest)?;
    writeln!(out, "<p class=\"id mono\">image ID <b>{}</b></p>", image.id())?;
    write!(out, "<p class=\"id\">{}", foreign(&image.platform().to_string()))?;
    let config = image.config().value();
    if let Some(created) = config.created {
        write!(out, ", made {}", created.truncated())?;
    }
    if let Some(author) = &config.author {
        write!(out, " by {}", foreign(author))?;
    }
    out.push_str("</p>\n<nav>");
    for (id, title) in [
        ("layers", "Layers"),
        ("map", "Root file system"),
        ("wasted", "Wasted bytes"),
        ("changes", "Changes"),
        ("config", "Configuration"),
    ] {
        write!(out, "<a href=\"#{id}\">{title}</a>")?;
    }
    out.push_str("<button id=\"theme\" type=\"button\" hidden>Light or dark</button></nav>\n</header>\n<main>\n");
    Ok(())
}

fn tiles(image: &Image, report: &Report, out: &mut String) -> fmt::Result {
    let root = report.directories.first();
    let (size, files) = root.map_or((0, 0), |root| (root.size, root.files));
    let wasted = report.usage.wasted();
    let tiles = [
        (short_size(summary::total(image)), "in store, compressed"),
        (short_size(size), "of files in the root file system"),
        (count(image.layers().len() as u64), "layers"),
        (count(files), "files"),
        (short_size(wasted), "in layers that nobody sees"),
        (format!("{:.1} %", report.usage.efficiency * 100.0), "efficiency, as dive has it"),
    ];
    out.push_str("<div class=\"tiles\">");
    for (value, label) in tiles {
        write!(out, "<div class=\"tile\"><b>{value}</b><span>{label}</span></div>")?;
    }
    out.push_str("</div>\n");
    Ok(())
}

/// The colour of a layer, by its number.
fn colour(layer: usize) -> usize {
    layer % COLOURS
}

/// Adds rows to a table until it is large enough; gives how many were left out.
fn rows<T>(items: &[T], out: &mut String, row: impl Fn(&T, &mut String) -> fmt::Result) -> Result<usize, fmt::Error> {
    let end = out.len() + TABLE_BYTES;
    for (place, item) in items.iter().enumerate() {
        if out.len() > end {
            return Ok(items.len() - place);
        }
        row(item, out)?;
    }
    Ok(0)
}

/// The digest of a text, as a content security policy has it.
fn digest(text: &str) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut hasher = Sha256::default();
    hasher.update(text.as_bytes());
    let mut base64 = String::from("sha256-");
    for three in hasher.finish().chunks(3) {
        let bits = three.iter().fold(0_usize, |bits, byte| (bits << 8) | usize::from(*byte)) << (8 * (3 - three.len()));
        for place in 0..4 {
            let letter = LETTERS.get((bits >> (18 - 6 * place)) & 63).copied().unwrap_or(b'=');
            base64.push(if place > three.len() { '=' } else { char::from(letter) });
        }
    }
    base64
}
