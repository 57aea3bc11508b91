//! The page: its files, put together.
//!
//! There is no build step. Indentation and comments are left out when the program starts, and that
//! is all. The scripts share one scope, in the order of `SCRIPTS`.
//!
//! `strings.json` has each sentence in both languages: `{"key":{"en":"…","zh":"…"}}`. A `{name}` in a
//! sentence is replaced by the value of that name. `tripoll trace` uses the same sentences, and
//! `js/sentence.js` says how one turn is put into words.

use std::sync::OnceLock;

/// What the page may load: its own files, from the same server.
pub const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                       img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The sentences of the page and of `tripoll trace`, in English and Chinese.
pub const STRINGS: &str = include_str!("strings.json");

const INDEX: &str = include_str!("index.html");
const STYLE: &str = include_str!("page.css");
const SCRIPTS: [&str; 7] = [
    include_str!("js/base.js"),
    include_str!("js/state.js"),
    include_str!("js/sentence.js"),
    include_str!("js/table.js"),
    include_str!("js/panels.js"),
    include_str!("js/turns.js"),
    include_str!("js/main.js"),
];

/// Returns the page's HTML, whose links carry `token`.
pub fn index(token: &str) -> String {
    lean(INDEX, Kind::Html).replace("{{token}}", token)
}

/// Returns the style sheet.
pub fn css() -> &'static str {
    static CSS: OnceLock<String> = OnceLock::new();
    CSS.get_or_init(|| lean(STYLE, Kind::Css))
}

/// Returns the script.
pub fn js() -> &'static str {
    static JS: OnceLock<String> = OnceLock::new();
    JS.get_or_init(|| SCRIPTS.iter().map(|script| lean(script, Kind::Js)).collect())
}

/// Returns a page in one file, which plays `events` without a server.
///
/// `events` is a JSON array of pairs, a name and its record, as the event stream sends them.
pub fn recording(events: &str) -> String {
    let data = |id: &str, json: &str| {
        // In a string of JSON, `<` may be written as an escape, so no record can end the element.
        let json = json.replace('<', "\\u003c");
        format!("<script type=\"application/json\" id=\"{id}\">{json}</script>\n")
    };
    let inline = format!(
        "{}{}<script>\n{}</script>\n</body>",
        data("strings", STRINGS),
        data("recording", events),
        js(),
    );
    lean(INDEX, Kind::Html)
        .replace(
            "<link rel=\"stylesheet\" href=\"page.css?t={{token}}\">",
            &format!("<style>\n{}</style>", css()),
        )
        .replace("<script src=\"page.js?t={{token}}\" defer></script>\n", "")
        .replace("</body>", &inline)
}

#[derive(Clone, Copy)]
enum Kind {
    Html,
    Css,
    Js,
}

/// Leaves out indentation, comments, and in style sheets and scripts the spaces around signs.
fn lean(text: &str, kind: Kind) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.lines().map(str::trim) {
        let line = match kind {
            Kind::Html => line.to_owned(),
            Kind::Css => lean_css(line),
            Kind::Js => lean_js(line),
        };
        if !line.is_empty() {
            out.push_str(&line);
            out.push('\n');
        }
    }
    out
}

fn lean_css(line: &str) -> String {
    if line.starts_with("/*") {
        return String::new();
    }
    [(": ", ":"), ("; ", ";"), (", ", ","), (" {", "{"), ("{ ", "{"), (" }", "}"), (";}", "}")]
        .iter()
        .fold(line.to_owned(), |line, (wide, narrow)| line.replace(wide, narrow))
}

/// One line of a script. Outside quotes, a space is needed between two words only, and ` //` begins
/// a comment. No expression in the scripts has a quote in a regular expression, or `+ +`.
fn lean_js(line: &str) -> String {
    if line.starts_with("//") {
        return String::new();
    }
    let word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '$');
    let mut out = String::with_capacity(line.len());
    let mut quote = None;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match quote {
            Some(open) => {
                out.push(c);
                if c == '\\' {
                    out.extend(chars.next());
                } else if c == open {
                    quote = None;
                }
            }
            None if c == ' ' => {
                let next = chars.peek().copied();
                if next == Some('/') && chars.clone().nth(1) == Some('/') {
                    break;
                }
                if word(out.chars().next_back()) && word(next) {
                    out.push(c);
                }
            }
            None => {
                quote = (c == '\'' || c == '"' || c == '`').then_some(c);
                out.push(c);
            }
        }
    }
    out
}
