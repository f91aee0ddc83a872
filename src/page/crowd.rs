//! Sessions by SET, as one small picture of up to 65,536 of them.

use super::words::grouped;
use std::fmt::Write as _;

/// Cells of the picture at the most; of more SETs neighbours share one.
const CELLS_MAX: usize = 512;

/// Cells of a row, and pixels of one.
const ROW: usize = 64;
const CELL: usize = 12;

/// SETs that are named at the most.
const NAMED_MAX: usize = 12;

/// Sessions by SET.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SetSessions {
    /// Live sessions, by the SETs' numbers.
    pub sessions: Vec<u64>,
    /// SETs that are masked.
    pub masked: Vec<u32>,
    /// SETs that are draining.
    pub draining: Vec<u32>,
}

impl SetSessions {
    /// Words and a picture, as HTML.
    pub fn html(&self) -> String {
        let sets = self.sessions.len();
        if sets == 0 {
            return String::new();
        }
        let (least, most) =
            (self.sessions.iter().min().unwrap_or(&0), self.sessions.iter().max().unwrap_or(&0));
        let mean = self.sessions.iter().sum::<u64>() / sets as u64;
        let mut out = format!(
            "<p>{} SETs with {} to {} sessions, {} on average.",
            grouped(sets as u64),
            grouped(*least),
            grouped(*most),
            grouped(mean)
        );
        for (numbers, state) in [(&self.masked, "masked"), (&self.draining, "draining")] {
            if !numbers.is_empty() {
                let _ = write!(out, " <span class=\"bad\">{}</span>", named(numbers, state));
            }
        }
        out.push_str("</p>\n");
        out.push_str(&self.picture(*most));
        out
    }

    /// A cell for each SET, or for neighbours; the more sessions the darker, masked ones red.
    fn picture(&self, most: u64) -> String {
        let each = self.sessions.len().div_ceil(CELLS_MAX);
        let cells: Vec<u64> =
            self.sessions.chunks(each).map(|sets| sets.iter().sum::<u64>() / sets.len() as u64).collect();
        let bad: Vec<usize> = self.masked.iter().map(|set| *set as usize / each).collect();
        let columns = cells.len().min(ROW);
        let (width, height) = (columns * CELL, cells.len().div_ceil(ROW) * CELL);
        let mut svg = format!(
            "<svg class=\"strip\" style=\"max-width:{width}px\" viewBox=\"0 0 {width} {height}\" \
             xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" aria-label=\"sessions by SET\">"
        );
        for (nth, sessions) in cells.iter().enumerate() {
            let (x, y) = (nth % ROW * CELL, nth / ROW * CELL);
            let is_bad = bad.contains(&nth);
            let color = if is_bad { "#B8324A" } else { "#2B6CB0" };
            let share = if is_bad { 1.0 } else { 0.1 + 0.9 * *sessions as f64 / most.max(1) as f64 };
            let size = CELL - 1;
            let _ = write!(
                svg,
                "<rect x=\"{x}\" y=\"{y}\" width=\"{size}\" height=\"{size}\" fill=\"{color}\" fill-opacity=\"{share:.2}\"/>"
            );
        }
        svg.push_str("</svg>\n");
        let of = if each > 1 { format!("{each} SETs") } else { "a SET".to_owned() };
        let _ = writeln!(
            svg,
            "<p class=\"soft\">A square is {of}; the darker, the more sessions, up to {}.</p>",
            grouped(most)
        );
        svg
    }
}

fn named(numbers: &[u32], state: &str) -> String {
    let shown: Vec<String> = numbers.iter().take(NAMED_MAX).map(u32::to_string).collect();
    let more = numbers.len().saturating_sub(NAMED_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{state}: {}{more}.", shown.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expect: one square a SET of a few, and no more squares than fit of very many.
    #[test]
    fn few_and_very_many_sets_have_a_picture() {
        for (sets, squares) in [(1, 1), (4, 4), (512, 512), (65_536, 512)] {
            let crowd = SetSessions { sessions: vec![7; sets], masked: vec![0], draining: vec![] };
            let html = crowd.html();
            let (_, svg) = html.split_once("</p>\n").unwrap();
            let (svg, _) = svg.split_once("\n<p").unwrap();
            let xml = roxmltree::Document::parse(svg).unwrap();
            let rects = xml.descendants().filter(|node| node.tag_name().name() == "rect").count();
            assert_eq!(rects, squares);
            assert!(html.contains("masked: 0.") && html.contains("7 to 7 sessions"), "{html}");
        }
        assert_eq!(SetSessions::default().html(), "");
    }

    #[test]
    fn many_numbers_are_not_all_named() {
        let numbers: Vec<u32> = (0..20).collect();
        assert_eq!(named(&numbers, "masked"), "masked: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 8 more.");
    }
}
