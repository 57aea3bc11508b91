//! Charts of a line of points: as SVG for the page, and in letters for the terminal.

use std::error::Error;
use std::io;

use plotters::prelude::*;

use super::crossing::Crossing;
use super::format::grouped;
use super::plan::Call;

/// What a wait costs by each call, along a line of points. Both axes are logarithmic.
#[derive(Debug, Clone)]
pub(super) struct Chart {
    /// What the chart shows.
    pub(super) title: String,
    /// What grows from left to right.
    pub(super) x_label: String,
    /// The costs by each call.
    pub(super) series: Vec<Series>,
    /// Where the two calls cross that are compared, if they do.
    pub(super) crossing: Option<Crossing>,
    /// What the chart says.
    pub(super) sentence: String,
}

/// The costs by a call.
#[derive(Debug, Clone)]
pub(super) struct Series {
    /// The call.
    pub(super) call: Call,
    /// The positions on the line, each with the nanoseconds of a wait and of what it reports.
    pub(super) points: Vec<(f64, f64)>,
}

/// The size of a chart in the page, which scales it.
const SIZE: (u32, u32) = (600, 380);
/// The size of the letters.
const LETTERS: i32 = 15;
/// The rows of a chart in the terminal.
const ROWS: usize = 11;

impl Chart {
    /// Returns whether there are two points to draw a line between.
    pub(super) fn is_drawn(&self) -> bool {
        self.series.iter().any(|series| series.points.len() > 1)
    }

    /// Returns the least and the greatest of the positions, and of the costs.
    fn ranges(&self) -> [(f64, f64); 2] {
        let points = || self.series.iter().flat_map(|series| &series.points);
        [points().map(|point| point.0).collect::<Vec<_>>(), points().map(|point| point.1).collect()]
            .map(|all| {
                let least = all.iter().copied().fold(f64::INFINITY, f64::min);
                (least, all.iter().copied().fold(least, f64::max))
            })
    }

    /// Draws the chart as SVG. Its colours are legible on light and on dark paper; black stands for the
    /// colour of the text.
    pub(super) fn svg(&self) -> io::Result<String> {
        let mut svg = String::new();
        self.draw(&mut svg).map_err(|error| io::Error::other(error.to_string()))?;
        let label = escaped(&format!("{}. {}", self.title, self.sentence));
        Ok(svg.replacen("<svg ", &format!("<svg role=\"img\" aria-label=\"{label}\" "), 1))
    }

    fn draw(&self, svg: &mut String) -> Result<(), Box<dyn Error + '_>> {
        let failed = |error: &dyn std::fmt::Display| io::Error::other(error.to_string());
        let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
        let [(left, right), (low, high)] = self.ranges();
        let [(left, right), (low, high)] = [axis(left, right * 1.05), axis(low * 0.7, high * 1.4)];
        let mut chart = ChartBuilder::on(&root)
            .margin(10)
            .margin_right(34)
            .x_label_area_size(48)
            .y_label_area_size(100)
            .build_cartesian_2d((left..right).log_scale(), (low..high).log_scale())
            .map_err(|error| failed(&error))?;
        chart
            .configure_mesh()
            .x_desc(&self.x_label)
            .y_desc("nanoseconds per wait")
            .x_label_formatter(&|x| grouped(x.round() as usize))
            .y_label_formatter(&|&y| sparse(y, grouped(y.round() as usize)))
            .label_style(("sans-serif", LETTERS))
            .axis_desc_style(("sans-serif", LETTERS))
            .bold_line_style(RGBColor(128, 128, 128).mix(0.35))
            .light_line_style(TRANSPARENT)
            .draw()
            .map_err(|error| failed(&error))?;
        if let Some(crossing) = self.crossing {
            let colour = RGBColor(128, 128, 128);
            let band = Rectangle::new(
                [(crossing.low, low), (crossing.high, high)],
                colour.mix(0.25).filled(),
            );
            let line = PathElement::new([(crossing.at, low), (crossing.at, high)], colour);
            chart.draw_series([band]).map_err(|error| failed(&error))?;
            chart.draw_series([line]).map_err(|error| failed(&error))?;
        }
        for series in &self.series {
            let colour = colour(series.call);
            let points = || series.points.iter().copied();
            chart
                .draw_series(LineSeries::new(points(), colour.stroke_width(2)))
                .map_err(|error| failed(&error))?;
            // Each call has a mark of its own form, for those who see fewer colours.
            let drawn = match series.call {
                Call::SELECT => chart
                    .draw_series(points().map(|at| TriangleMarker::new(at, 6, colour.filled())))
                    .map(drop),
                Call::POLL => chart
                    .draw_series(points().map(|at| Circle::new(at, 5, colour.filled())))
                    .map(drop),
                Call::EPOLL_EDGE => chart
                    .draw_series(points().map(|at| Cross::new(at, 5, colour.stroke_width(2))))
                    .map(drop),
                _ => chart
                    .draw_series(points().map(|at| Circle::new(at, 5, colour.stroke_width(2))))
                    .map(drop),
            };
            drawn.map_err(|error| failed(&error))?;
        }
        root.present().map_err(|error| failed(&error))?;
        Ok(())
    }

    /// Draws the chart in letters, at most `width` columns wide.
    pub(super) fn text(&self, width: usize) -> String {
        let columns = width.min(72) - 14;
        let [(left, right), (low, high)] = self.ranges();
        let place = |value: f64, (from, to): (f64, f64), cells: usize| match to > from {
            true => ((value / from).ln() / (to / from).ln() * (cells - 1) as f64).round() as usize,
            false => 0,
        };
        let mut grid = vec![vec![' '; columns]; ROWS];
        for series in &self.series {
            for &(x, y) in &series.points {
                let row = ROWS - 1 - place(y, (low, high), ROWS);
                let cell = &mut grid[row][place(x, (left, right), columns)];
                *cell = if *cell == ' ' { letter(series.call) } else { '*' };
            }
        }
        let mut text = String::new();
        for (index, row) in grid.iter().enumerate() {
            let label = match index {
                0 => grouped(high.round() as usize),
                _ if index == ROWS - 1 => grouped(low.round() as usize),
                _ => String::new(),
            };
            let row = row.iter().collect::<String>();
            text.push_str(&format!("{label:>12} │{}\n", row.trim_end()));
        }
        let [left, right] = [left, right].map(|x| grouped(x.round() as usize));
        let between = columns - left.len();
        text.push_str(&format!("{:>12} └{}\n", "", "─".repeat(columns)));
        text.push_str(&format!("{:>14}{left}{right:>between$}\n", ""));
        text
    }
}

