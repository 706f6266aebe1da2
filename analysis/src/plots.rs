//! Pictures as SVG text: [`curves`] and [`bars`] with plotters, [`network`] drawn directly.
//!
//! All pictures share one palette (Okabe and Ito's, readable with any colour vision) and one ink colour. They
//! stand on white as files; [`inline`] makes them take text colour and background from the page around.

mod bars;
mod curves;
mod network;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

pub use bars::{Bar, BarGroup, Bars, bars};
pub use curves::{Curve, CurvePoint, Curves, curves};
pub use network::{MessagePath, Network, OperatorBox, RouterAt, network};

/// A picture could not be drawn.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlotError {
    /// The plotting library refused.
    #[error("cannot draw: {0}")]
    Draw(String),
    /// Nothing to show.
    #[error("there is nothing to draw: {0}")]
    Empty(&'static str),
    /// A value outside the axis, or not a number.
    #[error("{what} cannot be {value}")]
    Value {
        /// What the value is.
        what: &'static str,
        /// The value.
        value: String,
    },
    /// A path through a router that is not in the picture.
    #[error("path {path} goes through a router that is not listed")]
    UnknownRouter {
        /// Index of the path.
        path: usize,
    },
}

impl<E: std::error::Error + Send + Sync> From<DrawingAreaErrorKind<E>> for PlotError {
    fn from(error: DrawingAreaErrorKind<E>) -> Self {
        PlotError::Draw(error.to_string())
    }
}

/// The colour of text and axes.
const INK: RGBColor = RGBColor(0x1F, 0x23, 0x28);
const INK_HEX: &str = "#1F2328";
const PAPER: RGBColor = RGBColor(0xFF, 0xFF, 0xFF);
const PAPER_HEX: &str = "#FFFFFF";
/// A grey that shows on white and on black.
const GRID: RGBColor = RGBColor(0x80, 0x80, 0x80);
const FONT: &str = "sans-serif";

/// Okabe and Ito's colours without black and yellow.
const PALETTE: [RGBColor; 6] = [
    RGBColor(0xD5, 0x5E, 0x00),
    RGBColor(0xE6, 0x9F, 0x00),
    RGBColor(0x00, 0x72, 0xB2),
    RGBColor(0x00, 0x9E, 0x73),
    RGBColor(0xCC, 0x79, 0xA7),
    RGBColor(0x56, 0xB4, 0xE9),
];

/// The colour of the `index`-th series; repeats after six.
fn colour(index: usize) -> RGBColor {
    PALETTE.get(index % PALETTE.len()).copied().unwrap_or(INK)
}

/// A text style of `pixels` font size. plotters takes the line height and divides by 1.24.
fn text(pixels: f64, horizontal: HPos) -> TextStyle<'static> {
    (FONT, pixels * 1.24).into_font().color(&INK).pos(Pos::new(horizontal, VPos::Center))
}

/// The same picture for use inside a page: ink becomes the page's text colour, paper transparent.
pub fn inline(svg: &str) -> String {
    svg.replace(INK_HEX, "currentColor").replace(PAPER_HEX, "none")
}

/// Names the picture for readers who cannot see it.
fn titled(svg: &str, title: &str) -> String {
    let label = escape(title);
    svg.replacen("<svg ", &format!("<svg role=\"img\" aria-label=\"{label}\" "), 1)
}

/// `text` with the characters that mean something in XML and HTML replaced.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(c),
        }
    }
    escaped
}

/// At most `most` characters, with an ellipsis where something was cut.
fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// A whole number with thousands separated by a comma.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A probability as a percentage with about three significant digits, and never `0` for what is not 0.
pub fn percent(p: f64) -> String {
    let percent = p * 100.0;
    if percent == 0.0 {
        return "0 %".into();
    }
    // Between 10 and 100 one decimal, below that one more for each power of ten, up to six.
    let decimals = (2.0 - percent.abs().log10().floor()).clamp(0.0, 6.0) as usize;
    let text = format!("{percent:.decimals$}");
    if text.trim_start_matches('-').chars().all(|c| matches!(c, '0' | '.')) {
        return format!("{percent:.1e} %");
    }
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text} %")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_keep_three_digits() {
        for (p, text) in [
            (0.0, "0 %"),
            (1.0, "100 %"),
            (0.5, "50 %"),
            (0.12345, "12.3 %"),
            (0.02, "2 %"),
            (0.000_401_2, "0.0401 %"),
            (0.999_999, "100 %"),
            (1e-12, "1.0e-10 %"),
        ] {
            assert_eq!(percent(p), text);
        }
    }

    #[test]
    fn thousands_are_separated() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1000), "1,000");
        assert_eq!(grouped(1_234_567), "1,234,567");
    }

    #[test]
    fn texts_are_cut_by_characters_and_escaped() {
        assert_eq!(shortened("операторы", 5), "опер…");
        assert_eq!(shortened("abc", 3), "abc");
        assert_eq!(escape("<a & \"b\">"), "&lt;a &amp; &quot;b&quot;&gt;");
    }

    #[test]
    fn the_palette_and_the_page_do_not_mix() {
        assert_eq!(inline("#1F2328 #FFFFFF #D55E00"), "currentColor none #D55E00");
    }
}
