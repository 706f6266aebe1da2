//! Shares by colluding set and policy: horizontal bars with intervals and expected values.

use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::{FONT, GRID, INK, PAPER, PlotError, colour, percent, shortened, text, titled};

/// One share.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bar {
    /// The estimate.
    pub estimate: f64,
    /// Lower end of its interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// What it should be, if something says so.
    pub expected: Option<f64>,
}

/// The bars of one colluding set, one for each policy in the order of [`Bars::series`].
#[derive(Debug, Clone, PartialEq)]
pub struct BarGroup {
    /// The set, such as `simplex + flux`.
    pub label: String,
    /// `None` where a policy was not run.
    pub bars: Vec<Option<Bar>>,
}

/// A picture of groups of bars.
#[derive(Debug, Clone, PartialEq)]
pub struct Bars {
    /// Shown on top.
    pub title: String,
    /// Under the horizontal axis: what the share is a share of.
    pub axis: String,
    /// Names of the policies; each has its colour.
    pub series: Vec<String>,
    /// From top to bottom.
    pub groups: Vec<BarGroup>,
}

const WIDTH: u32 = 960;
const TOP: i32 = 84;
const LABELS: i32 = 200;
const VALUES: i32 = 170;
const BAR: i32 = 22;
const GAP: i32 = 18;
const AXIS: i32 = 56;

/// Draws the bars. The height follows from their number, so that labels never overlap.
///
/// # Errors
/// [`PlotError::Empty`] without groups or series, [`PlotError::Value`] for a share that is not a probability.
pub fn bars(input: &Bars) -> Result<String, PlotError> {
    if input.groups.is_empty() || input.series.is_empty() {
        return Err(PlotError::Empty("no bars"));
    }
    let shown = || input.groups.iter().flat_map(|g| &g.bars).flatten();
    for bar in shown() {
        for value in [Some(bar.estimate), Some(bar.low), Some(bar.high), bar.expected] {
            if value.is_some_and(|v| !(0.0..=1.0).contains(&v)) {
                let value = value.unwrap_or(f64::NAN).to_string();
                return Err(PlotError::Value { what: "a share", value });
            }
        }
    }
    let largest = shown().map(|b| b.high.max(b.expected.unwrap_or(0.0)));
    let end = axis_end(largest.fold(0.0, f64::max));

    let group_height = input.series.len() as i32 * BAR + GAP;
    let plot_height = input.groups.len() as i32 * group_height + GAP;
    let height = TOP + plot_height + AXIS;
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (WIDTH, height.unsigned_abs())).into_drawing_area();
        root.fill(&PAPER)?;
        let bold = text(19.0, HPos::Left).font.style(FontStyle::Bold);
        root.draw_text(&input.title, &bold.color(&INK), (16, 12))?;
        legend(&root, input)?;
        let mut chart = ChartBuilder::on(&root)
            .margin_top(TOP)
            .margin_right(VALUES)
            .margin_left(LABELS)
            .x_label_area_size(AXIS)
            .build_cartesian_2d(
                RangedCoordf64::from(0.0..end),
                // Pixels from the top, so that bars and the labels beside them use one scale.
                RangedCoordf64::from(f64::from(plot_height)..0.0),
            )?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .disable_y_axis()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID.mix(0.3))
            .axis_style(INK.mix(0.6))
            .label_style((FONT, 13.0 * 1.24).into_font().color(&INK))
            .axis_desc_style((FONT, 14.0 * 1.24).into_font().color(&INK))
            .x_desc(input.axis.as_str())
            .x_labels(6)
            .x_label_formatter(&|x| percent(*x))
            .draw()?;
        let label = text(14.0, HPos::Right);
        let value = text(13.0, HPos::Left);
        let right = WIDTH as i32 - VALUES + 14;
        for (row, group) in input.groups.iter().enumerate() {
            let top = GAP + row as i32 * group_height;
            let middle = TOP + top + (group_height - GAP) / 2;
            root.draw_text(&shortened(&group.label, 24), &label, (LABELS - 14, middle))?;
            for (series, bar) in group.bars.iter().take(input.series.len()).enumerate() {
                let from = top + series as i32 * BAR + 2;
                let centre = TOP + from + (BAR - 4) / 2;
                let Some(bar) = bar else {
                    root.draw_text("not run", &value, (right, centre))?;
                    continue;
                };
                let (y0, y1) = (f64::from(from), f64::from(from + BAR - 4));
                let rectangle = Rectangle::new([(0.0, y0), (bar.estimate, y1)], colour(series).filled());
                chart.draw_series([rectangle])?;
                let y = f64::midpoint(y0, y1);
                let whisker = |points| PathElement::new(points, INK.stroke_width(1));
                chart.draw_series([
                    whisker(vec![(bar.low, y), (bar.high, y)]),
                    whisker(vec![(bar.low, y - 4.0), (bar.low, y + 4.0)]),
                    whisker(vec![(bar.high, y - 4.0), (bar.high, y + 4.0)]),
                ])?;
                if let Some(expected) = bar.expected {
                    chart.draw_series([EmptyElement::at((expected, y))
                        + Polygon::new(diamond((0, 0)), PAPER.filled())
                        + PathElement::new(diamond((0, 0)), INK.stroke_width(2))])?;
                }
                let numbers = format!("{} ({} to {})", percent(bar.estimate), bare(bar.low), bare(bar.high));
                root.draw_text(&numbers, &value, (right, centre))?;
            }
        }
        root.present()?;
    }
    Ok(titled(&svg, &input.title))
}