/// Returns the ends of a logarithmic axis for these. It has a power of ten: plotters writes no number
/// at an axis without.
pub(crate) fn axis(from: f64, to: f64) -> (f64, f64) {
    let below = 10_f64.powf((from * 1.000_001).log10().floor());
    if below < from && below * 10.0 > to { (below, to) } else { (from, to) }
}

/// Returns the text at a place of a logarithmic axis: nothing but at 1, 2 and 5 times a power of ten,
/// because others would stand too close.
pub(crate) fn sparse(at: f64, text: String) -> String {
    let digit = (at / 10_f64.powf((at * 1.000_001).log10().floor())).round();
    if [1.0, 2.0, 5.0, 10.0].contains(&digit) { text } else { String::new() }
}

/// Returns the letter of a call in the terminal.
pub(super) fn letter(call: Call) -> char {
    match call {
        Call::SELECT => 's',
        Call::POLL => 'p',
        Call::EPOLL_EDGE => 'g',
        _ => 'e',
    }
}

/// Returns a colour that is legible on light and on dark paper, and for most of those who see fewer.
pub(super) fn colour(call: Call) -> RGBColor {
    match call {
        Call::SELECT => RGBColor(213, 94, 0),
        Call::POLL => RGBColor(0, 128, 200),
        Call::EPOLL_EDGE => RGBColor(190, 100, 160),
        _ => RGBColor(0, 150, 110),
    }
}

/// Returns the form of a call's mark in the chart.
pub(super) fn form(call: Call) -> char {
    match call {
        Call::SELECT => '▲',
        Call::POLL => '●',
        Call::EPOLL_EDGE => '✕',
        _ => '○',
    }
}

/// Escapes text for HTML.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::{axis, sparse};

    #[test]
    fn an_axis_has_a_power_of_ten() {
        assert_eq!(axis(2.0, 4.2), (1.0, 4.2));
        assert_eq!(axis(1.0, 4.2), (1.0, 4.2));
        assert_eq!(axis(700.0, 2_900.0), (700.0, 2_900.0));
        let (low, high) = axis(1_300.0, 2_900.0);
        assert!((low - 1_000.0).abs() < 1e-6 && high == 2_900.0, "{low}");
    }

    #[test]
    fn the_numbers_at_an_axis_do_not_crowd() {
        let shown = |at: f64| !sparse(at, "x".into()).is_empty();
        let all: Vec<f64> =
            (1..=20).map(|n| f64::from(n) * 1_000.0).filter(|&y| shown(y)).collect();
        assert_eq!(all[..4], [1_000.0, 2_000.0, 5_000.0, 10_000.0]);
        assert!(shown(0.5) && !shown(0.3) && shown(1_000_000.0));
    }
}
