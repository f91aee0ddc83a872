//! Pictures of goodput, latency and level over time: panels below each other, one column for each thing beside the
//! others, with one scale for each row.

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;
use redpkt::cli::Failure;
use redpkt::page::drawing::{Area, DARK, GRAY, Result, broken, write};

/// Pixels of a panel's drawing where there are several columns, and where there is one; how high it is; and pixels of
/// what is left of it, above and below.
const WIDTH: u32 = 430;
const WIDTH_ALONE: u32 = 740;
const HEIGHT: u32 = 170;
const LEFT: u32 = 66;
const ABOVE: u32 = 52;
const BELOW: u32 = 34;

/// Pixels above the first row, and below the last.
const HEAD: u32 = 62;
const FOOT: u32 = 50;

/// Points that are further apart than so many times the others are not joined.
const GAP: f64 = 2.5;

/// Pixels that a character of a legend takes, about.
const CHARACTER: i32 = 7;

const SHADE: RGBColor = RGBColor(0xf3, 0xee, 0xe2);

/// A line with its name.
#[derive(Clone, Debug)]
pub struct Line {
    pub name: String,
    pub color: RGBColor,
    /// Seconds and values, in the order of time.
    pub points: Vec<(f64, f64)>,
}

impl Line {
    /// The points between which nothing is missing: where there is nothing to draw no line is drawn.
    fn pieces(&self) -> impl Iterator<Item = &[(f64, f64)]> {
        let steps = self.points.windows(2).map(|pair| pair[1].0 - pair[0].0);
        let step = steps.fold(f64::INFINITY, f64::min);
        self.points.chunk_by(move |one, next| next.0 - one.0 <= GAP * step)
    }
}

/// How values are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// From 0.
    Linear,
    /// By powers of ten.
    Log,
}

/// Some lines over time.
#[derive(Clone, Debug)]
pub struct Panel {
    pub title: &'static str,
    pub scale: Scale,
    /// What a value is called at the axis.
    pub say: fn(f64) -> String,
    pub lines: Vec<Line>,
}

/// Panels of one thing, below each other.
#[derive(Clone, Debug)]
pub struct Column {
    pub title: String,
    pub panels: Vec<Panel>,
    /// When the load began and ended, in s; shaded.
    pub load_s: (f64, f64),
    /// How long all of it took, in s.
    pub end_s: f64,
}

/// The picture, as SVG.
pub fn picture(title: &str, columns: &[Column], foot: &str) -> std::result::Result<String, Failure> {
    let mut svg = String::new();
    draw(&mut svg, title, columns, foot)
        .map_err(|error| Failure::machine(format!("drawing {title}: {error}")))?;
    Ok(svg)
}

fn draw(svg: &mut String, title: &str, columns: &[Column], foot: &str) -> Result<()> {
    let rows = columns.iter().map(|column| column.panels.len()).max().unwrap_or(0);
    let width = if columns.len() > 1 { WIDTH } else { WIDTH_ALONE };
    let (cell_width, cell_height) = (LEFT + width, ABOVE + HEIGHT + BELOW);
    let size = (cell_width * columns.len() as u32 + 16, HEAD + cell_height * rows as u32 + FOOT);
    let area = SVGBackend::with_string(svg, size).into_drawing_area();
    area.fill(&WHITE)?;
    write(&area, title, (12, 20), 19, &DARK, HPos::Left)?;
    for (nth, column) in columns.iter().enumerate() {
        let left = (cell_width * nth as u32) as i32;
        write(&area, &column.title, (left + LEFT as i32, 48), 17, &DARK, HPos::Left)?;
        for (row, panel) in column.panels.iter().enumerate() {
            let of_row = columns.iter().filter_map(|column| column.panels.get(row));
            let range = range(panel.scale, of_row);
            let top = (HEAD + cell_height * row as u32) as i32;
            panel.draw(&area, (left, top, width), column, range)?;
        }
    }
    for (nth, line) in broken(foot, (size.0 / 7) as usize).iter().take(3).enumerate() {
        write(&area, line, (12, (size.1 - FOOT) as i32 + 8 + 16 * nth as i32), 13, &DARK, HPos::Left)?;
    }
    area.present()?;
    Ok(())
}

