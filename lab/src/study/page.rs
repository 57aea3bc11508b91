//! A study as one page of HTML, which needs no network and no script.

use std::fmt::Write;
use std::io;

use super::report::Study;
use crate::compare::{STYLE, escaped};

impl Study {
    /// Returns the study as one page of HTML. `command` is the command that makes such a page.
    ///
    /// # Errors
    ///
    /// `Other` if a chart cannot be drawn.
    pub fn html(&self, command: &str) -> io::Result<String> {
        let title = escaped(self.title());
        let mut html = format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta \
             name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}\
             </title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
        );
        for (index, sentence) in self.sentences.iter().enumerate() {
            let (begin, end) = match index {
                0 => ("<p class=\"answer\">", "</p>\n<ul>"),
                _ => ("<li>", "</li>"),
            };
            let _ = writeln!(html, "{begin}{}{end}", escaped(sentence));
        }
        html.push_str("</ul>\n");
        for chart in self.charts() {
            html.push_str(&chart.html()?);
        }
        html.push_str("<h2>The figures</h2>\n");
        for table in self.tables() {
            let _ = write!(html, "<p>{}</p>\n{}", escaped(&table.caption), table.html());
        }
        let _ = write!(
            html,
            "<h2>The machine</h2>\n<p>{}</p>\n<p>tripoll {}, {}</p>\n<pre>{}</pre>\n</body>\n\
             </html>\n",
            escaped(&self.machine.to_string()),
            self.tripoll,
            self.date,
            escaped(command)
        );
        Ok(html)
    }

    /// Returns the first chart as a picture of its own, as SVG, with its date and machine. `command`
    /// is the command that makes such a picture.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if there is no chart. `Other` if it cannot be drawn.
    pub fn svg(&self, command: &str) -> io::Result<String> {
        let none = "this workload has no chart";
        let chart = self.charts().first();
        let chart = chart.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, none))?;
        let day = self.date.split('T').next().unwrap_or_default();
        let made = format!("{day}, tripoll {}: {command}", self.tripoll);
        chart.picture([self.machine.to_string(), made])
    }
}
