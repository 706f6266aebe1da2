//! `1 − (1 − s²)ⁿ` over the number of picks, with what Monte Carlo counted.

use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::{FONT, GRID, INK, PAPER, PlotError, colour, grouped, percent, text, titled};
use crate::model;

/// A counted share of compromised trials after some picks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CurvePoint {
    /// Picks.
    pub picks: u64,
    /// The share.
    pub estimate: f64,
    /// Lower end of its interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// The curve of one share, and the points counted for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// The adversary's share `s`.
    pub share: f64,
    /// Monte Carlo results.
    pub points: Vec<CurvePoint>,
}

/// A picture of several curves.
#[derive(Debug, Clone, PartialEq)]
pub struct Curves {
    /// Shown on top.
    pub title: String,
    /// The curves, in the order of the legend.
    pub curves: Vec<Curve>,
    /// Right end of the horizontal axis, in picks (at least 10).
    pub most_picks: u64,
}

const WIDTH: u32 = 960;
const HEIGHT: u32 = 540;
const LEGEND: i32 = 230;
const TOP: i32 = 48;

/// Draws the curves: picks on a logarithmic axis, closed form as lines, Monte Carlo as points with their
/// intervals, the legend beside the data.
///
/// # Errors
/// [`PlotError::Empty`] without curves, [`PlotError::Value`] for a share outside `[0, 1]`, a point that is
/// not a probability, or an axis shorter than 10 picks.
pub fn curves(input: &Curves) -> Result<String, PlotError> {
    check(input)?;
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (WIDTH, HEIGHT)).into_drawing_area();
        root.fill(&PAPER)?;
        root.draw_text(
            &input.title,
            &text(19.0, HPos::Left).font.style(FontStyle::Bold).color(&INK),
            (16, 12),
        )?;
        let most = input.most_picks as f64;
        let mut chart = ChartBuilder::on(&root)
            .margin_top(TOP)
            .margin_right(LEGEND)
            .margin_bottom(8)
            .margin_left(8)
            .x_label_area_size(52)
            .y_label_area_size(70)
            .build_cartesian_2d((1.0..most).log_scale(), RangedCoordf64::from(0.0..1.0))?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID.mix(0.3))
            .axis_style(INK.mix(0.6))
            .label_style((FONT, 13.0 * 1.24).into_font().color(&INK))
            .axis_desc_style((FONT, 14.0 * 1.24).into_font().color(&INK))
            .x_desc("picks n (logarithmic)")
            .y_desc("chance that one path had both ends seen")
            .x_label_formatter(&|x| grouped(x.round() as u64))
            .y_label_formatter(&|y| percent(*y))
            .y_labels(11)
            .draw()?;
        for (index, curve) in input.curves.iter().enumerate() {
            let line = colour(index).stroke_width(2);
            chart.draw_series(LineSeries::new(samples(curve.share, most), line))?;
            for point in &curve.points {
                let x = point.picks as f64;
                let bar = vec![(x, point.low), (x, point.high)];
                chart.draw_series([PathElement::new(bar, INK.stroke_width(1))])?;
                for end in [point.low, point.high] {
                    chart.draw_series([EmptyElement::at((x, end))
                        + PathElement::new(vec![(-4, 0), (4, 0)], INK.stroke_width(1))])?;
                }
                chart.draw_series([
                    Circle::new((x, point.estimate), 4, colour(index).filled()),
                    Circle::new((x, point.estimate), 4, INK.stroke_width(1)),
                ])?;
            }
        }
        legend(&root, input)?;
        root.present()?;
    }
    Ok(titled(&svg, &input.title))
}

fn check(input: &Curves) -> Result<(), PlotError> {
    if input.curves.is_empty() {
        return Err(PlotError::Empty("no curves"));
    }
    let bad = |what, value: String| Err(PlotError::Value { what, value });
    if input.most_picks < 10 {
        return bad("the end of the axis", input.most_picks.to_string());
    }
    for curve in &input.curves {
        if !(0.0..=1.0).contains(&curve.share) {
            return bad("a share", curve.share.to_string());
        }
        for point in &curve.points {
            for value in [point.estimate, point.low, point.high] {
                if !(0.0..=1.0).contains(&value) {
                    return bad("a counted share", value.to_string());
                }
            }
            if point.picks == 0 || point.picks > input.most_picks {
                return bad("the picks of a point", point.picks.to_string());
            }
        }
    }
    Ok(())
}

