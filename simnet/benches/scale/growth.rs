//! The picture of how time and memory grow with the users.

use plotters::prelude::*;

use super::Row;

/// The picture, and by which powers of the users time and memory grow: slopes of least squares between logarithms.
pub(crate) struct Growth {
    pub(crate) svg: String,
    pub(crate) time: f64,
    pub(crate) memory: f64,
}

/// Draws the rows, relative to the first. Nothing for fewer than two.
pub(crate) fn draw(rows: &[Row]) -> Option<Growth> {
    let (first, last) = (rows.first()?, rows.last()?);
    if last.users <= first.users {
        return None;
    }
    let relative = |of: &dyn Fn(&Row) -> f64| -> Vec<(f64, f64)> {
        rows.iter().map(|row| (row.users as f64, of(row) / of(first))).collect()
    };
    let time = relative(&|row| row.processor.max(0.01));
    let memory = relative(&|row| row.memory as f64);
    let linear: Vec<(f64, f64)> =
        rows.iter().map(|row| (row.users as f64, row.users as f64 / first.users as f64)).collect();
    let (most, top) = (last.users as f64, last.users as f64 / first.users as f64);
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (760, 480)).into_drawing_area();
        root.fill(&WHITE).ok()?;
        let mut chart = ChartBuilder::on(&root)
            .caption(
                format!("Growth from {} users, a day of 5 messages a user", first.users),
                ("sans-serif", 18),
            )
            .margin(16)
            .x_label_area_size(44)
            .y_label_area_size(64)
            .build_cartesian_2d(
                (first.users as f64 * 0.8..most * 1.3).log_scale(),
                (0.7..top * 2.0).log_scale(),
            )
            .ok()?;
        chart
            .configure_mesh()
            .x_desc("users")
            .y_desc(format!("times that of {} users", first.users))
            .x_label_formatter(&|x| format!("{x:.0}"))
            .y_label_formatter(&|y| format!("{y:.0}"))
            .draw()
            .ok()?;
        let grey = RGBColor(150, 150, 150);
        for (points, colour, label) in [
            (&linear, grey, "linear".to_owned()),
            (&time, RGBColor(31, 119, 180), format!("processor time: users^{:.2}", slope(&time))),
            (&memory, RGBColor(214, 91, 28), format!("memory: users^{:.2}", slope(&memory))),
        ] {
            let line =
                chart.draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2))).ok()?;
            line.label(label)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 22, y)], colour.stroke_width(2)));
            chart.draw_series(points.iter().map(|point| Circle::new(*point, 4, colour.filled()))).ok()?;
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .background_style(WHITE)
            .border_style(grey)
            .label_font(("sans-serif", 14))
            .draw()
            .ok()?;
        root.present().ok()?;
    }
    Some(Growth { svg, time: slope(&time), memory: slope(&memory) })
}

fn slope(points: &[(f64, f64)]) -> f64 {
    let logs: Vec<(f64, f64)> = points.iter().map(|(x, y)| (x.ln(), y.ln())).collect();
    let n = logs.len() as f64;
    let (x, y) = (logs.iter().map(|p| p.0).sum::<f64>() / n, logs.iter().map(|p| p.1).sum::<f64>() / n);
    let covariance: f64 = logs.iter().map(|p| (p.0 - x) * (p.1 - y)).sum();
    covariance / logs.iter().map(|p| (p.0 - x).powi(2)).sum::<f64>()
}
