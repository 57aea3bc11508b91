//! `tripoll slides`: a page of slides for each lesson of the teacher's page, made from the chapters.
//!
//! A page is one file without script and network. A slide fills the screen, and the keys that scroll go
//! from one to the next. Printed, each slide is a sheet.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

use pulldown_cmark::{Options, Parser, html};

/// Code with more lines is a slide of its own.
const SHORT: usize = 6;

/// A lesson of the teacher's page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lesson {
    /// From 1.
    pub number: u32,
    /// The question with which it begins, as Markdown.
    pub question: String,
    /// What the teacher shows, as Markdown.
    pub demonstration: String,
    /// The homework, as Markdown.
    pub homework: String,
    /// The files of its chapters, `ch01-select.md`.
    pub chapters: Vec<String>,
}

/// Returns the lessons in the table of the teacher's page.
pub fn lessons(teaching: &str) -> Vec<Lesson> {
    teaching.lines().filter_map(lesson).collect()
}

fn lesson(line: &str) -> Option<Lesson> {
    let cells: Vec<&str> = line.strip_prefix('|')?.split('|').map(str::trim).collect();
    let [number, question, demonstration, chapters, homework, ..] = cells[..] else { return None };
    let targets = chapters.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
    let lesson = Lesson {
        number: number.parse().ok()?,
        question: question.into(),
        demonstration: demonstration.into(),
        homework: homework.into(),
        chapters: targets.filter(|name| name.starts_with("ch")).map(String::from).collect(),
    };
    (!lesson.chapters.is_empty()).then_some(lesson)
}

/// Makes the page of a lesson. `source` is the folder with the chapters, `language` that of the text.
///
/// # Errors
///
/// Those of reading the chapters and their pictures.
pub fn page(lesson: &Lesson, source: &Path, language: &str) -> io::Result<String> {
    let Lesson { number, question, demonstration, homework, chapters } = lesson;
    let mut slides = vec![format!("# {number}. {question}"), demonstration.clone()];
    for chapter in chapters {
        let text = fs::read_to_string(source.join(chapter))?;
        slides.extend(split(&text));
    }
    slides.push(homework.clone());
    let mut body = String::new();
    for slide in &slides {
        let html = with_pictures(&to_html(&without_links(slide)), source)?;
        let _ = writeln!(body, "<section>\n{html}</section>"); // a text takes everything
    }
    let title = format!("{number}. {question}").replace('&', "&amp;").replace('<', "&lt;");
    let style = include_str!("slides.css");
    Ok(format!(
        "<!doctype html>\n<html lang=\"{language}\"><head><meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title>\n\
         <style>\n{style}</style></head>\n<body>\n{body}</body></html>\n"
    ))
}

/// Divides a chapter: a slide begins with each heading, each **label.**, each picture, and each block of
/// code that is not short.
fn split(text: &str) -> Vec<String> {
    let mut slides: Vec<String> = Vec::new();
    let mut was_alone = false;
    for block in blocks(text) {
        if block.starts_with("<!-- ") && !block.contains("```") {
            continue;
        }
        let bold = block.strip_prefix("**").and_then(|rest| rest.split_once("**"));
        let is_label = bold.is_some_and(|(bold, _)| bold.ends_with(['.', '。']));
        let lines = block.lines().count();
        let is_alone = block.contains("```") && lines > SHORT || block.starts_with("![");
        let begins = block.starts_with('#') || is_label || is_alone || was_alone;
        match slides.last_mut() {
            Some(slide) if !begins => {
                slide.push_str("\n\n");
                slide.push_str(&block);
            }
            _ => slides.push(block),
        }
        was_alone = is_alone;
    }
    slides
}

/// Divides a text at its blank lines, but not within code, and not within a folded answer. Drops the
/// anchors before headings.
fn blocks(text: &str) -> Vec<String> {
    let mut blocks = vec![String::new()];
    let (mut is_code, mut is_folded) = (false, false);
    for line in text.lines().filter(|line| !line.starts_with("<a id=")) {
        is_code ^= line.starts_with("```");
        is_folded = (is_folded || line.starts_with("<details")) && !line.starts_with("</details");
        if line.is_empty() && !is_code && !is_folded {
            blocks.push(String::new());
        } else if let Some(block) = blocks.last_mut() {
            block.push_str(line);
            block.push('\n');
        }
    }
    blocks.retain(|block| !block.trim().is_empty());
    blocks
}

/// Returns the text without links to other pages: a slide is alone.
fn without_links(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("](") {
        let opening = rest[..start].rfind('[').filter(|&at| !rest[..at].ends_with('!'));
        let end = rest[start..].find(')').map(|length| start + length + 1);
        match (opening, end) {
            (Some(opening), Some(end)) => {
                plain += &rest[..opening];
                plain += &rest[opening + 1..start];
                rest = &rest[end..];
            }
            _ => {
                plain += &rest[..start + 2];
                rest = &rest[start + 2..];
            }
        }
    }
    plain + rest
}

fn to_html(markdown: &str) -> String {
    let mut text = String::new();
    html::push_html(&mut text, Parser::new_ext(markdown, Options::ENABLE_TABLES));
    text
}

/// Puts the pictures into the page.
fn with_pictures(html: &str, source: &Path) -> io::Result<String> {
    let mut parts = html.split("<img src=\"");
    let mut page = String::from(parts.next().unwrap_or_default());
    for part in parts {
        let (path, rest) = part.split_once('"').unwrap_or((part, ""));
        let (_, rest) = rest.split_once("/>").unwrap_or(("", rest));
        let picture = fs::read_to_string(source.join(PathBuf::from(path)))?;
        page += picture.find("<svg").map_or("", |at| &picture[at..]);
        page += rest;
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::{blocks, lessons, split, without_links};

    #[test]
    fn lessons_are_the_rows_with_chapters() {
        let table = "| | the question |\n|---|---|\n\
                     | 2 | How? | `x` | [1](ch01-select.md), [6](ch06-inputs.md#a) | exercise 1 |\n\
                     | 5 | the question, and guesses |\n";
        let found = lessons(table);
        assert_eq!((found.len(), found[0].number, &*found[0].question), (1, 2, "How?"));
        assert_eq!(found[0].chapters, ["ch01-select.md", "ch06-inputs.md"]);
    }

    #[test]
    fn a_chapter_is_divided_at_its_labels_and_long_code() {
        let long = format!("```rust\n{}```", "line\n\n".repeat(5));
        let text = format!(
            "<a id=\"a\"></a>\n# A\n\n**Question.** b?\n\nc\n\n{long}\n\nd\n\n```sh\ne\n```\n"
        );
        let slides = split(&text);
        let long = format!("{long}\n");
        let expected = ["# A\n", "**Question.** b?\n\n\nc\n", &long, "d\n\n\n```sh\ne\n```\n"];
        assert_eq!(slides, expected);
        assert_eq!(blocks("<details>\n\na\n\n</details>\n").len(), 1);
    }

    #[test]
    fn links_are_plain_text_and_pictures_stay() {
        assert_eq!(without_links("a [b](c.md#d), ![e](f.svg) [g](h)."), "a b, ![e](f.svg) g.");
    }
}
