//! Sizes and words of the sources, which a reader notices before the structure.

use std::collections::BTreeMap;
use std::path::Path;

use crate::crate_tree::read_directory;

/// The most lines of code of a file: without comments, blank lines and unit tests.
const MOST_LINES: usize = 450;

/// The lints that find code that nothing uses.
const UNUSED: &[&str] = &["dead_code", "unused", "unused_imports"];

/// Returns the sources in a directory of the repository, by name.
fn sources(directories: &[&str]) -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = BTreeMap::new();
    for directory in directories {
        read_directory(&root.join(directory), &format!("{directory}/"), &mut sources);
    }
    sources
}

/// Returns the number of lines of code.
fn lines_of_code(source: &str) -> usize {
    let tests = source.find("#[cfg(test)]\nmod ").unwrap_or(source.len());
    let lines = source[..tests].lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with("//")).count()
}

#[test]
fn no_file_is_long() {
    for (name, source) in sources(&["src", "lab/src"]) {
        let lines = lines_of_code(&source);
        assert!(
            lines <= MOST_LINES,
            "{name} has {lines} lines of code, over {MOST_LINES}: split it"
        );
    }
}

#[test]
fn comments_blanks_and_unit_tests_are_not_code() {
    let source = "//! Head.\n\nfn f() {\n    // Why.\n}\n\n#[cfg(test)]\nmod tests {\n}\n";
    assert_eq!(lines_of_code(source), 2);
}

/// Returns the attributes that allow code that nothing uses, one line each.
fn allowed_dead_code(source: &str) -> Vec<&str> {
    let is_allowed = |line: &&str| {
        let lints = line.split_once("allow(").map(|(_, lints)| lints);
        let lints = lints.filter(|_| line.trim_start().starts_with('#') || line.contains(" #["));
        lints.is_some_and(|lints| {
            lints
                .split(|c: char| c != '_' && !c.is_alphanumeric())
                .any(|lint| UNUSED.contains(&lint))
        })
    };
    source.lines().filter(is_allowed).collect()
}

#[test]
fn no_dead_code_is_allowed() {
    for (name, source) in sources(&["src", "lab", "tests", "examples", "benches"]) {
        assert_eq!(allowed_dead_code(&source), [""; 0], "{name}");
    }
}

#[test]
fn an_attribute_that_allows_dead_code_is_found() {
    let lint = UNUSED[0];
    let inner = format!("#![allow(missing_docs, {lint})]");
    let field = format!("struct S(u8, #[allow({lint}, reason = \"kept\")] u8);");
    assert_eq!(allowed_dead_code(&inner), [&inner]);
    assert_eq!(allowed_dead_code(&field), [&field]);
    assert_eq!(allowed_dead_code("#[allow(clippy::module_inception)]"), [""; 0]);
}

/// The words that stand for persons. Sources, events and threads are things, and have names.
const PERSONS: &[&str] = &["whoever", "somebody", "nobody", "who", "whom", "everybody", "anybody"];

/// Returns the number of words for persons in a source.
fn persons(source: &str) -> usize {
    let words = source.split(|c: char| c != '_' && !c.is_alphanumeric());
    words.filter(|word| PERSONS.contains(&word.to_lowercase().as_str())).count()
}

#[test]
fn things_are_not_called_persons() {
    let sources = sources(&["src"]);
    let lines: usize = sources.values().map(|source| source.lines().count()).sum();
    let found: BTreeMap<_, _> =
        sources.iter().map(|(name, source)| (name, persons(source))).collect();
    let count: usize = found.values().sum();
    assert!(count * 1_000 < lines * 2, "{count} in {lines} lines, at most 2 in 1,000: {found:#?}");
}

#[test]
fn a_word_for_a_person_is_found() {
    assert_eq!(
        persons("// Who waits is served; nobody sleeps, whose_turn and knower count not."),
        2
    );
}

#[test]
fn only_the_counter_uses_an_atomic_number_of_64_bits() {
    let uses = |source: &str| ["AtomicU64", "AtomicI64"].iter().any(|name| source.contains(name));
    for (name, source) in sources(&["src", "lab/src", "tests", "examples"]) {
        let may = name == "src/sync/counter.rs" || name == "tests/structure/sources.rs";
        assert!(
            may || !uses(&source),
            "{name} uses an atomic number of 64 bits, which some machines of 32 bits have not: use \
             crate::sync::Counter, or AtomicUsize"
        );
    }
}

/// The folders whose modules may be unsafe: the system calls, and the C library's in the lab.
const UNSAFE: [&str; 2] = ["src/sys/", "lab/src/workload/raw/"];

#[test]
fn only_the_modules_of_system_calls_are_unsafe() {
    // The lint denies it everywhere else.
    for (name, source) in sources(&["src", "lab/src", "benches"]) {
        let may = UNSAFE.iter().any(|folder| name.starts_with(folder));
        assert!(may || !source.contains("allow(unsafe_code"), "{name} has `unsafe`");
    }
}