/// From where to where the values of a row go, on its scale.
fn range<'a>(scale: Scale, panels: impl Iterator<Item = &'a Panel>) -> (f64, f64) {
    let values: Vec<f64> = panels
        .flat_map(|panel| &panel.lines)
        .flat_map(|line| &line.points)
        .map(|(_, value)| *value)
        .collect();
    let most = values.iter().copied().fold(0.0, f64::max);
    match scale {
        Scale::Linear => (0.0, if most > 0.0 { 1.05 * most } else { 1.0 }),
        Scale::Log => {
            let least = values.iter().copied().filter(|value| *value > 0.0).fold(f64::INFINITY, f64::min);
            let (low, high) = (least.min(most).max(1e-3).log10().floor(), most.max(1e-3).log10().ceil());
            (low, high.max(low + 1.0))
        }
    }
}

impl Panel {
    fn draw(
        &self,
        area: &Area<'_>,
        (left, top, width): (i32, i32, u32),
        Column { load_s, end_s, .. }: &Column,
        (low, high): (f64, f64),
    ) -> Result<()> {
        write(area, self.title, (left + LEFT as i32, top + 14), 15, &DARK, HPos::Left)?;
        if self.lines.iter().all(|line| line.points.is_empty()) {
            return write(area, "none", (left + LEFT as i32, top + 36), 14, &DARK, HPos::Left);
        }
        let mut at = left + LEFT as i32;
        for line in &self.lines {
            write(area, &line.name, (at, top + 36), 14, &line.color, HPos::Left)?;
            at += CHARACTER * line.name.chars().count() as i32 + 16;
        }
        let place =
            area.clone().shrink((left + 4, top + ABOVE as i32), (LEFT + width - 16, HEIGHT + BELOW - 4));
        let mut chart = ChartBuilder::on(&place)
            .x_label_area_size(BELOW - 8)
            .y_label_area_size(LEFT - 6)
            .build_cartesian_2d(0.0..*end_s, low..high)?;
        let shade = Rectangle::new([(load_s.0, low), (load_s.1.min(*end_s), high)], SHADE.filled());
        chart.draw_series([shade])?;
        let value = |at: f64| if self.scale == Scale::Log { 10f64.powf(at) } else { at };
        let labels = if self.scale == Scale::Log { (high - low) as usize + 1 } else { 5 };
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRAY)
            .axis_style(DARK)
            .label_style(("sans-serif", 13).into_font().color(&DARK))
            .x_labels(7)
            .y_labels(labels)
            .x_label_formatter(&|at| format!("{} s", (at * 10.0).round() / 10.0))
            .y_label_formatter(&|at| (self.say)(value(*at)))
            .draw()?;
        for line in &self.lines {
            let at = |(time, value): &(f64, f64)| match self.scale {
                Scale::Linear => Some((*time, *value)),
                Scale::Log => (*value > 0.0).then(|| (*time, value.log10().clamp(low, high))),
            };
            for piece in line.pieces() {
                let points = piece.iter().filter_map(at);
                chart.draw_series(LineSeries::new(points, line.color.stroke_width(2)))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use redpkt::page::drawing::COLORS;

    /// Expect: each line, name and title in the picture, and one scale for a row.
    #[test]
    fn a_picture_has_all_that_it_was_given() {
        let column = |title: &str, most: f64| {
            let points = (0..10).map(|at| (f64::from(at), most * f64::from(at + 1) / 10.0)).collect();
            let line = Line { name: format!("line of {title}"), color: COLORS[0], points };
            let panel = |title, scale| Panel {
                title,
                scale,
                say: |value| format!("{value:.0} u"),
                lines: vec![line.clone()],
            };
            let panels = vec![panel("straight", Scale::Linear), panel("by tens", Scale::Log)];
            Column { title: title.to_owned(), panels, load_s: (2.0, 5.0), end_s: 9.0 }
        };
        let svg =
            picture("what & why", &[column("one", 10.0), column("two", 1_000.0)], "measured here").unwrap();
        for part in
            ["what &amp; why", "line of one", "line of two", "straight", "by tens", "1000 u", "measured here"]
        {
            assert!(svg.contains(part), "no {part:?}");
        }
        assert_eq!(svg.matches("1000 u").count(), 4, "both columns have the scale of the higher one");
    }

    /// Expect: a line for what is near each other, none over what is missing.
    #[test]
    fn lines_end_where_something_is_missing() {
        let points = [0.0, 0.1, 0.2, 0.4, 0.9, 1.0].map(|at| (at, 1.0)).into();
        let line = Line { name: String::new(), color: COLORS[0], points };
        assert_eq!(line.pieces().map(<[_]>::len).collect::<Vec<_>>(), [4, 2]);
    }

    #[test]
    fn a_row_without_values_has_a_scale_all_the_same() {
        assert_eq!(range(Scale::Linear, std::iter::empty()), (0.0, 1.0));
        let (low, high) = range(Scale::Log, std::iter::empty());
        assert!(low < high);
    }
}
