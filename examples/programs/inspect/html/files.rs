//! Where the bytes are: by directory, by path that wastes them, and by what each layer changes.

use std::fmt::{self, Write};

use examples::text::short_size;
use image_overlay::{PathChange, PathChangeKind, WastedPath};

use super::{
    TABLE_BYTES, colour, map, rows,
    text::{count, path},
};
use crate::report::Report;

/// How many paths that waste bytes are shown.
const WASTED_PATHS: usize = 500;
/// How many of them are shown at once.
const FIRST_WASTED_PATHS: usize = 20;

pub(super) fn write_map(report: &Report, out: &mut String) -> fmt::Result {
    write!(
        out,
        "<section id=\"map\"><h2>Root file system</h2>\n<p class=\"note\">Each area is a directory, as large as the bytes of the files in it, in the \
         colours of the layers that they come from. The {} directories that hold most are drawn; what the others hold is \
         part of the one above them.</p>\n",
        count(report.directories.len() as u64)
    )?;
    map::write(&report.directories, out)?;
    out.push_str("<ul class=\"key\">");
    for layer in 0..report.usage.layers.len().min(super::COLOURS) {
        write!(out, "<li><i class=\"c{}\"></i>layer {layer}</li>", colour(layer))?;
    }
    if report.usage.layers.len() > super::COLOURS {
        out.push_str("<li>and so on, from the first colour</li>");
    }
    out.push_str("</ul></section>\n");
    Ok(())
}

pub(super) fn write_wasted(report: &Report, out: &mut String) -> fmt::Result {
    out.push_str("<section id=\"wasted\"><h2>Wasted bytes</h2>\n");
    let all = &report.usage.wasted_paths;
    if all.is_empty() {
        out.push_str("<p class=\"note\">None: every file of every layer is there in the image.</p></section>\n");
        return Ok(());
    }
    out.push_str(
        "<p class=\"note\">Files that a layer brings and a later one removes or replaces. They are in the image as it is stored and sent, and \
         nobody sees them.</p>\n",
    );
    let shown = all.get(..WASTED_PATHS).unwrap_or(all);
    let (first, rest) = shown.split_at(shown.len().min(FIRST_WASTED_PATHS));
    let mut cut = wasted_table(first, out)?;
    if !rest.is_empty() {
        write!(out, "<details><summary>{} more</summary>", count(rest.len() as u64))?;
        cut += wasted_table(rest, out)?;
        out.push_str("</details>\n");
    }
    let omitted = all.get(shown.len() - cut..).unwrap_or_default();
    if !omitted.is_empty() {
        let size = omitted.iter().fold(0_u64, |sum, path| sum.saturating_add(path.size));
        let paths = count(omitted.len() as u64);
        writeln!(out, "<p class=\"note\">{paths} more paths are not shown; they waste {}.</p>", short_size(size))?;
    }
    out.push_str("</section>\n");
    Ok(())
}

/// A table of paths; gives how many were left out.
fn wasted_table(paths: &[WastedPath], out: &mut String) -> Result<usize, fmt::Error> {
    out.push_str(
        "<div class=\"wide\"><table><thead><tr><th>Path</th><th class=\"n\">Files</th><th class=\"n\">Wasted</th></tr></thead><tbody>\n",
    );
    let cut = rows(paths, out, wasted_row)?;
    out.push_str("</tbody></table></div>\n");
    Ok(cut)
}

fn wasted_row(wasted: &WastedPath, out: &mut String) -> fmt::Result {
    let (path, files, size) = (path(&wasted.path), count(wasted.count), short_size(wasted.size));
    writeln!(out, "<tr><td class=\"path\">{path}</td><td class=\"n\">{files}</td><td class=\"n\">{size}</td></tr>")
}

pub(super) fn write_changes(report: &Report, out: &mut String) -> fmt::Result {
    out.push_str(
        "<section id=\"changes\"><h2>Changes by layer</h2>\n<p class=\"note\">What each layer adds, changes and removes, the largest first.</p>\n\
         <input id=\"search\" type=\"search\" placeholder=\"Search the paths below\" aria-label=\"Search the paths below\" hidden>\
         <span id=\"found\" class=\"found\" role=\"status\"></span>\n",
    );
    let end = out.len() + TABLE_BYTES;
    for (layer, changes) in report.changes.iter().enumerate() {
        let (added, modified, removed) = (changes.added, changes.modified, changes.removed);
        write!(
            out,
            "<details class=\"layer\"><summary><i class=\"c{}\"></i>Layer {layer} <span class=\"soft\">{} added ({}), {} changed ({}), \
             {} removed ({})</span></summary>\n",
            colour(layer),
            count(added.paths),
            short_size(added.size),
            count(modified.paths),
            short_size(modified.size),
            count(removed.paths),
            short_size(removed.size),
        )?;
        let room = end > out.len();
        let paths = if room { changes.paths.as_slice() } else { &[] };
        let mut omitted = changes.omitted + changes.paths.len() - paths.len();
        if !paths.is_empty() {
            out.push_str(
                "<div class=\"wide\"><table><thead><tr><th>Change</th><th>Path</th><th class=\"n\">Before</th>\
                 <th class=\"n\">Size</th></tr></thead><tbody>\n",
            );
            omitted += rows(paths, out, change_row)?;
            out.push_str("</tbody></table></div>\n");
        }
        if omitted > 0 {
            writeln!(out, "<p class=\"note\">{} more paths are not shown; none is larger.</p>", count(omitted as u64))?;
        }
        out.push_str("</details>\n");
    }
    out.push_str("</section>\n");
    Ok(())
}

fn change_row(change: &PathChange, out: &mut String) -> fmt::Result {
    let (class, word) = match change.kind {
        PathChangeKind::Added => ("added", "added"),
        PathChangeKind::Modified => ("modified", "changed"),
        PathChangeKind::Removed => ("removed", "removed"),
    };
    let slash = if change.is_directory && !change.path.is_root() { "/" } else { "" };
    write!(out, "<tr><td class=\"k {class}\">{word}</td><td class=\"path\">{}{slash}", path(&change.path))?;
    if change.gone > 1 {
        write!(out, " <small>({} paths)</small>", count(change.gone))?;
    }
    let size = |size: u64| if size == 0 { "–".to_owned() } else { short_size(size) };
    writeln!(out, "</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>", size(change.before), size(change.size))
}
