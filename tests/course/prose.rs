//! The book is easy to read: short sentences, and the field's words.

use super::pages::{Page, book_in, page};

/// The English pages: the book, and the README.
fn english() -> Vec<Page> {
    let mut pages = book_in("en");
    pages.retain(|page| !page.path.ends_with("SUMMARY.md"));
    pages.push(page("README.md".into()));
    pages
}

/// A sentence of the text of a page, in words. Code, tables and headings are left out; a link is its
/// text; a piece of code in a line is one word.
fn sentences(text: &str) -> Vec<Vec<String>> {
    let mut sentences = Vec::new();
    let mut paragraph = String::new();
    let mut is_code = false;
    for line in text.lines().chain([""]) {
        let start = line.trim_start();
        if start.starts_with("```") {
            is_code = !is_code;
        }
        let is_item = start.starts_with("- ")
            || start.starts_with("* ")
            || start.split('.').next().is_some_and(is_number);
        let is_text = !is_code && !start.is_empty() && !start.starts_with(['#', '|', '<', '`']);
        if !is_text || is_item {
            cut(&std::mem::take(&mut paragraph), &mut sentences);
        }
        if is_text || start.starts_with('`') && !start.starts_with("```") && !is_code {
            paragraph += line.trim_start_matches(['-', '*', '>', ' ']);
            paragraph.push(' ');
        }
    }
    sentences
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_digit())
}

fn cut(paragraph: &str, sentences: &mut Vec<Vec<String>>) {
    let mut sentence: Vec<String> = Vec::new();
    for word in without_code_and_targets(paragraph).split_whitespace() {
        let bare = word.trim_end_matches(['"', ')', '*', '_', '”', '’']);
        sentence.push(word.to_string());
        if bare.ends_with(['.', '?', '!', ':']) {
            sentences.push(std::mem::take(&mut sentence));
        }
    }
    if !sentence.is_empty() {
        sentences.push(sentence);
    }
}

/// The text with one word for each piece of code, and links without their targets.
fn without_code_and_targets(paragraph: &str) -> String {
    let mut plain = String::new();
    for (index, part) in paragraph.split('`').enumerate() {
        plain += if index % 2 == 0 { part } else { "code" };
    }
    let mut text = String::new();
    for (index, part) in plain.split("](").enumerate() {
        text += if index == 0 { part } else { part.split_once(')').map_or("", |(_, rest)| rest) };
    }
    text.replace('[', "")
}

/// The most words that a sentence may have.
const LONGEST: usize = 25;
/// The most words that the median sentence of a page may have.
const MEDIAN: usize = 17;

#[test]
fn sentences_are_short() {
    let mut faults = Vec::new();
    for page in english() {
        let sentences = sentences(&page.text);
        let mut lengths: Vec<_> = sentences.iter().map(Vec::len).collect();
        lengths.sort_unstable();
        let median = lengths[lengths.len() / 2];
        let path = page.path.display();
        if median > MEDIAN {
            faults.push(format!("{path}: the median sentence has {median} words"));
        }
        for sentence in sentences.iter().filter(|sentence| sentence.len() > LONGEST) {
            faults.push(format!("{path}: {} words: {}", sentence.len(), sentence.join(" ")));
        }
    }
    assert!(faults.is_empty(), "at most {LONGEST} words, median {MEDIAN}: {faults:#?}");
}

/// Expressions that stop a reader, and what is said instead.
const STUMBLING_BLOCKS: &[(&str, &str)] = &[
    ("is told", "is reported, if a thing is told"),
    ("are told", "are reported, if things are told"),
    ("told of", "reported"),
    ("hear of", "be reported"),
    ("whoever", "a program that, a server that"),
    ("on edge", "edge-triggered"),
    ("by level", "level-triggered"),
    ("by edge", "edge-triggered"),
    ("in good order", "gracefully"),
];

#[test]
fn no_expression_stops_a_reader() {
    let mut faults = Vec::new();
    for page in english() {
        let words = sentences(&page.text).concat().join(" ").to_lowercase();
        for (expression, instead) in STUMBLING_BLOCKS {
            for (at, _) in words.match_indices(expression) {
                let around: String = words[..at].chars().rev().take(40).collect();
                let around: String = around.chars().rev().collect();
                let path = page.path.display();
                faults.push(format!("{path}: \"{around}{expression}\": {instead}"));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

/// Words that are for people. Clients, threads, handlers and pages are things.
const FOR_PEOPLE: &[&str] = &[
    "who",
    "whom",
    "whose",
    "whoever",
    "nobody",
    "somebody",
    "anybody",
    "everybody",
    "told",
    "hear",
    "hears",
];
/// The people of the book.
const PEOPLE: &[&str] = &["those", "people", "students", "readers", "learners", "teachers"];

/// The words for people in a text that are said of things: those that do not follow people.
fn words_of_people_for_things(text: &str) -> Vec<String> {
    let mut is_code = false;
    let mut plain = String::new();
    for line in text.lines() {
        let is_fence = line.starts_with("```");
        is_code ^= is_fence;
        if !is_code && !is_fence {
            plain += &without_code_and_targets(line);
            plain.push(' ');
        }
    }
    let bare = |word: &str| word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
    let words = plain.split_whitespace().map(bare).filter(|word| !word.is_empty());
    let words: Vec<_> = words.collect();
    let is_fault = |at: &usize| {
        FOR_PEOPLE.contains(&words[*at].as_str())
            && !(*at > 0 && PEOPLE.contains(&words[*at - 1].as_str()))
    };
    let around = |at: usize| words[at.saturating_sub(4)..(at + 3).min(words.len())].join(" ");
    (0..words.len()).filter(is_fault).map(around).collect()
}

#[test]
fn things_are_no_people() {
    let faults: Vec<_> = english()
        .iter()
        .flat_map(|page| {
            let path = page.path.display().to_string();
            let faults = words_of_people_for_things(&page.text).into_iter();
            faults.map(move |fault| format!("{path}: {fault}"))
        })
        .collect();
    assert!(faults.is_empty(), "a thing is `which`, and events are reported: {faults:#?}");
}

#[test]
fn words_of_people_are_found() {
    let text = "Those **who** teach.\n| a pipe whose end | `who` |\n```text\nwho\n```\nIt is told.";
    let found = words_of_people_for_things(text);
    assert_eq!(found, ["who teach a pipe whose end code", "end code it is told"]);
}

#[test]
fn sentences_of_a_page_are_found() {
    let text = "# A head\n\nOne [two](three.md) `four five`. Six!\n- seven\n- eight\n\n```text\nno. no.\n```\n| no |\n";
    let page = Page { path: "page.md".into(), text: text.into() };
    let found: Vec<_> = sentences(&page.text).iter().map(|words| words.join(" ")).collect();
    assert_eq!(found, ["One two code.", "Six!", "seven", "eight"]);
}
