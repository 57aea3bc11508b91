//! The report as one page of HTML, which needs no network and no script.

use std::fmt::Write;
use std::io;

use super::chart::{Chart, colour, escaped, form};
use super::format::grouped;
use super::machine::Machine;

/// The look of the page: light, dark, on paper and on a phone. The charts are drawn in black, which
/// takes the colour of the text.
pub(crate) const STYLE: &str = "
:root { color-scheme: light dark; --text: #1b1b1b; --paper: #fff; --faint: #8884 }
@media (prefers-color-scheme: dark) { :root { --text: #e8e8e8; --paper: #16181c } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--text); background: var(--paper);
  max-width: 50rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.4rem } h2 { font-size: 1.1rem; margin-top: 2.5rem }
figure { margin: 0 }
.name { white-space: nowrap; margin-right: .7rem }
svg { width: 100%; height: auto; display: block }
svg text { fill: var(--text) } svg [stroke='#000000'] { stroke: var(--text) }
.answer { font-size: 1.2rem; font-weight: 600 }
.table { overflow-x: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem }
th, td { text-align: right; padding: .15rem .7rem; border-bottom: 1px solid var(--faint) }
pre { overflow-x: auto; background: var(--faint); padding: .6rem }
@media (max-width: 30rem) { body { margin: 1rem auto }
  figure:not(.peers) svg text { font-size: 19px }
  ul { padding-left: 1.2rem } th, td { padding: .15rem .35rem; font-size: .8rem } }
@media print { body { max-width: none; margin: 0; font-size: 11pt; color: #000; background: #fff }
  :root { --text: #000; --paper: #fff } h2, svg { break-after: avoid }
  svg, tr, li, p { break-inside: avoid } svg { max-height: 8cm } pre { white-space: pre-wrap } }
";

/// What the page shows.
pub(super) struct Page<'a> {
    /// The conclusions, the answer first.
    pub(super) sentences: &'a [String],
    /// The chart of the other libraries, with its table, or nothing.
    pub(super) peers: &'a str,
    /// The charts.
    pub(super) charts: &'a [Chart],
    /// All tables, as the terminal shows them.
    pub(super) tables: &'a str,
    /// The machine.
    pub(super) machine: &'a Machine,
    /// The version of tripoll, and when it was measured.
    pub(super) made: &'a str,
    /// The command that makes such a page.
    pub(super) command: &'a str,
}

/// Returns the page as HTML.
///
/// # Errors
///
/// `Other` if a chart cannot be drawn.
pub(super) fn html(page: &Page<'_>) -> io::Result<String> {
    let mut html = String::new();
    let (answer, others) = match page.sentences {
        [answer, others @ ..] => (answer.as_str(), others),
        [] => ("", &[][..]),
    };
    let _ = write!(
        html,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta \
         name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>select, poll \
         and epoll on this machine</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>select, \
         poll and epoll on this machine</h1>\n<p class=\"answer\">{}</p>\n<ul>\n",
        escaped(answer)
    );
    for sentence in others {
        let _ = writeln!(html, "<li>{}</li>", escaped(sentence));
    }
    html.push_str("</ul>\n");
    html.push_str(page.peers);
    for chart in page.charts {
        figure(&mut html, chart, page.command)?;
    }
    let _ = write!(
        html,
        "<h2>The machine</h2>\n<p>{}</p>\n<p>{}</p>\n<h2>All figures</h2>\n<pre>{}</pre>\n\
         </body>\n</html>\n",
        escaped(&page.machine.to_string()),
        escaped(page.made),
        escaped(page.tables)
    );
    Ok(html)
}

/// Appends a chart with its sentence, its table and its command.
fn figure(html: &mut String, chart: &Chart, command: &str) -> io::Result<()> {
    let _ = write!(
        html,
        "<h2>{}</h2>\n<figure>\n{}\n<figcaption>\n<p>",
        escaped(&chart.title),
        chart.svg()?
    );
    for series in &chart.series {
        let plotters::style::RGBColor(red, green, blue) = colour(series.call);
        let _ = write!(
            html,
            "<span class=\"name\"><span style=\"color:rgb({red},{green},{blue})\">{}</span> \
             {}</span> ",
            form(series.call),
            series.call.name()
        );
    }
    if chart.crossing.is_some() {
        html.push_str("<br>The upright line is where epoll and poll cross; the band is its range.");
    }
    let _ = write!(html, "</p>\n<p>{}</p>\n", escaped(&chart.sentence));
    html.push_str(
        "<details open><summary>Nanoseconds per wait</summary><div class=\"table\"><table>\n<tr>",
    );
    let _ = write!(html, "<th>{}</th>", escaped(&chart.x_label));
    for series in &chart.series {
        let _ = write!(html, "<th>{}</th>", series.call.name());
    }
    html.push_str("</tr>\n");
    let rows = chart.series.first().map_or(&[][..], |series| &series.points);
    for (row, &(x, _)) in rows.iter().enumerate() {
        let _ = write!(html, "<tr><th>{}</th>", grouped(x.round() as usize));
        for series in &chart.series {
            let cost = series.points.get(row).map(|&(_, y)| grouped(y.round() as usize));
            let _ = write!(html, "<td>{}</td>", cost.unwrap_or_default());
        }
        html.push_str("</tr>\n");
    }
    let _ = write!(
        html,
        "</table></div></details>\n<pre>{}</pre>\n</figcaption>\n</figure>\n",
        escaped(command)
    );
    Ok(())
}
