//! The page of the lab as files: its size, its sentences, and what it may load.

use std::collections::BTreeSet;

use serde_json::Value;
use tripoll_lab::live::page;

/// In bytes, before compression.
const LARGEST: usize = 80_000;

fn index() -> String {
    page::index("0123456789abcdef0123456789abcdef")
}

fn sentences() -> serde_json::Map<String, Value> {
    let parsed: Value = serde_json::from_str(page::STRINGS).expect("strings.json is JSON");
    parsed.as_object().expect("strings.json is an object").clone()
}

/// What stands between `start` and the next `end`, at each place where `start` stands.
fn between<'t>(text: &'t str, start: &'t str, end: &'t str) -> impl Iterator<Item = &'t str> {
    text.split(start).skip(1).filter_map(move |rest| rest.split(end).next())
}

/// The keys that HTML and script use, and the beginnings of keys that the script completes.
fn used() -> (BTreeSet<String>, BTreeSet<String>) {
    let (html, js) = (index(), page::js());
    let mut keys: BTreeSet<String> = BTreeSet::new();
    for attribute in ["data-s=\"", "data-label=\""] {
        keys.extend(between(&html, attribute, "\"").map(str::to_owned));
    }
    let mut beginnings = BTreeSet::new();
    // Every text of the script that looks like a key, wherever it stands.
    for text in between_quotes(js) {
        let word = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let parts: Vec<&str> = text.split('.').collect();
        if parts.len() < 2 || !parts[0].chars().all(word) || parts[0].is_empty() {
            continue;
        }
        if text.ends_with('.') {
            beginnings.insert(text.to_owned());
        } else if parts.iter().all(|part| !part.is_empty() && part.chars().all(word)) {
            keys.insert(text.to_owned());
        }
    }
    (keys, beginnings)
}

fn between_quotes(js: &str) -> Vec<&str> {
    js.lines().flat_map(|line| line.split('\'').skip(1).step_by(2)).collect()
}

/// Class names of elements are written like keys: `h('p.sub', …)`.
fn is_element(key: &str) -> bool {
    let tags = "a article b button caption circle code details div dl em form g h2 h3 i input label li line ol output p rect small span table td text tr ul";
    key.split('.').next().is_some_and(|tag| tags.split(' ').any(|known| known == tag))
}

#[test]
fn the_page_is_small() {
    let sizes = [index().len(), page::css().len(), page::js().len(), page::STRINGS.len()];
    let whole: usize = sizes.iter().sum();
    assert!(whole <= LARGEST, "html, css, js, strings: {sizes:?} are {whole} bytes in all");
}

#[test]
fn every_sentence_is_there_in_both_languages() {
    for (key, entry) in sentences() {
        let text = |language: &str| {
            let text =
                entry[language].as_str().unwrap_or_else(|| panic!("{key} has no {language}"));
            assert!(!text.trim().is_empty() || key == "say.and", "{key} is empty in {language}");
            text.to_owned()
        };
        let holes =
            |text: &str| between(text, "{", "}").map(str::to_owned).collect::<BTreeSet<_>>();
        let (en, zh) = (text("en"), text("zh"));
        assert_eq!(holes(&en), holes(&zh), "{key} names other values in the two languages");
        assert_eq!(
            entry.as_object().map(serde_json::Map::len),
            Some(2),
            "{key} has a third language"
        );
        for (word, better) in
            [("told", "reported"), ("(s)", "the plural alone"), ("mode", "trigger")]
        {
            let plain = format!(" {} ", en.to_lowercase());
            assert!(
                !plain.contains(&format!(" {word} ")) && !en.contains("(s)"),
                "{key}: say {better}"
            );
        }
    }
}

#[test]
fn a_sentence_has_at_most_25_words() {
    for (key, entry) in sentences() {
        let en = entry["en"].as_str().unwrap();
        for sentence in en.split(['.', ':', '?', ';']) {
            let words = sentence.split_whitespace().count();
            assert!(words <= 25, "{key}: {words} words: {sentence}");
        }
    }
}

#[test]
fn every_key_that_is_used_exists_and_every_sentence_is_used() {
    let all: BTreeSet<String> = sentences().keys().cloned().collect();
    let (keys, beginnings) = used();
    for key in keys.iter().filter(|key| !is_element(key)) {
        assert!(all.contains(key), "the page uses {key:?}, and strings.json has no such key");
    }
    for beginning in &beginnings {
        let some = all.iter().any(|key| key.starts_with(beginning.as_str()));
        assert!(some, "the page uses keys that begin with {beginning:?}, and there is none");
    }
    for key in &all {
        let begun = beginnings.iter().any(|beginning| key.starts_with(beginning.as_str()));
        assert!(keys.contains(key) || begun, "nothing uses the sentence {key:?}");
    }
}