/// The closed form at whole numbers of picks, about evenly spaced on the logarithmic axis.
fn samples(share: f64, most: f64) -> Vec<(f64, f64)> {
    const STEPS: u32 = 130;
    let mut picks: Vec<u64> =
        (0..=STEPS).map(|step| most.powf(f64::from(step) / f64::from(STEPS)).round() as u64).collect();
    picks.dedup();
    picks.into_iter().filter_map(|n| Some((n as f64, model::compromised_after(share, n).ok()?))).collect()
}

fn legend<DB: DrawingBackend>(
    root: &DrawingArea<DB, plotters::coord::Shift>,
    input: &Curves,
) -> Result<(), PlotError>
where
    DB::ErrorType: 'static,
{
    let x = WIDTH as i32 - LEGEND + 24;
    let mut y = TOP + 14;
    let label = text(13.0, HPos::Left);
    let small = text(12.0, HPos::Left);
    for (index, curve) in input.curves.iter().enumerate() {
        let line = colour(index).stroke_width(3);
        root.draw(&PathElement::new(vec![(x, y), (x + 28, y)], line))?;
        root.draw_text(&format!("s = {}", percent(curve.share)), &label, (x + 38, y))?;
        let half_life = match model::half_life(curve.share) {
            Ok(Some(n)) => format!("half after {} picks", grouped(n)),
            _ => "never half".into(),
        };
        root.draw_text(&half_life, &small, (x + 38, y + 18))?;
        y += 48;
    }
    root.draw(&PathElement::new(vec![(x, y), (x + 28, y)], INK.stroke_width(2)))?;
    root.draw_text("closed form", &label, (x + 38, y))?;
    y += 26;
    if input.curves.iter().any(|c| !c.points.is_empty()) {
        root.draw(&Circle::new((x + 14, y), 4, INK.stroke_width(1)))?;
        root.draw(&PathElement::new(vec![(x + 14, y - 9), (x + 14, y + 9)], INK.stroke_width(1)))?;
        root.draw_text("Monte Carlo, 95 %", &label, (x + 38, y))?;
    }
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn sample() -> Curves {
        let point = |share: f64, picks| {
            let p = model::compromised_after(share, picks).unwrap();
            CurvePoint { picks, estimate: p, low: (p - 0.03).max(0.0), high: (p + 0.03).min(1.0) }
        };
        let curve = |share| Curve { share, points: [10, 100, 1000, 10_000].map(|n| point(share, n)).into() };
        Curves {
            title: "How soon an adversary sees both ends".into(),
            curves: [0.01, 0.02, 0.05, 0.1, 0.2].map(curve).into(),
            most_picks: 100_000,
        }
    }

    #[test]
    fn each_share_has_its_half_life_in_the_legend() {
        let svg = curves(&sample()).unwrap();
        assert!(svg.contains("s = 2 %") && svg.contains("half after 1,733 picks"));
        assert!(svg.starts_with("<svg role=\"img\""));
    }

    #[test]
    fn lines_follow_the_closed_form() {
        let line = samples(0.02, 100_000.0);
        assert_eq!(line.first().unwrap().0, 1.0);
        assert_eq!(line.last().unwrap().0, 100_000.0);
        assert!(line.windows(2).all(|w| w[0].0 < w[1].0 && w[0].1 <= w[1].1));
    }

    #[test]
    fn what_cannot_be_drawn() {
        let empty = Curves { curves: vec![], ..sample() };
        assert!(matches!(curves(&empty), Err(PlotError::Empty(_))));
        let short = Curves { most_picks: 9, ..sample() };
        assert!(matches!(curves(&short), Err(PlotError::Value { .. })));
        let mut wrong = sample();
        wrong.curves[0].points[0].low = f64::NAN;
        assert!(matches!(curves(&wrong), Err(PlotError::Value { .. })));
    }
}
