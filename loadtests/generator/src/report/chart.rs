//! One picture: a frame with axes, into which lines and areas are drawn, as SVG.

use std::fmt::Write as _;

use super::scale::Scale;

const WIDTH: f64 = 960.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 16.0;
const BOTTOM: f64 = 34.0;
/// A row of labels of marks, above the frame.
const LABEL_ROW: f64 = 15.0;
const LABEL_ROWS: usize = 3;
/// More marks are drawn without labels.
const LABELS_MAX: usize = 16;
/// More marks are not drawn.
const MARKS_MAX: usize = 120;

/// A picture that is being drawn. Writing to a `String` cannot fail, so results of `write!` are dropped.
pub(super) struct Chart {
    svg: String,
    x: Scale,
    y: Scale,
    top: f64,
    height: f64,
}

/// Text for an axis' values.
pub(super) type Label = fn(f64) -> String;

impl Chart {
    /// An empty frame. `title` says in a sentence what is seen; it is read to who does not see it.
    pub(super) fn new(title: &str, x: Scale, y: Scale, height: f64, labels: bool) -> Self {
        let top = if labels {
            LABEL_ROW * LABEL_ROWS as f64 + 6.0
        } else {
            12.0
        };
        let all = top + height + BOTTOM;
        let title = escape(title);
        let svg = format!(
            r#"<svg viewBox="0 0 {WIDTH} {all}" role="img" aria-label="{title}"><title>{title}</title>"#
        );
        Self {
            svg,
            x,
            y,
            top,
            height,
        }
    }

    fn px(&self, x: f64) -> f64 {
        LEFT + self.x.place(x) * (WIDTH - LEFT - RIGHT)
    }

    fn py(&self, y: f64) -> f64 {
        self.top + (1.0 - self.y.place(y)) * self.height
    }

    /// Lines across at round values of y, with their labels.
    pub(super) fn y_axis(&mut self, label: Label) {
        for tick in self.y.ticks() {
            let (y, right, text) = (self.py(tick), WIDTH - RIGHT, label(tick));
            let at = LEFT - 8.0;
            let _ = write!(
                self.svg,
                r#"<line class="grid" x1="{LEFT}" x2="{right}" y1="{y:.1}" y2="{y:.1}"/><text class="tick" x="{at}" y="{y:.1}" dy="4" text-anchor="end">{text}</text>"#
            );
        }
    }

    /// Labels at round values of x.
    pub(super) fn x_axis(&mut self, label: Label) {
        self.x_axis_at(&self.x.ticks(), label);
    }

    /// Labels at these values of x.
    pub(super) fn x_axis_at(&mut self, ticks: &[f64], label: Label) {
        let (base, text_at) = (self.top + self.height, self.top + self.height + 20.0);
        for tick in ticks {
            let (x, text) = (self.px(*tick), label(*tick));
            let to = base + 5.0;
            let _ = write!(
                self.svg,
                r#"<line class="axis" x1="{x:.1}" x2="{x:.1}" y1="{base}" y2="{to}"/><text class="tick" x="{x:.1}" y="{text_at}" text-anchor="middle">{text}</text>"#
            );
        }
        let right = WIDTH - RIGHT;
        let _ = write!(
            self.svg,
            r#"<line class="axis" x1="{LEFT}" x2="{right}" y1="{base}" y2="{base}"/>"#
        );
    }

