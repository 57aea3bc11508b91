//! What a page points to exists: files, headings, tests, and other pages.

use super::pages::{LANGUAGES, Page, book_in, pages, root};

#[test]
fn every_experiment_that_a_page_names_is_a_test() {
    let folder = root().join("tests");
    let mut experiments = 0;
    let text: String = pages().into_iter().map(|page| page.text).collect();
    for command in text.split("cargo test --test ").skip(1) {
        let mut words = command.split(['`', '\n']).next().unwrap().split(' ');
        let target = words.next().unwrap();
        let Some(test) = words.next().filter(|&test| test != "...") else { continue };
        if folder.join(target).join(test).with_extension("rs").exists() {
            continue; // it is a whole module
        }
        // A target of one layer is a folder, a module a file.
        let (file, name) = match test.rsplit_once("::") {
            Some((module, name)) => {
                let path = module.replace("::", "/");
                (folder.join(target).join(path).with_extension("rs"), name)
            }
            None => (folder.join(target).with_extension("rs"), test),
        };
        let file = if file.exists() { file } else { folder.join(target).join("main.rs") };
        let tests = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{file:?}: {e}"));
        // A file that runs its tests one by one lists them by name.
        let is_test = tests.contains(&format!("#[test]\nfn {name}()"));
        let is_listed = tests.contains(&format!("\"{name}\""));
        assert!(is_test || is_listed, "{file:?} {name}");
        experiments += 1;
    }
    assert!(experiments >= 30, "the course has lost an experiment: {experiments}");
}

#[test]
fn every_link_leads_somewhere() {
    let broken: Vec<_> = pages().iter().flat_map(broken_links).collect();
    assert!(broken.is_empty(), "{broken:#?}");
}

/// The links of a page to files and headings that do not exist.
fn broken_links(page: &Page) -> Vec<String> {
    let folder = page.path.parent().unwrap();
    let mut broken = Vec::new();
    for link in page.text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
        let (file, heading) = link.split_once('#').unwrap_or((link, ""));
        if link.starts_with("http") {
            continue;
        }
        let target = root().join(folder).join(file);
        let has_heading = heading.is_empty()
            || if file.is_empty() {
                has_heading(&page.text, heading)
            } else {
                std::fs::read_to_string(&target).is_ok_and(|text| has_heading(&text, heading))
            };
        if !target.exists() || !has_heading {
            broken.push(format!("{}: {link}", page.path.display()));
        }
    }
    broken
}

/// Whether the page has this anchor: that of a heading, or one by itself.
fn has_heading(text: &str, anchor: &str) -> bool {
    text.contains(&format!("\n<a id=\"{anchor}\"></a>\n"))
        || text.lines().filter(|line| line.starts_with('#')).any(|line| anchor_of(line) == anchor)
}

/// The anchor of a heading, as code hosts make it.
pub fn anchor_of(heading: &str) -> String {
    let title = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = title.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// A link that is named like a file leads to this file.
#[test]
fn a_link_to_a_file_has_its_name() {
    let misnamed: Vec<_> = pages().iter().flat_map(misnamed_links).collect();
    assert!(misnamed.is_empty(), "{misnamed:#?}");
}

fn misnamed_links(page: &Page) -> Vec<String> {
    let mut misnamed = Vec::new();
    for (at, _) in page.text.match_indices("`](") {
        let name = page.text[..at].rsplit(['`', '[']).next().unwrap();
        let target = page.text[at + 3..].split([')', '#']).next().unwrap();
        if name.ends_with(".rs") && !target.ends_with(name) {
            misnamed.push(format!("{}: {name} leads to {target}", page.path.display()));
        }
    }
    misnamed
}

#[test]
fn misnamed_links_are_found() {
    let text = "[`a.rs`](src/b.rs) [`b.rs`](src/b.rs) [`src/b.rs`](../src/b.rs) [`C`](src/d.rs)";
    let page = Page { path: "NOTES.md".into(), text: text.into() };
    assert_eq!(misnamed_links(&page), ["NOTES.md: a.rs leads to src/b.rs"]);
}

#[test]
fn broken_links_are_found() {
    let text = "# One, two\n[a](#one-two) [b](Cargo.toml) [c](#three) [d](no.rs) [e](README.md#no)\n[f](README.md#licence)";
    let page = Page { path: "NOTES.md".into(), text: text.into() };
    assert_eq!(
        broken_links(&page),
        ["NOTES.md: #three", "NOTES.md: no.rs", "NOTES.md: README.md#no"]
    );
}

#[test]
fn the_summary_lists_every_page_once() {
    for language in LANGUAGES {
        let pages = book_in(language);
        let summary = pages.iter().find(|page| page.path.ends_with("SUMMARY.md")).unwrap();
        for page in &pages {
            let name = page.path.file_name().unwrap().to_str().unwrap();
            let count = summary.text.matches(&format!("]({name})")).count();
            assert_eq!(count, usize::from(name != "SUMMARY.md"), "{language}: {name}");
        }
    }
}
