//! The layers in the order in which they were made.

use std::fmt::{self, Write};

use examples::text::short_size;
use image_core::{Image, Timestamp};

use super::{
    colour,
    map::rect,
    rows,
    text::{count, duration, foreign},
    treemap::Rect,
};
use crate::{
    history::{Step, steps},
    report::Report,
};

pub(super) fn write(image: &Image, report: &Report, out: &mut String) -> fmt::Result {
    out.push_str(
        "<section id=\"layers\"><h2>Layers</h2>\n<p class=\"note\">The steps that made the image, first to last; each part of the bar is \
         a layer, as long as the bytes of the files that it brings.</p>\n",
    );
    bar(report, out)?;
    out.push_str(
        "<div class=\"wide\"><table><thead><tr><th class=\"n\">Layer</th><th>Instruction</th><th>Time</th>\
         <th class=\"n\">Compressed</th><th class=\"n\">Brings</th><th class=\"n\">Hides</th><th class=\"n\">Wastes</th>\
         <th class=\"n\">Paths</th></tr></thead><tbody>\n",
    );
    let steps = steps(image);
    let mut previous = None;
    let timed: Vec<_> = steps
        .iter()
        .map(|step| {
            let since = step
                .0
                .created
                .zip(previous)
                .map(|(now, before): (Timestamp, Timestamp)| now.seconds().saturating_sub(before.seconds()));
            previous = step.0.created.or(previous);
            (step, since)
        })
        .collect();
    let omitted = rows(&timed, out, |(step, since), out| row(step, *since, report, out))?;
    out.push_str("</tbody></table></div>\n");
    if omitted > 0 {
        writeln!(out, "<p class=\"note\">{} more steps are not shown.</p>", count(omitted as u64))?;
    }
    out.push_str("</section>\n");
    Ok(())
}

/// The layers side by side.
fn bar(report: &Report, out: &mut String) -> fmt::Result {
    let layers = &report.usage.layers;
    let total: f64 = layers.iter().map(|layer| layer.added as f64).sum();
    if total == 0.0 {
        return Ok(());
    }
    out.push_str(
        "<svg class=\"bar\" viewBox=\"0 0 1200 34\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"Sizes of the layers\">",
    );
    let mut x = 0.0;
    for (layer, usage) in layers.iter().enumerate() {
        let width = usage.added as f64 / total * 1200.0;
        if width >= 0.5 {
            write!(out, "<g><title>layer {layer}: {}</title>", short_size(usage.added))?;
            rect(&format!("f c{}", colour(layer)), Rect { x, y: 0.0, width, height: 34.0 }, out)?;
            out.push_str("</g>");
        }
        x += width;
    }
    out.push_str("</svg>\n");
    Ok(())
}

fn row((step, layer): &Step<'_>, since: Option<i64>, report: &Report, out: &mut String) -> fmt::Result {
    out.push_str(if layer.is_some() { "<tr>" } else { "<tr class=\"none\">" });
    match layer {
        Some(layer) => {
            write!(out, "<td class=\"n\"><i class=\"c{}\"></i>{}</td>", colour(layer.position), layer.position)?;
        }
        None => out.push_str("<td class=\"n\">–</td>"),
    }
    write!(out, "<td class=\"by\"><code>{}</code>", foreign(step.created_by.as_deref().unwrap_or("unknown")))?;
    if let Some(comment) = step.comment.as_deref().filter(|comment| !comment.is_empty()) {
        write!(out, "<br><small>{}</small>", foreign(comment))?;
    }
    out.push_str("</td><td class=\"when\">");
    if let Some(created) = step.created {
        write!(out, "{}", created.truncated())?;
    }
    if let Some(since) = since.filter(|since| *since > 0) {
        write!(out, " <br>+{}", duration(since))?;
    }
    out.push_str("</td>");
    let Some(layer) = layer else {
        out.push_str("<td></td><td></td><td></td><td></td><td></td></tr>\n");
        return Ok(());
    };
    write!(out, "<td class=\"n\">{}</td>", short_size(layer.descriptor.size))?;
    let usage = report.usage.layers.get(layer.position).copied().unwrap_or_default();
    write!(out, "<td class=\"n\">{}</td>", short_size(usage.added))?;
    for size in [usage.hidden, usage.wasted] {
        match size {
            0 => out.push_str("<td class=\"n\">–</td>"),
            _ => write!(out, "<td class=\"n some\">{}</td>", short_size(size))?,
        }
    }
    out.push_str("<td class=\"n\">");
    if let Some(changes) = report.changes.get(layer.position) {
        let (added, modified, removed) = (changes.added.paths, changes.modified.paths, changes.removed.paths);
        let kinds = [("added", "+", added), ("modified", "~", modified), ("removed", "−", removed)];
        for (class, sign, paths) in kinds.into_iter().filter(|(_, _, paths)| *paths > 0) {
            write!(out, "<span class=\"{class}\">{sign}{}</span> ", count(paths))?;
        }
    }
    out.push_str("</td></tr>\n");
    Ok(())
}
