//! The percentile spectrum as a picture: how long the slowest tenth, hundredth, thousandth took, a line for each
//! histogram.

use super::drawing::{COLORS, DARK, GRAY, Result, write};
use super::words::grouped;
use hdrhistogram::Histogram;
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

/// Pixels: as wide as a README is read.
const WIDTH: u32 = 800;

/// Pixels of the chart with its labels, of the title above it, and of each line of the legend.
const CHART: u32 = 380;
const HEAD: u32 = 34;
const LEGEND: u32 = 20;

/// Points for each halving of what is left to 100%.
const STEPS: u32 = 20;

/// The longest name that fits the legend, in characters. Of longer ones the end is shown.
const NAME_MAX: usize = 70;

/// How many lines a picture can have.
pub const LINES_MAX: usize = COLORS.len();

/// The picture, as SVG, of at most [`LINES_MAX`] histograms of ns with their names.
pub fn spectrum(lines: &[(String, &Histogram<u64>)]) -> Result<String> {
    let mut svg = String::new();
    draw(&mut svg, lines)?;
    Ok(svg)
}

fn draw(svg: &mut String, lines: &[(String, &Histogram<u64>)]) -> Result<()> {
    let top = HEAD + LEGEND * lines.len() as u32;
    let area = SVGBackend::with_string(svg, (WIDTH, top + CHART)).into_drawing_area();
    area.fill(&WHITE)?;
    write(&area, "Latency by percentile", (12, 18), 18, &DARK, HPos::Left)?;
    for (nth, ((name, histogram), color)) in lines.iter().zip(&COLORS).enumerate() {
        let middle = (HEAD + LEGEND * nth as u32 + LEGEND / 2) as i32;
        area.draw(&Rectangle::new([(12, middle - 2), (36, middle + 2)], color.filled()))?;
        let text = format!("{}  ({} values)", end_of(name), grouped(histogram.len()));
        write(&area, &text, (44, middle), 14, &DARK, HPos::Left)?;
    }
    let curves: Vec<Vec<(f64, f64)>> = lines.iter().map(|(_, histogram)| points(histogram)).collect();
    let all = || curves.iter().flatten();
    let right = all().map(|point| point.0).fold(1.0, f64::max).ceil();
    let low = all().map(|point| point.1).fold(f64::INFINITY, f64::min).floor();
    let high = all().map(|point| point.1).fold(f64::NEG_INFINITY, f64::max).ceil();
    let (low, high) = if low < high { (low, high) } else { (high - 1.0, high) };
    let place = area.margin(top, 0, 4, 24);
    let mut chart = ChartBuilder::on(&place)
        .margin_top(10)
        .x_label_area_size(46)
        .y_label_area_size(78)
        .build_cartesian_2d(0.0..right, low..high)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRAY)
        .axis_style(DARK)
        .label_style(("sans-serif", 14).into_font().color(&DARK))
        .x_labels(right as usize + 1)
        .y_labels((high - low) as usize + 1)
        .x_label_formatter(&|nines| percentile(*nines))
        .y_label_formatter(&|power| time(*power))
        .x_desc("percentile")
        .y_desc("latency")
        .draw()?;
    for (curve, color) in curves.into_iter().zip(&COLORS) {
        chart.draw_series(LineSeries::new(curve, color.stroke_width(2)))?;
    }
    area.present()?;
    Ok(())
}

/// The powers of ten of 1/(1-percentile) and of the latency in µs. The greatest value is drawn where one value of all
/// is left, for 100% is nowhere on this axis.
fn points(histogram: &Histogram<u64>) -> Vec<(f64, f64)> {
    let end = (histogram.len() as f64).log10();
    let point = |quantile: f64, ns: u64| {
        let nines = if quantile < 1.0 { -(1.0 - quantile).log10() } else { end };
        (nines.min(end), (ns.max(1) as f64 / 1e3).log10())
    };
    let steps = histogram.iter_quantiles(STEPS);
    let mut points: Vec<_> =
        steps.map(|step| point(step.quantile_iterated_to(), step.value_iterated_to())).collect();
    if let [only] = points[..] {
        points.push(only);
    }
    points
}

