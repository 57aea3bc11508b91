//! The pages.

use std::fmt::Write as _;
use std::time::Instant;

use tripoll::Context;
use tripoll::metrics::{CONTENT_TYPE, Exposition, Kind};
use tripoll::net::{ConnectionFigures, ListenerMeter};
use tripoll::reactor::SourceInfo;

/// What the connections share.
pub struct Server {
    pub meter: ListenerMeter,
    pub began: Instant,
    /// What the connections report when one of them asks.
    pub connections: Vec<ConnectionFigures>,
}

/// A page, with its type.
pub struct Body {
    pub content_type: &'static str,
    pub text: String,
}

impl Body {
    pub fn text(text: String) -> Self {
        Body { content_type: "text/plain; charset=utf-8", text }
    }
}

/// A table for people: a head and rows.
struct Table {
    head: &'static [&'static str],
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Returns the table as text: a line for each row, with tabs between the cells.
    fn to_text(&self) -> String {
        let mut text = self.head.join("\t") + "\n";
        for row in &self.rows {
            let _ = writeln!(text, "{}", row.join("\t")); // a string takes everything
        }
        text
    }

    fn to_html(&self) -> String {
        let row = |name: &str, cells: &[String]| {
            let cells = cells.iter().map(|cell| format!("<{name}>{}</{name}>", escaped(cell)));
            format!("<tr>{}</tr>\n", cells.collect::<String>())
        };
        let head: Vec<String> = self.head.iter().map(|&cell| cell.into()).collect();
        let rows = self.rows.iter().map(|cells| row("td", cells)).collect::<String>();
        format!("<table>\n{}{rows}</table>\n", row("th", &head))
    }
}

/// Escapes a text for HTML. The name of a type has `<` in it, and that of a peer what the peer has chosen.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

fn table_of_sources(cx: &Context<Server>) -> Table {
    let row = |info: SourceInfo| {
        let state = if info.is_disarmed { "disarmed" } else { "" };
        let texts = [format!("{:?}", info.token), info.descriptor.to_string(), info.source.into()];
        let more = [info.handler.into(), format!("{:?}", info.interest), state.into()];
        texts.into_iter().chain(more).collect()
    };
    let head = &["token", "descriptor", "source", "handler", "interest", "state"];
    Table { head, rows: cx.sources().map(row).collect() }
}

fn table_of_counters(cx: &Context<Server>) -> Table {
    let mut text = Exposition::new();
    text.add([([], cx.counters())]);
    text.add([([], cx.state.meter.counters())]);
    let lines = text.as_str().lines().filter(|line| !line.starts_with('#'));
    let row = |line: &str| line.split(' ').map(String::from).collect();
    Table { head: &["counter", "value"], rows: lines.map(row).collect() }
}

/// `/`: all that is known at once.
pub fn overview(cx: &Context<Server>) -> Body {
    let (backend, trigger) = (escaped(cx.backend()), cx.trigger());
    let up = cx.now().saturating_duration_since(cx.state.began).as_secs();
    let (sources, counters) = (table_of_sources(cx).to_html(), table_of_counters(cx).to_html());
    let text = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>tripoll</title>\n\
         <style>body {{ font: 14px sans-serif; margin: 2em }} table {{ border-collapse: collapse }}\n\
         td, th {{ border: 1px solid #ccc; padding: 2px 8px; text-align: left }}</style></head>\n\
         <body><h1>A loop of tripoll</h1>\n\
         <p>Process {}, {backend}, {trigger}-triggered, up for {up} s, {} timers.\n\
         <a href=\"/sources\">sources</a> <a href=\"/connections\">connections</a>\n\
         <a href=\"/timers\">timers</a> <a href=\"/metrics\">metrics</a></p>\n\
         <h2>Sources</h2>\n{sources}<h2>Counters</h2>\n{counters}</body></html>\n",
        std::process::id(),
        cx.timers()
    );
    Body { content_type: "text/html; charset=utf-8", text }
}

/// `/sources`
pub fn sources(cx: &Context<Server>) -> Body {
    Body::text(table_of_sources(cx).to_text())
}

/// `/timers`: how many there are, and the deadlines that programs have set for sources.
pub fn timers(cx: &Context<Server>) -> Body {
    let row = |info: SourceInfo| {
        let left = info.deadline?.saturating_duration_since(cx.now());
        Some(vec![format!("{:?}", info.token), format!("{left:.1?}")])
    };
    let deadlines =
        Table { head: &["token", "left"], rows: cx.sources().filter_map(row).collect() };
    Body::text(format!("timers and deadlines: {}\n\n{}", cx.timers(), deadlines.to_text()))
}

/// `/connections`: what they have reported.
pub fn connections(cx: &mut Context<Server>) -> Body {
    let now = cx.now();
    let row = |figures: ConnectionFigures| {
        let (age, state) = (figures.age(now), figures.state.to_string());
        let ConnectionFigures { token, peer, received, sent, .. } = figures;
        vec![
            format!("{token:?}"),
            peer.to_string(),
            format!("{age:.1?}"),
            received.to_string(),
            sent.to_string(),
            state,
        ]
    };
    let head = &["token", "peer", "age", "received", "sent", "state"];
    Body::text(Table { head, rows: cx.state.connections.drain(..).map(row).collect() }.to_text())
}

/// `/metrics`: for Prometheus.
pub fn metrics(cx: &Context<Server>) -> Body {
    let labels = [("backend", cx.backend())];
    let mut text = Exposition::new();
    text.add([(labels, cx.counters())]);
    text.add([(labels, cx.state.meter.counters())]);
    text.family("tripoll_loop_sources", Kind::Gauge, "Sources of the loop.")
        .sample(&labels, cx.len());
    text.family("tripoll_loop_timers", Kind::Gauge, "Timers and deadlines that are set.")
        .sample(&labels, cx.timers());
    Body { content_type: CONTENT_TYPE, text: text.into_string() }
}
