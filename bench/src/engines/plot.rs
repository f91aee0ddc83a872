//! The ladder as a picture: what each rung answers, and what it takes of the server's core.

use crate::floor::{Comparison, Spread, VariantReport};
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;
use redpkt::cli::Failure;
use redpkt::page::drawing::{Area, DARK, broken, write};

/// Pixels: as wide as a README is read.
const WIDTH: u32 = 800;

/// Pixels of a rung.
const RUNG: i32 = 42;

/// Pixels above the first rung, and below the last.
const HEAD: i32 = 62;
const FOOT: i32 = 70;

/// Where bars begin, and how long the longest whisker is; by panel.
const PANELS: [(i32, i32); 2] = [(112, 240), (470, 240)];

const BLUE: RGBColor = RGBColor(0x4c, 0x8d, 0xc9);
const ORANGE: RGBColor = RGBColor(0xe0, 0x96, 0x4a);

/// One of the two figures.
struct Panel {
    title: &'static str,
    color: RGBColor,
    left: i32,
    length: i32,
    max: f64,
    of: fn(&VariantReport) -> &Spread,
    say: fn(f64) -> String,
}

/// The picture, as SVG. `conditions` are lines for below.
pub fn ladder(comparison: &Comparison, conditions: &str) -> Result<String, Failure> {
    let mut svg = String::new();
    draw(&mut svg, comparison, conditions)
        .map_err(|error| Failure::machine(format!("drawing the ladder: {error}")))?;
    Ok(svg)
}

fn draw(
    svg: &mut String,
    comparison: &Comparison,
    conditions: &str,
) -> Result<(), Box<dyn std::error::Error>> {
    let rungs = &comparison.variants;
    let height = HEAD + RUNG * rungs.len() as i32 + FOOT;
    let area = SVGBackend::with_string(svg, (WIDTH, height as u32)).into_drawing_area();
    area.fill(&WHITE)?;
    let max = |of: fn(&VariantReport) -> &Spread| rungs.iter().map(|rung| of(rung).max).fold(1.0, f64::max);
    let panel = |nth: usize, title, color, of, say| {
        let (left, length) = PANELS[nth];
        Panel { title, color, left, length, max: max(of), of, say }
    };
    let panels = [
        panel(0, "answers/s", BLUE, |rung| &rung.answers_per_s, |value| format!("{:.0}k", value / 1e3)),
        panel(
            1,
            "server's CPU for each answer",
            ORANGE,
            |rung| &rung.cpu_ns_per_answer,
            |value| format!("{value:.0} ns"),
        ),
    ];
    for panel in &panels {
        write(&area, panel.title, (panel.left, HEAD - 18), 18, &DARK, HPos::Left)?;
    }
    for (nth, rung) in rungs.iter().enumerate() {
        let middle = HEAD + RUNG * nth as i32 + RUNG / 2;
        write(&area, rung.name, (PANELS[0].0 - 10, middle), 18, &DARK, HPos::Right)?;
        for panel in &panels {
            panel.draw(&area, rung, middle)?;
        }
    }
    let median = format!(
        "One redpkt server, one core. Bars: median of {}; whiskers: least and most.",
        comparison.pairs
    );
    write(&area, &median, (12, 20), 18, &DARK, HPos::Left)?;
    for (nth, line) in foot(conditions).iter().enumerate() {
        write(&area, line, (12, height - FOOT + 20 + 17 * nth as i32), 14, &DARK, HPos::Left)?;
    }
    area.present()?;
    Ok(())
}

/// At most three lines, as long as there is room.
fn foot(conditions: &str) -> Vec<String> {
    const CHARACTERS: usize = 125;
    let mut lines = broken(conditions, CHARACTERS);
    lines.truncate(3);
    lines
}

impl Panel {
    fn draw(
        &self,
        area: &Area<'_>,
        rung: &VariantReport,
        middle: i32,
    ) -> Result<(), Box<dyn std::error::Error>> {
        let spread = (self.of)(rung);
        let at = |value: f64| self.left + (value / self.max * f64::from(self.length)) as i32;
        let bar = [(self.left, middle - 12), (at(spread.median), middle + 12)];
        area.draw(&Rectangle::new(bar, self.color.filled()))?;
        let (least, most) = (at(spread.min), at(spread.max));
        let line = |from, to| PathElement::new([from, to], DARK.stroke_width(1));
        area.draw(&line((least, middle), (most, middle)))?;
        for end in [least, most] {
            area.draw(&line((end, middle - 5), (end, middle + 5)))?;
        }
        write(
            area,
            &(self.say)(spread.median),
            (most.max(at(spread.median)) + 7, middle),
            17,
            &DARK,
            HPos::Left,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// Expect: every rung with both figures, dark on white, and nothing wider than the picture.
    #[test]
    fn a_ladder_has_a_bar_for_each_figure() {
        let of = |median| Spread { min: 0.8 * median, median, max: 1.2 * median };
        let rung = |(name, answers_per_s, cpu)| VariantReport {
            name,
            answers_per_s: of(answers_per_s),
            cpu_ns_per_answer: of(cpu),
            machine_ns_per_answer: of(cpu),
            p50_us: of(1.0),
            p99_us: of(1.0),
            lost: 0,
        };
        let variants = [("batch_1", 300_000.0, 2_500.0), ("xdp_native", 900_000.0, 1_000.0)].map(rung);
        let comparison = Comparison { pairs: 5, variants: variants.into(), ratios: BTreeMap::new() };
        let svg = ladder(&comparison, "measured here & there").unwrap();
        for part in
            ["batch_1", "xdp_native", "300k", "900k", "2500 ns", "1000 ns", "here &amp; there", "#FFFFFF"]
        {
            assert!(svg.contains(part), "no {part:?} in {svg}");
        }
        let right = svg.split("x2=\"").skip(1).filter_map(|rest| rest.split('"').next()?.parse::<u32>().ok());
        assert!(right.clone().count() == 0 || right.max() < Some(WIDTH));
    }

    #[test]
    fn conditions_are_broken_into_lines() {
        let lines = foot(&"word ".repeat(100));
        assert!(lines.len() == 3 && lines.iter().all(|line| line.len() <= 125));
        assert_eq!(foot("a\nb"), ["a b"]);
    }
}
