//! The book is the same in every language: pages, programs, outputs, links, anchors, exercises.

use super::links::anchor_of;
use super::pages::{LANGUAGES, Page, book_in, page, root};

/// What a translation has in common with its original.
#[derive(Debug, PartialEq, Eq)]
struct Skeleton {
    /// The level of each heading.
    headings: Vec<usize>,
    /// The code and outputs, in their order, with the marks of the programs.
    code: Vec<String>,
    /// The targets of the links. Another language may have them in another order.
    links: Vec<String>,
    /// The tests and programs that the text names.
    commands: Vec<String>,
    folded: usize,
}

impl Skeleton {
    fn of(text: &str) -> Self {
        let (mut headings, mut code) = (Vec::new(), Vec::new());
        let mut block: Option<String> = None;
        for line in text.lines() {
            match &mut block {
                Some(lines) => {
                    *lines += line;
                    lines.push('\n');
                    if line == "```" {
                        code.extend(block.take());
                    }
                }
                None if line.starts_with("```") => block = Some(format!("{line}\n")),
                None if line.starts_with("<!-- ") => code.push(line.to_string()),
                None if line.starts_with('#') => {
                    headings.push(line.chars().take_while(|&c| c == '#').count());
                }
                None => {}
            }
        }
        let between = |start: &str, end: char| {
            let parts = text.split(start).skip(1);
            let mut parts: Vec<_> =
                parts.filter_map(|part| part.split(end).next()).map(String::from).collect();
            parts.sort_unstable();
            parts
        };
        Skeleton {
            headings,
            code,
            links: between("](", ')'),
            commands: between("`cargo ", '`'),
            folded: text.matches("<details>").count(),
        }
    }
}

fn name(page: &Page) -> &str {
    page.path.file_name().unwrap().to_str().unwrap()
}

#[test]
fn every_language_has_the_same_pages() {
    let [original, translations @ ..] = LANGUAGES;
    let original = book_in(original);
    for language in translations {
        let translated = book_in(language);
        let names =
            |pages: &[Page]| pages.iter().map(|page| name(page).into()).collect::<Vec<String>>();
        assert_eq!(names(&original), names(&translated), "{language}");
        for (original, translated) in original.iter().zip(&translated) {
            let path = translated.path.display();
            assert_eq!(Skeleton::of(&original.text), Skeleton::of(&translated.text), "{path}");
            // A link to a heading is the same in every language.
            for heading in original.text.lines().filter(|line| line.starts_with("##")) {
                let anchor = format!("\n<a id=\"{}\"></a>\n", anchor_of(heading));
                assert!(translated.text.contains(&anchor), "{path} has no {}", anchor.trim());
            }
        }
    }
}

/// `TRIPOLL_BLESS=1` copies the blocks of code: the measured table changes by itself.
#[test]
fn the_readme_is_the_same_in_both_languages() {
    let english = page("README.md".into()).text;
    let mut chinese = page("README.zh.md".into()).text;
    if std::env::var_os("TRIPOLL_BLESS").is_some() {
        chinese = with_code_of(&english, &chinese);
        std::fs::write(root().join("README.zh.md"), &chinese).unwrap();
    }
    // Each of them links the book of its own language first, and the other README.
    let alike = |text: &str| text.replace("book/zh/", "book/en/").replace("E.zh.md", "E.md");
    assert_eq!(Skeleton::of(&alike(&english)), Skeleton::of(&alike(&chinese)));
    assert!(english.contains("[中文](README.zh.md)") && chinese.contains("[English](README.md)"));
}

/// A text with the blocks of code of another one, in their order.
fn with_code_of(original: &str, text: &str) -> String {
    let parts = |text: &str| text.split("```").map(String::from).collect::<Vec<_>>();
    let (original, mut parts) = (parts(original), parts(text));
    for (mine, theirs) in parts.iter_mut().zip(original).skip(1).step_by(2) {
        *mine = theirs;
    }
    parts.join("```")
}

/// Each line of the glossary has its word in both languages, and both glossaries have the same words.
#[test]
fn the_glossaries_have_the_same_words() {
    let words = |language: &str| {
        let text = page(format!("book/{language}/src/glossary.md").into()).text;
        let rows = text.lines().filter(|line| line.starts_with("| ")).skip(1);
        let words = rows.map(|row| {
            let columns: Vec<_> = row.split('|').map(|column| column.trim().to_string()).collect();
            (columns[1].clone(), columns[2].clone())
        });
        words.collect::<Vec<_>>()
    };
    let original = words(LANGUAGES[0]);
    let missing: Vec<_> = original.iter().filter(|(_, chinese)| chinese.is_empty()).collect();
    assert!(missing.is_empty(), "without a Chinese word: {missing:?}");
    for language in &LANGUAGES[1..] {
        assert_eq!(original, words(language), "{language}");
    }
}

