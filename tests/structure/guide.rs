//! The recipes of the guide have one form, and the front page leads to each.

use std::fs;
use std::path::Path;

/// The most words of a sentence.
const LONGEST: usize = 25;

#[test]
fn recipes_have_one_form_and_are_linked() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let front = fs::read_to_string(src.join("lib.rs")).unwrap();
    let index = fs::read_to_string(src.join("guide/mod.rs")).unwrap();
    let mut count = 0;
    for entry in fs::read_dir(src.join("guide")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let recipe = fs::read_to_string(&path).unwrap();
        let fault = fault(&recipe);
        assert_eq!(fault.filter(|_| name != "mod"), None, "{name}");
        assert_eq!(long_sentence(&recipe), None, "{name}");
        if name != "mod" {
            assert!(front.contains(&format!("(guide::{name})")), "{name}: not in lib.rs");
            assert!(index.contains(&format!("| [`{name}`] |")), "{name}: not in guide/mod.rs");
            count += 1;
        }
    }
    assert!(count >= 17, "{count} recipes were found");
}

/// Returns what a recipe lacks.
fn fault(recipe: &str) -> Option<&'static str> {
    let parts = [
        "//! The problem: ",
        "//! # What to watch out for\n",
        "//! # In other libraries\n//!\n//! | library | its name |",
        "#![doc(alias = ",
    ];
    if let Some(missing) = parts.into_iter().find(|part| !recipe.contains(part)) {
        return Some(missing);
    }
    if !recipe.contains("```\n//! use std::") && !recipe.contains("doc = \"```\")]\n") {
        return Some("a program that runs");
    }
    let notes = recipe.lines().filter(|line| line.starts_with("//! * ")).count();
    (!(2..=5).contains(&notes)).then_some("two to five notes")
}

/// Returns a sentence that is too long.
fn long_sentence(recipe: &str) -> Option<String> {
    let mut text = String::new();
    let mut is_code = false;
    for line in recipe.lines() {
        if line.contains("```") {
            is_code ^= !line.contains("ignore"); // TLS has a first line for each case
            continue;
        }
        let Some(line) = line.strip_prefix("//!").map(str::trim) else { continue };
        if !is_code && !line.starts_with(['|', '#']) {
            let line = line.strip_prefix("* ").map_or(line.into(), |note| format!("\0{note}"));
            text += if line.is_empty() { "\0" } else { &line };
            text.push(' ');
        }
    }
    let sentences = text.split('\0').flat_map(|paragraph| paragraph.split(['.', '?', ':']));
    sentences.map(str::to_owned).find(|sentence| sentence.split_whitespace().count() > LONGEST)
}

#[test]
fn a_recipe_without_its_parts_and_a_long_sentence_are_found() {
    assert_eq!(fault("//! A title.\n"), Some("//! The problem: "));
    let words = |count| format!("//! {}.\n//! And so on.\n", vec!["word"; count].join(" "));
    assert!(long_sentence(&words(LONGEST + 1)).is_some());
    assert_eq!(long_sentence(&words(LONGEST)), None);
    assert_eq!(long_sentence(&format!("//! ```\n{}//! ```\n", words(LONGEST + 1))), None);
}
