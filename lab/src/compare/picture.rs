//! A chart as a picture of its own: with its title, its legend and the machine, for a README.

use std::fmt::Write;

use plotters::style::RGBColor;

use super::chart::escaped;
use super::format::wrapped;

/// The look: light and dark, and the paper under it. The chart is drawn in black, which takes the
/// colour of the text.
const STYLE: &str = "
.paper { fill: #fff }
svg { font-family: system-ui, sans-serif }
svg text { fill: #1b1b1b } svg [stroke='#000000'] { stroke: #1b1b1b }
@media (prefers-color-scheme: dark) {
  .paper { fill: #16181c }
  svg text { fill: #e8e8e8 } svg [stroke='#000000'] { stroke: #e8e8e8 }
}
";

const WIDTH: usize = 620;
/// The height of what stands above the chart, and of the chart.
const HEAD: usize = 62;
const CHART: usize = 380;
/// The height of a line below the chart, and how many characters it has.
const LINE: usize = 19;
const COLUMNS: usize = 84;

/// What the picture shows.
pub(crate) struct Picture<'a> {
    /// What the chart shows.
    pub(crate) title: &'a str,
    /// The colour, the mark and the name of each line.
    pub(crate) legend: Vec<(RGBColor, char, String)>,
    /// The chart, as SVG of 600 by 380.
    pub(crate) chart: String,
    /// What the chart says.
    pub(crate) sentence: &'a str,
    /// What stands below it.
    pub(crate) facts: [String; 2],
}

impl Picture<'_> {
    /// Returns the picture as SVG.
    pub(crate) fn svg(self) -> String {
        let Picture { title, legend, chart, sentence, facts } = self;
        let texts = [sentence, &facts[0], &facts[1]].map(|text| wrapped(text, COLUMNS));
        let lines: Vec<&str> = texts.iter().flat_map(|text| text.lines()).map(str::trim).collect();
        let height = HEAD + CHART + lines.len() * LINE + 24;
        let label = escaped(&format!("{title}. {sentence}"));
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
             width=\"{WIDTH}\" height=\"{height}\" role=\"img\" aria-label=\"{label}\">\n\
             <style>{STYLE}</style>\n<rect class=\"paper\" width=\"{WIDTH}\" \
             height=\"{height}\"/>\n<text x=\"20\" y=\"28\" font-size=\"17\" \
             font-weight=\"600\">{}</text>\n<text x=\"20\" y=\"52\" font-size=\"14\" \
             xml:space=\"preserve\">",
            escaped(title)
        );
        for (RGBColor(red, green, blue), form, name) in legend {
            let colour = format!("style=\"fill:rgb({red},{green},{blue})\"");
            let _ = write!(svg, "<tspan {colour}>{form}</tspan> {}    ", escaped(&name));
        }
        svg.push_str("</text>\n");
        svg.push_str(&chart.replacen("<svg ", &format!("<svg x=\"5\" y=\"{HEAD}\" "), 1));
        for (index, line) in lines.into_iter().enumerate() {
            let (y, line) = (HEAD + CHART + 22 + index * LINE, escaped(line));
            let _ = writeln!(svg, "<text x=\"20\" y=\"{y}\" font-size=\"13\">{line}</text>");
        }
        svg + "</svg>\n"
    }
}
