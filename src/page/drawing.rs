//! What all pictures have in common: colours, and text.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Of text.
pub const DARK: RGBColor = RGBColor(0x1f, 0x23, 0x28);

/// Of grids.
pub const GRAY: RGBColor = RGBColor(0xd8, 0xdc, 0xe2);

/// Of lines: eight that are told apart.
pub const COLORS: [RGBColor; 8] = [
    RGBColor(0x2b, 0x6c, 0xb0),
    RGBColor(0xd9, 0x7a, 0x1d),
    RGBColor(0x2f, 0x8f, 0x5b),
    RGBColor(0xb8, 0x32, 0x4a),
    RGBColor(0x6b, 0x5b, 0x95),
    RGBColor(0x1f, 0x9e, 0xa8),
    RGBColor(0x8a, 0x5a, 0x2b),
    RGBColor(0x7a, 0x80, 0x88),
];

/// What is drawn on.
pub type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Why something was not drawn.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Writes a line of text with its middle at `at`, which is the side that `anchor` says.
pub fn write(
    area: &Area<'_>,
    text: &str,
    at: (i32, i32),
    size: i32,
    color: &RGBColor,
    anchor: HPos,
) -> Result<()> {
    let style = ("sans-serif", size).into_font().color(color).pos(Pos::new(anchor, VPos::Center));
    area.draw(&Text::new(text.to_owned(), at, style))?;
    Ok(())
}

/// A text, broken into lines of so many characters.
pub fn broken(text: &str, characters: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is a line");
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > characters {
            lines.push(word.to_owned());
        } else {
            line.extend((!line.is_empty()).then_some(' '));
            line.push_str(word);
        }
    }
    lines
}