#[test]
fn what_records_name_has_words() {
    let all = sentences();
    let names = [
        (
            "lint",
            "spin lost-edge write-idle end-ignored slow-handler growing-buffer hog zombie out-of-descriptors",
        ),
        ("gate", "before after running"),
        ("trigger", "level edge oneshot"),
        (
            "handler",
            "tutorial correct edge-one-read edge-drained pool broadcast write-always close-first file",
        ),
        ("role", "listener client waker timer signal other"),
        ("state", "open half-closed reset closed"),
        ("fault", "half-close reset close stop-reading read-again drip flood urgent duplicate"),
        ("until", "ghost write end lint turn"),
    ];
    for (group, values) in names {
        for value in values.split(' ') {
            let key = format!("{group}.{value}");
            assert!(all.contains_key(&key), "{key} has no sentence");
            for part in ["why", "try"].iter().filter(|_| group == "lint") {
                assert!(all.contains_key(&format!("{key}.{part}")), "{key} does not say {part}");
            }
        }
    }
}

#[test]
fn nothing_comes_from_elsewhere_and_nothing_is_inline() {
    let html = index();
    for (name, text) in [
        ("html", html.as_str()),
        ("css", page::css()),
        ("js", page::js()),
        ("strings", page::STRINGS),
    ] {
        for foreign in
            ["http:", "https:", "@import", "url(", "src=\"//", "eval(", "innerHTML", "new Function"]
        {
            assert!(!text.contains(foreign), "{name} has {foreign:?}");
        }
    }
    // The policy refuses styles and scripts that stand in the page, and handlers in attributes.
    assert!(
        !html.contains("<style") && !html.contains(" style="),
        "the page has a style of its own"
    );
    assert!(between(&html, "<script", "</script>").all(|script| script.ends_with("defer>")));
    assert!(!html.contains(" on"), "the page has a handler in an attribute");
    assert!(!page::js().contains("setAttribute('style'") && !page::js().contains("style:"));
    assert!(page::CSP.starts_with("default-src 'none'") && !page::CSP.contains("unsafe"));
    let linked = "page.js?t=0123456789abcdef0123456789abcdef\"";
    assert!(html.contains(linked) && !html.contains("{{"), "the links carry the token");
}

#[test]
fn browsers_of_five_years_ago_know_all_of_it() {
    let html = index();
    for (text, young) in [
        (
            page::css(),
            vec![
                ":has(",
                "@container",
                "color-mix(",
                "light-dark(",
                "@layer",
                "dvh",
                "text-wrap",
                " & ",
                "@scope",
                "field-sizing",
            ],
        ),
        (html.as_str(), vec!["<dialog", "popover", "inert"]),
        (
            page::js(),
            vec![
                "structuredClone",
                ".findLast(",
                ".toSorted(",
                ".toReversed(",
                "Object.groupBy",
                ".withResolvers",
                "showModal",
                ".at(-",
                "(?<",
            ],
        ),
    ] {
        for feature in young {
            assert!(!text.contains(feature), "{feature:?} is younger than five years");
        }
    }
}

#[test]
fn a_recording_is_one_file_and_cannot_break_out_of_its_element() {
    let events = r#"[["hello",{"subject":"</script><script>alert(1)</script>"}]]"#;
    let html = page::recording(events);
    assert!(!html.contains("alert(1)</script>"), "a record ends its element");
    assert!(html.contains("\\u003c/script>\\u003cscript>alert(1)"), "{html}");
    assert!(!html.contains("page.css?") && !html.contains("page.js?") && !html.contains("{{"));
    assert_eq!(html.matches("<script").count(), 3, "strings, recording, script");
}

#[test]
fn leaving_out_spaces_changes_no_text() {
    let js = page::js();
    assert!(
        js.contains("const $=id=>document.getElementById(id);"),
        "spaces around signs are gone"
    );
    assert!(js.contains("'use strict';") && js.contains("' · '"), "texts keep their spaces");
    assert!(js.lines().all(|line| !line.contains(" //")), "comments are gone");
}