    /// A line through these points; where one is missing, a gap.
    pub(super) fn line(&mut self, class: &str, points: impl Iterator<Item = (f64, Option<f64>)>) {
        let mut path = String::new();
        let mut pen = 'M';
        for (x, y) in points {
            let Some(y) = y else {
                pen = 'M';
                continue;
            };
            let _ = write!(path, "{pen}{:.1} {:.1}", self.px(x), self.py(y));
            // A point between two gaps is seen too.
            if pen == 'M' {
                path.push_str("h.1");
            }
            pen = 'L';
        }
        let _ = write!(self.svg, r#"<path class="line {class}" d="{path}"/>"#);
    }

    /// What lies between two lines.
    pub(super) fn band(&mut self, class: &str, points: &[(f64, f64, f64)]) {
        if points.is_empty() {
            return;
        }
        let there = points.iter().map(|(x, low, _)| (*x, *low));
        let back = points.iter().rev().map(|(x, _, high)| (*x, *high));
        let mut path = String::new();
        for (index, (x, y)) in there.chain(back).enumerate() {
            let pen = if index == 0 { 'M' } else { 'L' };
            let _ = write!(path, "{pen}{:.1} {:.1}", self.px(x), self.py(y));
        }
        let _ = write!(self.svg, r#"<path class="area {class}" d="{path}Z"/>"#);
    }

    /// What lies below steps of this width.
    pub(super) fn bars(
        &mut self,
        class: &str,
        width: f64,
        points: impl Iterator<Item = (f64, f64)>,
    ) {
        let base = self.top + self.height;
        let mut path = String::new();
        for (x, y) in points.filter(|(_, y)| *y > 0.0) {
            let (left, right, top) = (self.px(x), self.px(x + width), self.py(y));
            let _ = write!(path, "M{left:.1} {base}V{top:.1}H{right:.1}V{base}Z");
        }
        let _ = write!(self.svg, r#"<path class="area {class}" d="{path}"/>"#);
    }

    /// What is told when the pointer rests on a step.
    pub(super) fn tips(&mut self, width: f64, tips: impl Iterator<Item = (f64, String)>) {
        let (top, height) = (self.top, self.height);
        for (x, tip) in tips {
            let (left, right) = (self.px(x), self.px(x + width));
            let (wide, tip) = (right - left, escape(&tip));
            let _ = write!(
                self.svg,
                r#"<rect class="tip" x="{left:.1}" y="{top}" width="{wide:.2}" height="{height}"><title>{tip}</title></rect>"#
            );
        }
    }

    /// A line down at each of these instants, with its name if there are few.
    pub(super) fn marks(&mut self, marks: &[(f64, &str)]) {
        if marks.len() > MARKS_MAX {
            return;
        }
        let labelled = marks.len() <= LABELS_MAX;
        // Where the last label of each row ends.
        let mut ends = [LEFT - 20.0; LABEL_ROWS];
        for (at, name) in marks {
            let x = self.px(*at);
            let row = labelled.then(|| free_row(&mut ends, x, name)).flatten();
            self.mark(x, row, name);
        }
    }

    fn mark(&mut self, x: f64, row: Option<(usize, f64)>, name: &str) {
        let (base, name) = (self.top + self.height, escape(name));
        let mut top = self.top;
        if let Some((row, text_x)) = row {
            let text_y = LABEL_ROW * (row + 1) as f64 - 3.0;
            top = text_y + 3.0;
            let _ = write!(
                self.svg,
                r#"<text class="name" x="{text_x:.1}" y="{text_y}">{name}</text>"#
            );
        }
        let _ = write!(
            self.svg,
            r#"<line class="mark" x1="{x:.1}" x2="{x:.1}" y1="{top}" y2="{base}"><title>{name}</title></line>"#
        );
    }

    pub(super) fn finish(mut self) -> String {
        self.svg.push_str("</svg>");
        self.svg
    }
}

/// A row in which this label does not touch the one before, and where it begins there.
fn free_row(ends: &mut [f64; LABEL_ROWS], x: f64, name: &str) -> Option<(usize, f64)> {
    const LETTER: f64 = 6.4;
    let width = name.chars().count() as f64 * LETTER;
    let from = x.min(WIDTH - RIGHT - width).max(0.0);
    let row = ends.iter().position(|end| end + 8.0 <= from)?;
    ends[row] = from + width;
    Some((row, from))
}

/// Text that can stand in HTML and in attributes.
pub(super) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            other => safe.push(other),
        }
    }
    safe
}
