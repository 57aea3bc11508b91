//! Line charts of a study, as SVG.

use std::error::Error;
use std::fmt::Write;
use std::io;

use plotters::prelude::*;

use crate::compare::format::grouped;
use crate::compare::{Picture, axis, escaped, sparse};

/// Some lines over one axis. Both axes are logarithmic.
#[derive(Debug, Clone)]
pub(super) struct Chart {
    /// What the chart shows.
    pub(super) title: String,
    /// What grows from left to right.
    pub(super) x_label: String,
    /// What grows upwards.
    pub(super) y_label: String,
    /// The names on the axis below, if it has no numbers of its own.
    pub(super) x_names: fn(f64) -> String,
    /// The lines, at most four.
    pub(super) series: Vec<(String, Vec<(f64, f64)>)>,
    /// What the chart says.
    pub(super) sentence: String,
}

/// The size of a chart in the page, which scales it.
const SIZE: (u32, u32) = (600, 380);
/// The size of the letters.
const LETTERS: i32 = 15;

/// Colours that are legible on light and on dark paper.
const COLOURS: [RGBColor; 4] =
    [RGBColor(0, 128, 200), RGBColor(0, 150, 110), RGBColor(213, 94, 0), RGBColor(190, 100, 160)];
const FORMS: [char; 4] = ['●', '○', '▲', '✕'];

/// The names of an axis of numbers.
pub(super) fn numbers(x: f64) -> String {
    grouped(x.round() as usize)
}

impl Chart {
    /// Returns whether there are two points to draw a line between.
    pub(super) fn is_drawn(&self) -> bool {
        self.series.iter().any(|(_, points)| points.len() > 1)
    }

    /// Draws the chart as SVG.
    ///
    /// # Errors
    ///
    /// `Other` if it cannot be drawn.
    fn svg(&self) -> io::Result<String> {
        let mut svg = String::new();
        self.draw(&mut svg).map_err(|error| io::Error::other(error.to_string()))?;
        let label = escaped(&format!("{}. {}", self.title, self.sentence));
        Ok(svg.replacen("<svg ", &format!("<svg role=\"img\" aria-label=\"{label}\" "), 1))
    }

    /// Returns the chart as a picture of its own.
    ///
    /// # Errors
    ///
    /// `Other` if it cannot be drawn.
    pub(super) fn picture(&self, facts: [String; 2]) -> io::Result<String> {
        let series = self.series.iter().enumerate();
        Ok(Picture {
            title: &self.title,
            legend: series
                .map(|(index, (name, _))| (COLOURS[index % 4], FORMS[index % 4], name.clone()))
                .collect(),
            chart: self.svg()?,
            sentence: &self.sentence,
            facts,
        }
        .svg())
    }

    /// Returns the chart with its names as HTML.
    ///
    /// # Errors
    ///
    /// `Other` if it cannot be drawn.
    pub(super) fn html(&self) -> io::Result<String> {
        let svg = self.svg()?;
        let mut html =
            format!("<h2>{}</h2>\n<figure>\n{svg}\n<figcaption>\n<p>", escaped(&self.title));
        for (index, (name, _)) in self.series.iter().enumerate() {
            let (RGBColor(red, green, blue), form) = (COLOURS[index % 4], FORMS[index % 4]);
            let _ = write!(
                html,
                "<span class=\"name\"><span \
                 style=\"color:rgb({red},{green},{blue})\">{form}</span> {}</span> ",
                escaped(name)
            );
        }
        let _ =
            write!(html, "</p>\n<p>{}</p>\n</figcaption>\n</figure>\n", escaped(&self.sentence));
        Ok(html)
    }

    fn draw(&self, svg: &mut String) -> Result<(), Box<dyn Error + '_>> {
        let failed = |error: &dyn std::fmt::Display| io::Error::other(error.to_string());
        let all = || self.series.iter().flat_map(|(_, points)| points);
        let range = |of: fn(&(f64, f64)) -> f64| {
            let least = all().map(of).fold(f64::INFINITY, f64::min);
            (least, all().map(of).fold(least, f64::max))
        };
        let ((left, right), (low, high)) = (range(|at| at.0), range(|at| at.1));
        let [(left, right), (low, high)] = [axis(left, right * 1.05), axis(low * 0.7, high * 1.4)];
        let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
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
            .y_desc(&self.y_label)
            .x_label_formatter(&|&x| (self.x_names)(x))
            .y_label_formatter(&|&y| {
                let text = if y < 9.5 { format!("{y:.1}") } else { numbers(y) };
                sparse(y, text)
            })
            .label_style(("sans-serif", LETTERS))
            .axis_desc_style(("sans-serif", LETTERS))
            .bold_line_style(RGBColor(128, 128, 128).mix(0.35))
            .light_line_style(TRANSPARENT)
            .draw()
            .map_err(|error| failed(&error))?;
        for (index, (_, points)) in self.series.iter().enumerate() {
            let colour = COLOURS[index % 4];
            let points = || points.iter().copied();
            chart
                .draw_series(LineSeries::new(points(), colour.stroke_width(2)))
                .map_err(|error| failed(&error))?;
            // Each line has a mark of its own form, for those who see fewer colours.
            let drawn = match index % 4 {
                0 => chart
                    .draw_series(points().map(|at| Circle::new(at, 5, colour.filled())))
                    .map(drop),
                1 => chart
                    .draw_series(points().map(|at| Circle::new(at, 5, colour.stroke_width(2))))
                    .map(drop),
                2 => chart
                    .draw_series(points().map(|at| TriangleMarker::new(at, 6, colour.filled())))
                    .map(drop),
                _ => chart
                    .draw_series(points().map(|at| Cross::new(at, 5, colour.stroke_width(2))))
                    .map(drop),
            };
            drawn.map_err(|error| failed(&error))?;
        }
        root.present().map_err(|error| failed(&error))?;
        Ok(())
    }
}
