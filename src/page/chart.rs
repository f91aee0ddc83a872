//! One chart: lines over time, with a title that names the unit, and a legend.

use super::drawing::{COLORS, DARK, GRAY, Result, write};
use super::words::{tick, time};
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

/// Pixels. Two of them stand beside each other on a wide page.
const WIDTH: u32 = 640;
const HEIGHT: u32 = 250;
const TITLE: u32 = 30;
const LEGEND: u32 = 20;
const LEFT: u32 = 64;
const BELOW: u32 = 28;

/// Pixels that a character of a legend takes, about.
const CHARACTER: f64 = 6.9;

/// Points that are further apart than so many times the usual are not joined.
const GAP: f64 = 2.6;

/// More points than this are not told apart in so many pixels: some of them become one.
const POINTS_MAX: usize = 600;

/// What values mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Plain numbers from 0.
    Number,
    /// Plain numbers from 0 to 100 with a percent sign.
    Percent,
    /// Times in ns, by powers of ten.
    Time,
}

/// What becomes of points that are too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Many {
    /// Their mean: of rates.
    Mean,
    /// The greatest: of what must not be overlooked.
    Most,
}

/// A line with its name.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its name in the legend.
    pub name: String,
    /// Its colour.
    pub color: RGBColor,
    /// Whether it is broad and pale, so that another one that lies on it is seen.
    pub is_broad: bool,
    /// What becomes of points that are too many.
    pub many: Many,
    /// Seconds and values, in the order of time.
    pub points: Vec<(f64, f64)>,
}

impl Line {
    /// A line of the nth colour.
    pub fn new(name: impl Into<String>, nth: usize, points: Vec<(f64, f64)>) -> Line {
        Line {
            name: name.into(),
            color: COLORS[nth % COLORS.len()],
            is_broad: false,
            many: Many::Mean,
            points,
        }
    }

    /// The same, broad and pale.
    pub fn broad(self) -> Line {
        Line { is_broad: true, ..self }
    }

    /// The same, of which the greatest points stay.
    pub fn most(self) -> Line {
        Line { many: Many::Most, ..self }
    }

    /// Its points, not too many.
    fn thinned(&self) -> Vec<(f64, f64)> {
        let group = self.points.len().div_ceil(POINTS_MAX).max(1);
        let one = |points: &[(f64, f64)]| {
            let len = points.len() as f64;
            let value = match self.many {
                Many::Mean => points.iter().map(|point| point.1).sum::<f64>() / len,
                Many::Most => points.iter().map(|point| point.1).fold(f64::MIN, f64::max),
            };
            (points.iter().map(|point| point.0).sum::<f64>() / len, value)
        };
        self.points.chunks(group).map(one).collect()
    }
}

/// Lines over time.
#[derive(Clone, Debug)]
pub struct Chart {
    /// What is drawn, and its unit.
    pub title: String,
    /// What values mean.
    pub scale: Scale,
    /// The lines.
    pub lines: Vec<Line>,
    /// From when to when, in s. Before 0 is ago.
    pub range_s: (f64, f64),
}

impl Chart {
    /// Whether any line has a point above 0.
    pub fn has_values(&self) -> bool {
        self.lines.iter().flat_map(|line| &line.points).any(|point| point.1 > 0.0)
    }

    /// The picture, as SVG without a background.
    pub fn svg(&self) -> Result<String> {
        let mut svg = String::new();
        self.draw(&mut svg)?;
        Ok(svg)
    }

    fn draw(&self, svg: &mut String) -> Result<()> {
        let places = legend_places(&self.lines);
        let rows = places.last().map_or(0, |place| place.1 + 1);
        let top = TITLE + LEGEND * rows;
        let area = SVGBackend::with_string(svg, (WIDTH, top + HEIGHT)).into_drawing_area();
        write(&area, &self.title, (10, 16), 16, &DARK, HPos::Left)?;
        for (line, (x, row)) in self.lines.iter().zip(&places) {
            let middle = (TITLE + LEGEND * row + LEGEND / 2) as i32 - 2;
            area.draw(&Rectangle::new([(*x, middle - 2), (x + 18, middle + 2)], line.style().filled()))?;
            write(&area, &line.name, (x + 24, middle), 13, &DARK, HPos::Left)?;
        }
        let (unit, unit_s) = time_unit(self.range_s);
        let (low, high) = self.values();
        let x_range = self.range_s.0 / unit_s..(self.range_s.1 / unit_s).max(self.range_s.0 / unit_s + 1e-3);
        let place = area.margin(top, 0, 2, 18);
        let mut chart = ChartBuilder::on(&place)
            .margin_top(6)
            .x_label_area_size(BELOW)
            .y_label_area_size(LEFT)
            .build_cartesian_2d(x_range, low..high)?;
        let labels = if self.scale == Scale::Time { (high - low) as usize + 1 } else { 5 };
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRAY)
            .axis_style(DARK)
            .label_style(("sans-serif", 13).into_font().color(&DARK))
            .x_labels(7)
            .y_labels(labels)
            .x_label_formatter(&|at| format!("{} {unit}", tick((at * 100.0).round() / 100.0)))
            .y_label_formatter(&|value| self.label(*value))
            .draw()?;
        for line in &self.lines {
            for piece in pieces(&line.thinned()) {
                let at = |(second, value): &(f64, f64)| match self.scale {
                    Scale::Time => (*value > 0.0).then(|| (second / unit_s, value.log10().clamp(low, high))),
                    _ => Some((second / unit_s, *value)),
                };
                let points: Vec<(f64, f64)> = piece.iter().filter_map(at).collect();
                if let [only] = points[..] {
                    chart.draw_series([Circle::new(only, 2, line.style().filled())])?;
                }
                chart.draw_series(LineSeries::new(points, line.style()))?;
            }
        }
        area.present()?;
        Ok(())
    }

    fn label(&self, value: f64) -> String {
        match self.scale {
            Scale::Number => tick(value),
            Scale::Percent => format!("{}%", tick(value)),
            Scale::Time => {
                let text = time(10f64.powf(value.round()));
                text.replace(".00", "").replace(".0 ", " ")
            }
        }
    }

    /// From where to where values go, on their scale.
    fn values(&self) -> (f64, f64) {
        let values = || self.lines.iter().flat_map(|line| &line.points).map(|point| point.1);
        let most = values().fold(0.0, f64::max);
        match self.scale {
            Scale::Percent => (0.0, 100.0),
            Scale::Number => (0.0, if most > 0.0 { 1.06 * most } else { 1.0 }),
            Scale::Time => {
                let least = values().filter(|value| *value > 0.0).fold(f64::INFINITY, f64::min);
                let (low, high) = (least.min(most).max(1.0).log10().floor(), most.max(1.0).log10().ceil());
                (low, high.max(low + 1.0))
            }
        }
    }
}

