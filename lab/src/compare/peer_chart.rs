//! The chart of the other libraries, as SVG: a mark and an interval for each.

use std::error::Error;
use std::fmt::Write;
use std::io;

use plotters::prelude::*;

use super::chart::escaped;
use super::format::place;
use super::peers::PeerFinding;

/// The width of the chart, and the height of a row.
const WIDTH: u32 = 600;
const ROW: u32 = 26;
const LETTERS: i32 = 15;
/// Further to the right no mark is drawn: others could not be told apart.
const MOST: f64 = 20.0;

/// Returns the chart and its table as HTML.
///
/// # Errors
///
/// `Other` if the chart cannot be drawn.
pub(super) fn html(findings: &[PeerFinding], summary: &str, command: &str) -> io::Result<String> {
    let mut svg = String::new();
    draw(findings, &mut svg).map_err(|error| io::Error::other(error.to_string()))?;
    let label = escaped(&format!("Other libraries in terms of tripoll. {summary}"));
    let svg = svg.replacen("<svg ", &format!("<svg role=\"img\" aria-label=\"{label}\" "), 1);
    let mut html = format!(
        "<h2>Other libraries, in terms of tripoll by the same call</h2>\n<figure class=\"peers\">\n{svg}\n\
         <figcaption>\n<p>Right of the line: dearer than tripoll. The bar is the range that holds \
         nine times out of ten.</p>\n<p>{}</p>\n<details open><summary>Ratios</summary><div \
         class=\"table\"><table>\n<tr><th>library and call</th><th>beside</th><th>all points</th>",
        escaped(summary)
    );
    let points = findings.iter().map(|finding| &finding.points).max_by_key(|points| points.len());
    let points: Vec<_> = points.into_iter().flatten().map(|at| at.point).collect();
    for &point in &points {
        let _ = write!(html, "<th>{}</th>", escaped(&place(point)));
    }
    html.push_str("</tr>\n");
    for finding in findings {
        let ratio = finding.ratio;
        let _ = write!(
            html,
            "<tr><th>{}</th><td>{}</td><td>{:.2} ({:.2}–{:.2})</td>",
            escaped(&finding.short_name()),
            finding.layer,
            ratio.median,
            ratio.low,
            ratio.high
        );
        for &point in &points {
            let at = finding.points.iter().find(|at| at.point == point);
            let text = at.map_or(String::new(), |at| format!("{:.2}", at.ratio.median));
            let _ = write!(html, "<td>{text}</td>");
        }
        html.push_str("</tr>\n");
    }
    let _ = write!(
        html,
        "</table></div></details>\n<pre>{}</pre>\n</figcaption>\n</figure>\n",
        escaped(command)
    );
    Ok(html)
}

fn draw(findings: &[PeerFinding], svg: &mut String) -> Result<(), Box<dyn Error>> {
    let failed = |error: &dyn std::fmt::Display| io::Error::other(error.to_string());
    let rows = findings.len();
    let size = (WIDTH, 70 + ROW * rows as u32);
    let root = SVGBackend::with_string(svg, size).into_drawing_area();
    let ends = |end: fn(&PeerFinding) -> f64| findings.iter().map(end);
    let low = ends(|one| one.ratio.low).fold(0.8, f64::min) * 0.95;
    let high = ends(|one| one.ratio.high).fold(1.25, f64::max).min(MOST) * 1.05;
    let mut chart = ChartBuilder::on(&root)
        .margin(10)
        .x_label_area_size(48)
        .y_label_area_size(170)
        .build_cartesian_2d((low..high).log_scale(), (0..rows.max(1)).into_segmented())
        .map_err(|error| failed(&error))?;
    let name = |segment: &SegmentValue<usize>| match *segment {
        // The first row is at the top.
        SegmentValue::CenterOf(row) | SegmentValue::Exact(row) => {
            findings.iter().rev().nth(row).map(PeerFinding::short_name).unwrap_or_default()
        }
        SegmentValue::Last => String::new(),
    };
    chart
        .configure_mesh()
        .x_desc("times what tripoll costs")
        .x_label_formatter(&|x| format!("{x:.1}"))
        .y_labels(rows + 1)
        .y_label_formatter(&name)
        .label_style(("sans-serif", LETTERS))
        .axis_desc_style(("sans-serif", LETTERS))
        .bold_line_style(RGBColor(128, 128, 128).mix(0.35))
        .light_line_style(TRANSPARENT)
        .draw()
        .map_err(|error| failed(&error))?;
    let one = [(1.0, SegmentValue::Exact(0)), (1.0, SegmentValue::Last)];
    let line = PathElement::new(one, RGBColor(128, 128, 128).stroke_width(2));
    chart.draw_series([line]).map_err(|error| failed(&error))?;
    for (row, finding) in findings.iter().rev().enumerate() {
        let [low, at, high] = [finding.ratio.low, finding.ratio.median, finding.ratio.high]
            .map(|ratio| ratio.min(MOST));
        let colour = RGBColor(0, 128, 200);
        let row = SegmentValue::CenterOf(row);
        let bar =
            PathElement::new([(low, row.clone()), (high, row.clone())], colour.stroke_width(4));
        chart.draw_series([bar]).map_err(|error| failed(&error))?;
        let mark = Circle::new((at, row), 5, colour.filled());
        chart.draw_series([mark]).map_err(|error| failed(&error))?;
    }
    root.present().map_err(|error| failed(&error))?;
    Ok(())
}
