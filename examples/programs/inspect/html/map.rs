//! The map of the root file system: an area for each directory, in the colours of the layers that its files come from.

use std::fmt::{self, Write};

use examples::text::short_size;
use image_overlay::DirectorySize;

use super::{
    colour,
    text::{count, name, path},
    treemap::{Rect, divide},
};

const SIZE: Rect = Rect { x: 0.0, y: 0.0, width: 1200.0, height: 640.0 };
/// What is smaller than this in either direction is not drawn.
const SMALLEST: f64 = 1.5;
const BAND: f64 = 17.0;
/// The width of a letter, about.
const LETTER: f64 = 6.6;

/// A part of a directory's area.
enum Part {
    /// A directory in it, by its place in the list.
    Directory(usize),
    /// Bytes of a layer that are in none of those.
    Own(usize),
}

/// Draws the map.
pub(super) fn write(directories: &[DirectorySize], out: &mut String) -> fmt::Result {
    write!(
        out,
        "<div class=\"wide\"><svg class=\"map\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"Map of the root file system\">",
        SIZE.width, SIZE.height
    )?;
    let mut children = vec![Vec::new(); directories.len()];
    for (place, directory) in directories.iter().enumerate() {
        if let Some(siblings) = directory.parent.and_then(|parent| children.get_mut(parent)) {
            siblings.push(place);
        }
    }
    let mut todo = vec![(0, SIZE)];
    while let Some((place, area)) = todo.pop() {
        let Some(directory) = directories.get(place) else { continue };
        let inner = frame(directory, area, out)?;
        let mut parts: Vec<(u64, Part)> = Vec::new();
        for child in children.get(place).into_iter().flatten() {
            parts.push((directories.get(*child).map_or(0, |child| child.size), Part::Directory(*child)));
        }
        parts.extend(directory.own.iter().map(|share| (share.size, Part::Own(share.layer))));
        parts.sort_by_key(|(size, _)| std::cmp::Reverse(*size));
        let sizes: Vec<u64> = parts.iter().map(|(size, _)| *size).collect();
        for ((size, part), area) in parts.into_iter().zip(divide(inner, &sizes)) {
            if area.width < SMALLEST || area.height < SMALLEST {
                continue;
            }
            match part {
                Part::Directory(child) => todo.push((child, area)),
                Part::Own(layer) => leaf(directory, layer, size, area, out)?,
            }
        }
    }
    out.push_str("</svg></div>\n");
    Ok(())
}

/// Draws the frame of a directory, with its name where there is room for it; gives the area inside.
fn frame(directory: &DirectorySize, area: Rect, out: &mut String) -> Result<Rect, fmt::Error> {
    let has_band = area.width > 44.0 && area.height > 2.0 * BAND;
    let border = if area.width > 12.0 && area.height > 12.0 { 1.0 } else { 0.0 };
    let (size, files) = (short_size(directory.size), count(directory.files));
    write!(out, "<g><title>{}: {size} in {files} files</title>", path(&directory.path))?;
    rect("d", area, out)?;
    if has_band {
        let room = letters(area.width - 8.0);
        let label = name(&directory.path, room.saturating_sub(1).max(1));
        write!(out, "<text x=\"{:.1}\" y=\"{:.1}\">{label}", area.x + 4.0, area.y + 13.0)?;
        let used = directory.path.file_name().map_or(1, <[u8]>::len);
        if used + size.len() + 3 < room {
            write!(out, " <tspan class=\"s\">{size}</tspan>")?;
        }
        out.push_str("</text>");
    }
    out.push_str("</g>");
    Ok(area.inside(border, if has_band { BAND } else { 0.0 }))
}

/// How many letters have room in a width.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a width is a few hundred at most")]
fn letters(width: f64) -> usize {
    (width.max(0.0) / LETTER) as usize
}

fn leaf(directory: &DirectorySize, layer: usize, size: u64, area: Rect, out: &mut String) -> fmt::Result {
    write!(out, "<g><title>{}: {} of layer {layer}</title>", path(&directory.path), short_size(size))?;
    rect(&format!("f c{}", colour(layer)), area, out)?;
    out.push_str("</g>");
    Ok(())
}

/// A rectangle of these classes.
pub(crate) fn rect(class: &str, area: Rect, out: &mut String) -> fmt::Result {
    let Rect { x, y, width, height } = area;
    write!(out, "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"/>")
}