impl Line {
    fn style(&self) -> ShapeStyle {
        match self.is_broad {
            true => self.color.mix(0.38).stroke_width(6),
            false => self.color.stroke_width(2),
        }
    }
}

/// The points between which nothing is missing: where there is nothing to draw no line is drawn.
fn pieces(points: &[(f64, f64)]) -> impl Iterator<Item = &[(f64, f64)]> {
    let mut steps: Vec<f64> = points.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    steps.sort_by(f64::total_cmp);
    let usual = steps.get(steps.len() / 2).copied().unwrap_or(f64::INFINITY);
    points.chunk_by(move |one, next| next.0 - one.0 <= GAP * usual)
}

/// Where each name of the legend stands: pixels from the left, and the row.
fn legend_places(lines: &[Line]) -> Vec<(i32, u32)> {
    let (mut x, mut row) = (12, 0);
    let place = |line: &Line| {
        let width = 24 + (CHARACTER * line.name.chars().count() as f64) as i32 + 18;
        if x > 12 && x + width > WIDTH as i32 {
            (x, row) = (12, row + 1);
        }
        let place = (x, row);
        x += width;
        place
    };
    lines.iter().map(place).collect()
}

/// What an axis of time is divided into.
fn time_unit((begin_s, end_s): (f64, f64)) -> (&'static str, f64) {
    match end_s - begin_s {
        span if span <= 180.0 => ("s", 1.0),
        span if span <= 10_800.0 => ("min", 60.0),
        _ => ("h", 3_600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(scale: Scale, points: Vec<(f64, f64)>) -> Chart {
        let end_s = points.last().map_or(0.0, |point| point.0);
        let lines = vec![Line::new("one & <two>", 0, points.clone()).broad(), Line::new("other", 1, points)];
        Chart { title: "What, per second".into(), scale, lines, range_s: (0.0, end_s) }
    }

    /// Expect: XML with title, legend and labels with units, for a second, an hour, and for nothing.
    #[test]
    fn a_chart_is_drawn_of_much_and_of_little() {
        for (points, label) in [
            ((0..60).map(|at| (f64::from(at), 1e4 + f64::from(at))).collect(), "50 s"),
            ((0..3_600).map(|at| (f64::from(at), f64::from(at % 7))).collect(), "20 min"),
            ((0..20_000).map(|at| (f64::from(at), 5.0)).collect(), "2 h"),
            (vec![(1.0, 2.0)], "0 s"),
            (vec![], "0 s"),
        ] {
            for scale in [Scale::Number, Scale::Percent, Scale::Time] {
                let svg = chart(scale, points.clone()).svg().unwrap();
                let xml = roxmltree::Document::parse(&svg).unwrap();
                let texts: Vec<&str> =
                    xml.descendants().filter_map(|node| node.text()).map(str::trim).collect();
                for text in ["What, per second", "one & <two>", "other", label] {
                    assert!(texts.contains(&text), "no {text:?} in {texts:?}");
                }
                assert!(svg.len() < 60_000, "{} bytes", svg.len());
            }
        }
    }

    #[test]
    fn of_many_points_the_greatest_can_stay() {
        let points: Vec<(f64, f64)> =
            (0..6_000).map(|at| (f64::from(at), f64::from(u8::from(at == 777)))).collect();
        let most = |line: &Line| line.thinned().iter().map(|point| point.1).fold(0.0, f64::max);
        let line = Line::new("x", 0, points);
        assert!(line.thinned().len() <= POINTS_MAX && most(&line) < 0.2);
        assert_eq!(most(&line.most()), 1.0);
    }

    #[test]
    fn lines_end_where_something_is_missing() {
        let points = [0.0, 1.0, 2.0, 3.0, 9.0, 10.0].map(|at| (at, 1.0));
        assert_eq!(pieces(&points).map(<[_]>::len).collect::<Vec<_>>(), [4, 2]);
    }

    #[test]
    fn a_long_legend_has_rows() {
        let lines: Vec<Line> = (0..8).map(|nth| Line::new("a name of some length", nth, vec![])).collect();
        let places = legend_places(&lines);
        assert!(places.last().unwrap().1 >= 2 && places.iter().all(|place| place.0 < WIDTH as i32 - 100));
    }
}
