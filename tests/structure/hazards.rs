//! The catalogue of hazards, `HAZARDS.md`: its rows are complete, and what they name exists.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The chapters of the catalogue, each with its number of rows.
const CHAPTERS: [usize; 12] = [13, 11, 26, 16, 23, 20, 20, 16, 30, 8, 16, 46];

/// The words with which an answer begins.
const KINDS: [&str; 5] =
    ["**Test**", "**Type**", "**Contract**", "**Does not apply**", "**Not covered**"];

/// One row: a hazard and what answers it.
#[derive(Debug)]
struct Row<'a> {
    number: &'a str,
    hazard: &'a str,
    answer: &'a str,
}

/// Returns the rows of all tables.
fn rows(text: &str) -> Vec<Row<'_>> {
    let row = |line| {
        let cells: Vec<&str> = str::split(line, '|').map(str::trim).collect();
        match cells[..] {
            ["", number, hazard, answer, ""]
                if number.starts_with(|c: char| c.is_ascii_digit()) =>
            {
                Some(Row { number, hazard, answer })
            }
            _ => None,
        }
    };
    text.lines().filter_map(row).collect()
}

/// Returns what a text names: the files, and the items in them.
fn references(text: &str) -> Vec<(&str, Option<&str>)> {
    let is_file = |name: &str| name.ends_with(".rs") || name.ends_with(".md");
    let spans = text.split('`').skip(1).step_by(2);
    spans
        .map(|span| match span.split_once(": ") {
            Some((file, item)) => (file, Some(item)),
            None => (span, None),
        })
        .filter(|(file, _)| is_file(file) && !file.contains(' '))
        .collect()
}

/// What a name stands for in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Test,
    Item,
    Nothing,
}

/// Looks for a test, an item, or, in a document, a headline.
fn find(file: &str, source: &str, item: &str) -> Found {
    if file.ends_with(".md") {
        let is_headline = |line: &str| line.starts_with('#') && line.contains(item);
        return if source.lines().any(is_headline) { Found::Item } else { Found::Nothing };
    }
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let function = format!("fn {item}(");
    for (index, line) in lines.iter().enumerate() {
        let is_marked = || lines[index.saturating_sub(4)..index].contains(&"#[test]");
        if line.starts_with(&function) && is_marked() {
            return Found::Test;
        }
    }
    // Programs without the usual runner list their tests.
    if source.contains("program::main(") && source.contains(&format!("\"{item}\"")) {
        return Found::Test;
    }
    let keywords = ["fn", "struct", "enum", "trait", "const", "static", "type", "mod", "pub"];
    let ends = |rest: &str| !rest.starts_with(|c: char| c == '_' || c.is_alphanumeric());
    let is_item = |line: &str| {
        keywords.iter().any(|keyword| {
            let name = format!("{keyword} {item}");
            line.match_indices(&name).any(|(at, _)| ends(&line[at + name.len()..]))
        })
    };
    let is_variant = |line: &str| {
        line.strip_prefix(item)
            .is_some_and(|rest| matches!(rest, "," | "{") || rest.starts_with('('))
    };
    let names = |line: &str| !line.starts_with("//") && (is_item(line) || is_variant(line));
    if lines.iter().copied().any(names) { Found::Item } else { Found::Nothing }
}

/// Returns what is wrong with a catalogue.
fn faults(text: &str, chapters: &[usize], read: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut faults = Vec::new();
    let rows = rows(text);
    let mut counts = BTreeMap::<&str, usize>::new();
    rows.iter().for_each(|row| *counts.entry(row.number).or_default() += 1);
    let expected: Vec<String> = (1..)
        .zip(chapters)
        .flat_map(|(chapter, &count)| (1..=count).map(move |row| format!("{chapter}.{row}")))
        .collect();
    for number in &expected {
        match counts.remove(number.as_str()) {
            None => faults.push(format!("{number} is missing")),
            Some(1) => {}
            Some(count) => faults.push(format!("{number} is there {count} times")),
        }
    }
    faults.extend(counts.keys().map(|number| format!("{number} is none of the numbers")));
    for Row { number, hazard, answer } in rows {
        if !hazard.ends_with('.') {
            faults.push(format!("{number}: the hazard is not a sentence"));
        }
        let kind = KINDS.into_iter().find(|kind| answer.starts_with(kind));
        let mut found = Vec::new();
        for (file, item) in references(answer) {
            match (read(file), item) {
                (None, _) => faults.push(format!("{number}: there is no file {file}")),
                (Some(source), Some(item)) => {
                    let kind = find(file, &source, item);
                    if kind == Found::Nothing {
                        faults.push(format!("{number}: {file} has no {item}"));
                    }
                    found.push(kind);
                }
                (Some(_), None) => found.push(Found::Item),
            }
        }
        let is_answered = match kind {
            Some("**Test**") => found.contains(&Found::Test),
            Some("**Type**" | "**Contract**") => !found.is_empty(),
            Some(_) => answer.len() > 50, // a reason
            None => false,
        };
        if !is_answered {
            faults.push(format!("{number}: {answer:?} is no answer"));
        }
    }
    faults
}

#[test]
fn each_hazard_has_an_answer_that_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("HAZARDS.md")).unwrap();
    let faults = faults(&text, &CHAPTERS, |file| fs::read_to_string(root.join(file)).ok());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn what_is_wrong_with_a_catalogue_is_found() {
    let text = "\
| no. | hazard | answer |
|---|---|---|
| 1.1 | A good one. | **Test** `a.rs: works`, `a.rs: Item` and `a.rs: Variant` |
| 1.2 | One without a test. | **Test** `a.rs: Item` |
| 1.2 | A file that is missing. | **Type** `b.rs` |
| 1.4 | no sentence | **Contract** `a.rs: gone` |
| 1.5 | Nothing. | It cannot happen. |
| 1.6 | A reason that is too short. | **Not covered** No. |
| 2.2 | A test that is a prefix. | **Test** `a.rs: work` |
";
    let source = "#[test]\nfn works() {}\n\npub struct Item;\n// fn gone() {}\nVariant,\n";
    let read = |file: &str| (file == "a.rs").then(|| source.into());
    assert_eq!(
        faults(text, &[6, 1], read),
        [
            "1.2 is there 2 times",
            "1.3 is missing",
            "2.1 is missing",
            "2.2 is none of the numbers",
            "1.2: \"**Test** `a.rs: Item`\" is no answer",
            "1.2: there is no file b.rs",
            "1.2: \"**Type** `b.rs`\" is no answer",
            "1.4: the hazard is not a sentence",
            "1.4: a.rs has no gone",
            "1.5: \"It cannot happen.\" is no answer",
            "1.6: \"**Not covered** No.\" is no answer",
            "2.2: a.rs has no work",
            "2.2: \"**Test** `a.rs: work`\" is no answer",
        ]
    );
}