/// A closed diamond of 5 pixels around `centre`.
fn diamond((x, y): (i32, i32)) -> Vec<(i32, i32)> {
    vec![(x - 5, y), (x, y - 5), (x + 5, y), (x, y + 5), (x - 5, y), (x, y - 5)]
}

/// A percentage to one decimal, without the sign.
fn bare(p: f64) -> String {
    format!("{:.1}", p * 100.0)
}

/// The next round share above `largest`, at most 1.
fn axis_end(largest: f64) -> f64 {
    [0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8]
        .into_iter()
        .find(|end| largest <= *end)
        .unwrap_or(1.0)
}

fn legend<DB: DrawingBackend>(
    root: &DrawingArea<DB, plotters::coord::Shift>,
    input: &Bars,
) -> Result<(), PlotError>
where
    DB::ErrorType: 'static,
{
    let label = text(13.0, HPos::Left);
    let y = 58;
    let mut x = 18;
    for (series, name) in input.series.iter().enumerate() {
        let swatch = [(x, y - 7), (x + 14, y + 7)];
        root.draw(&Rectangle::new(swatch, colour(series).filled()))?;
        root.draw_text(name, &label, (x + 22, y))?;
        x += 22 + width_of(name) + 26;
    }
    if input.groups.iter().flat_map(|g| &g.bars).flatten().any(|b| b.expected.is_some()) {
        root.draw(&PathElement::new(diamond((x + 5, y)), INK.stroke_width(2)))?;
        root.draw_text("expected", &label, (x + 18, y))?;
        x += 18 + width_of("expected") + 26;
    }
    let whisker = |points| PathElement::new(points, INK.stroke_width(1));
    root.draw(&whisker(vec![(x, y), (x + 18, y)]))?;
    root.draw(&whisker(vec![(x, y - 4), (x, y + 4)]))?;
    root.draw(&whisker(vec![(x + 18, y - 4), (x + 18, y + 4)]))?;
    root.draw_text("95 % interval", &label, (x + 26, y))?;
    Ok(())
}

/// About how many pixels a text of 13 pixels font size takes, on the generous side.
fn width_of(text: &str) -> i32 {
    (text.chars().count() as f64 * 6.8).ceil() as i32
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn sample() -> Bars {
        let bar = |p: f64, expected: f64| {
            Some(Bar {
                estimate: p,
                low: (p - 0.02).max(0.0),
                high: (p + 0.02).min(1.0),
                expected: Some(expected),
            })
        };
        let group = |label: &str, bars| BarGroup { label: label.into(), bars };
        Bars {
            title: "Both ends of a message path seen".into(),
            axis: "share of message paths".into(),
            series: ["single", "different-router", "different-operator"].map(Into::into).into(),
            groups: vec![
                group("simplex", vec![bar(0.51, 0.5), bar(0.23, 0.22), bar(0.0, 0.0)]),
                group("flux", vec![bar(0.49, 0.5), bar(0.21, 0.22), None]),
                group(
                    "simplex + flux and somebody with a long name",
                    vec![bar(1.0, 1.0), bar(1.0, 1.0), bar(1.0, 1.0)],
                ),
            ],
        }
    }

    #[test]
    fn each_bar_says_its_numbers() {
        let svg = bars(&sample()).unwrap();
        for text in ["51 % (49.0 to 53.0)", "0 % (0.0 to 2.0)", "not run", "expected"] {
            assert!(svg.contains(text), "{text}");
        }
        assert!(svg.contains("simplex + flux and some"));
    }

    #[test]
    fn the_axis_ends_at_a_round_share() {
        assert_eq!(axis_end(0.0), 0.01);
        assert_eq!(axis_end(0.21), 0.3);
        assert_eq!(axis_end(0.81), 1.0);
    }

    #[test]
    fn what_cannot_be_drawn() {
        let empty = Bars { groups: vec![], ..sample() };
        assert!(matches!(bars(&empty), Err(PlotError::Empty(_))));
        let mut wrong = sample();
        wrong.groups[0].bars[0] = Some(Bar { estimate: 1.5, low: 0.0, high: 1.0, expected: None });
        assert!(matches!(bars(&wrong), Err(PlotError::Value { .. })));
    }
}
