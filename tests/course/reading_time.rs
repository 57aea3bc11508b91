//! Each chapter says how long it takes to read.
//!
//! `TRIPOLL_BLESS=1 cargo test --test course` writes the line again.

use super::pages::{book_in, root};

/// Words of English that a reader of a second language reads in a minute, with the code among them.
const WORDS_A_MINUTE: usize = 130;

fn minutes(text: &str) -> usize {
    let words = text
        .lines()
        .filter(|line| !is_reading_time(line))
        .map(|line| line.split_whitespace().count());
    words.sum::<usize>().div_ceil(WORDS_A_MINUTE)
}

fn is_reading_time(line: &str) -> bool {
    (line.starts_with("*About ") && line.ends_with(" minutes*")) || line.starts_with("*约 ")
}

/// The page with its present reading time below the title.
fn with_reading_time(text: &str, minutes: usize, line: &str) -> String {
    let (title, rest) = text.split_once("\n\n").expect("a title, and a text");
    let rest = match rest.split_once("\n\n") {
        Some((first, rest)) if is_reading_time(first) => rest,
        _ => rest,
    };
    format!("{title}\n\n*{}*\n\n{rest}", line.replace("MINUTES", &minutes.to_string()))
}

#[test]
fn every_chapter_says_how_long_it_takes() {
    let bless = std::env::var_os("TRIPOLL_BLESS").is_some();
    let languages = [("en", "About MINUTES minutes"), ("zh", "约 MINUTES 分钟")];
    // The same for each language: that of the original.
    let original = book_in("en");
    for (language, line) in languages {
        for (original, page) in original.iter().zip(book_in(language)) {
            let name = page.path.file_name().unwrap().to_str().unwrap();
            if !name.starts_with("ch") {
                continue;
            }
            let current = with_reading_time(&page.text, minutes(&original.text), line);
            if bless {
                std::fs::write(root().join(&page.path), &current).unwrap();
            } else {
                assert_eq!(page.text, current, "{}", page.path.display());
            }
        }
    }
}