/// The Chinese words that a page introduces: those in parentheses behind a word of English.
fn introduced(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let lines: String = text.lines().filter(|line| !line.starts_with('>')).collect();
    for (at, _) in lines.match_indices('(') {
        let (before, after) = (&lines[..at], &lines[at + 1..]);
        let word: String = after.chars().take_while(|&c| is_chinese(c)).collect();
        let follows = before.trim_end().ends_with(|c: char| c.is_ascii_alphabetic() || c == '*');
        if follows && !word.is_empty() {
            words.push(word);
        }
    }
    words
}

fn is_chinese(c: char) -> bool {
    ('\u{4e00}'..='\u{9fff}').contains(&c)
}

#[test]
fn the_glossary_has_each_chinese_word_that_a_page_introduces() {
    const NAMES: [&str; 1] = ["陈硕"];
    let glossary = page("book/en/src/glossary.md".into()).text;
    let missing: Vec<_> = book_in("en")
        .iter()
        .flat_map(|page| introduced(&page.text))
        .filter(|word| !glossary.contains(word.as_str()) && !NAMES.contains(&word.as_str()))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    let text = "An *edge* (边缘, edge), a herd(惊群).\n> (引用)\nA (note), 好(好).";
    assert_eq!(introduced(text), ["边缘", "惊群"]);
}

#[test]
fn the_chinese_book_is_in_chinese() {
    let beside = [page("README.zh.md".into())];
    let book = book_in("zh");
    for page in book.iter().chain(&beside).filter(|page| name(page) != "SUMMARY.md") {
        let mut is_code = false;
        for line in page.text.lines() {
            if line.starts_with("```") {
                is_code = !is_code;
            }
            let text: String = line.split('`').step_by(2).collect();
            let letters = text.chars().filter(char::is_ascii_alphabetic).count();
            if !is_code && !line.starts_with(['<', '|']) && letters > 30 {
                let path = page.path.display();
                assert!(text.chars().any(is_chinese), "{path} has a line of English: {line}");
            }
        }
    }
}

#[test]
fn every_picture_has_a_text_and_two_colour_schemes() {
    let pictures = |language: &str| {
        let folder = root().join("book").join(language).join("src/pictures");
        let files = folder.read_dir().unwrap().map(|file| file.unwrap().path());
        let mut files: Vec<_> = files.collect();
        files.sort();
        files
    };
    let names = |language| -> Vec<_> {
        pictures(language).iter().map(|path| path.file_name().unwrap().to_owned()).collect()
    };
    for language in LANGUAGES {
        assert_eq!(names(language), names(LANGUAGES[0]), "{language}");
        let text: String = book_in(language).into_iter().map(|page| page.text).collect();
        for path in pictures(language) {
            let picture = std::fs::read_to_string(&path).unwrap();
            for part in ["<title ", "<desc ", "prefers-color-scheme: dark", "role=\"img\""] {
                assert!(picture.contains(part), "{path:?} has no {part}");
            }
            let name = path.file_name().unwrap().to_str().unwrap();
            let (before, _) = text.split_once(&format!("](pictures/{name})")).expect(name);
            let (_, alternative) = before.rsplit_once("![").unwrap();
            assert!(alternative.chars().count() > 20, "{path:?} has no text beside it");
        }
    }
}

#[test]
fn what_a_translation_must_have_is_found() {
    let text = "# A\n\n[b](c.md) `cargo test x`\n<!-- d: e -->\n```sh\n# f\n```\n<details>\n## G\n";
    let skeleton = Skeleton {
        headings: vec![1, 2],
        code: vec!["<!-- d: e -->".into(), "```sh\n# f\n```\n".into()],
        links: vec!["c.md".into()],
        commands: vec!["test x".into()],
        folded: 1,
    };
    assert_eq!(Skeleton::of(text), skeleton);
    assert_eq!(with_code_of("a\n```\nb\n```\n", "c\n```\n```\nd"), "c\n```\nb\n```\nd");
}