/// `0%`, `90%`, `99%`, `99.9%`, by how many nines there are.
fn percentile(nines: f64) -> String {
    let nines = nines.round().max(0.0) as usize;
    match nines {
        0 => "0%".into(),
        1 => "90%".into(),
        _ => format!("{:.*}%", nines - 2, 100.0 - 100.0 / 10f64.powi(nines as i32)),
    }
}

/// A power of ten of µs, with its unit.
fn time(power: f64) -> String {
    let power = power.round() as i32;
    let unit = ["ns", "µs", "ms", "s"][(power.div_euclid(3) + 1).clamp(0, 3) as usize];
    let shift = 3 * (power.div_euclid(3)).clamp(-1, 2);
    format!("{} {unit}", 10f64.powi(power - shift))
}

fn end_of(name: &str) -> String {
    let more = name.chars().count().saturating_sub(NAME_MAX);
    match more {
        0 => name.to_owned(),
        _ => format!("…{}", name.chars().skip(more + 1).collect::<String>()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values_us: impl Iterator<Item = u64>) -> Histogram<u64> {
        let mut histogram = crate::hdr::histogram();
        values_us.for_each(|us| histogram.record(us * 1_000).unwrap());
        histogram
    }

    /// Expect: XML, with a line and a name for each histogram, and units at both axes.
    #[test]
    fn a_picture_has_a_line_for_each_histogram() {
        let (one, two) = (of(1..=10_000), of((1..=100_000).map(|us| us * 3)));
        let svg = spectrum(&[("a & <b>.hlog".into(), &one), ("two.hgrm".into(), &two)]).unwrap();
        let xml = roxmltree::Document::parse(&svg).unwrap();
        for color in &COLORS[..2] {
            let stroke = format!("#{:02X}{:02X}{:02X}", color.0, color.1, color.2);
            let lines = xml.descendants().filter(|node| {
                node.has_tag_name(("http://www.w3.org/2000/svg", "polyline"))
                    && node.attribute("stroke") == Some(&stroke)
            });
            let points: Vec<usize> =
                lines.map(|line| line.attribute("points").unwrap().split_whitespace().count()).collect();
            assert!(points.len() == 1 && points[0] > 50, "{stroke}: {points:?}");
        }
        let texts: Vec<&str> = xml.descendants().filter_map(|node| node.text()).map(str::trim).collect();
        for text in [
            "a & <b>.hlog  (10,000 values)",
            "two.hgrm  (100,000 values)",
            "0%",
            "90%",
            "99.999%",
            "1 µs",
            "1 ms",
            "100 ms",
            "percentile",
            "latency",
        ] {
            assert!(texts.contains(&text), "no {text:?} in {texts:?}");
        }
    }

    /// Expect: a picture also of one value, of zeros, and of the greatest that are read.
    #[test]
    fn there_is_a_picture_of_little_and_of_much() {
        let mut greatest = Histogram::new(3).unwrap();
        greatest.record_n(1 << 53, 1 << 53).unwrap();
        for histogram in [of(0..1), of(7..8), greatest] {
            let svg = spectrum(&[("x".into(), &histogram)]).unwrap();
            assert!(roxmltree::Document::parse(&svg).is_ok());
        }
    }

    #[test]
    fn labels_have_their_nines_and_units() {
        assert_eq!([0.0, 1.0, 2.0, 3.0, 5.0].map(percentile), ["0%", "90%", "99%", "99.9%", "99.999%"]);
        let times = [-3.0, -1.0, 0.0, 1.0, 3.0, 5.0, 6.0, 7.0].map(time);
        assert_eq!(times, ["1 ns", "100 ns", "1 µs", "10 µs", "1 ms", "100 ms", "1 s", "10 s"]);
    }

    #[test]
    fn of_long_names_the_end_is_shown() {
        let name = format!("{}/after.hlog", "directory".repeat(20));
        assert!(end_of(&name).ends_with("/after.hlog") && end_of(&name).chars().count() == NAME_MAX);
    }
}
