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
        for table in self.tables() {
            let _ = write!(html, "<h2>{}</h2>\n{}", escaped(&table.caption), table.html());
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
}
