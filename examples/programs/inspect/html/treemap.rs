//! Areas for sizes: a rectangle divided so that each part is as large as its share, and as square as can be.

/// A rectangle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rect {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) width: f64,
    pub(crate) height: f64,
}

impl Rect {
    /// The rectangle without a border of so much, and without a band at the top.
    pub(crate) fn inside(self, border: f64, top: f64) -> Self {
        Self {
            x: self.x + border,
            y: self.y + border + top,
            width: (self.width - 2.0 * border).max(0.0),
            height: (self.height - 2.0 * border - top).max(0.0),
        }
    }

    fn shorter_side(self) -> f64 {
        self.width.min(self.height)
    }
}

/// Divides a rectangle among sizes, the largest first. The rectangles are in the order of the sizes.
///
/// It goes row by row along the shorter side, and begins a new row where one more part would make the parts of the
/// row less square (Bruls, Huizing and van Wijk, "Squarified Treemaps").
pub(crate) fn divide(mut area: Rect, sizes: &[u64]) -> Vec<Rect> {
    let total: f64 = sizes.iter().map(|size| *size as f64).sum();
    let scale = if total > 0.0 { area.width * area.height / total } else { 0.0 };
    let mut parts = Vec::with_capacity(sizes.len());
    let mut row = Vec::<f64>::new();
    for part in sizes.iter().map(|size| *size as f64 * scale) {
        let side = area.shorter_side();
        let longer: Vec<f64> = row.iter().copied().chain([part]).collect();
        if !row.is_empty() && worst(&longer, side) > worst(&row, side) {
            area = lay(&row, area, &mut parts);
            row = vec![part];
        } else {
            row = longer;
        }
    }
    lay(&row, area, &mut parts);
    parts
}

/// How far from square the worst part of a row along a side is.
fn worst(row: &[f64], side: f64) -> f64 {
    let sum: f64 = row.iter().sum();
    let ratio = |part: &f64| {
        let (square, along) = (sum * sum, side * side * part);
        (along / square).max(square / along)
    };
    row.iter().map(ratio).fold(0.0, f64::max)
}

/// Puts a row along the shorter side of an area, and gives what is left of the area.
fn lay(row: &[f64], area: Rect, parts: &mut Vec<Rect>) -> Rect {
    let (sum, side) = (row.iter().sum::<f64>(), area.shorter_side());
    let depth = if side > 0.0 { sum / side } else { 0.0 };
    let is_column = area.width >= area.height;
    let mut at = if is_column { area.y } else { area.x };
    for part in row {
        let length = if depth > 0.0 { part / depth } else { 0.0 };
        parts.push(if is_column {
            Rect { x: area.x, y: at, width: depth, height: length }
        } else {
            Rect { x: at, y: area.y, width: length, height: depth }
        });
        at += length;
    }
    if is_column {
        Rect { x: area.x + depth, width: (area.width - depth).max(0.0), ..area }
    } else {
        Rect { y: area.y + depth, height: (area.height - depth).max(0.0), ..area }
    }
}
