//! The pages.

use std::path::{Path, PathBuf};

/// A page: its path from the root of the repository, and its text.
pub struct Page {
    pub path: PathBuf,
    pub text: String,
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn page(path: PathBuf) -> Page {
    let text = std::fs::read_to_string(root().join(&path));
    Page { text: text.unwrap_or_else(|error| panic!("{path:?}: {error}")), path }
}

/// The languages of the book: the first is the original.
pub const LANGUAGES: [&str; 2] = ["en", "zh"];

/// The pages of the book in all languages.
pub fn book() -> Vec<Page> {
    LANGUAGES.iter().flat_map(|language| book_in(language)).collect()
}

/// The pages of the book in one language, in the order of their names.
pub fn book_in(language: &str) -> Vec<Page> {
    let folder = Path::new("book").join(language).join("src");
    let files = root().join(&folder).read_dir().unwrap();
    let mut names: Vec<_> = files.map(|file| file.unwrap().file_name()).collect();
    names.retain(|name| Path::new(name).extension().is_some_and(|ending| ending == "md"));
    names.sort();
    names.iter().map(|name| page(folder.join(name))).collect()
}

/// The book, and the pages beside it.
pub fn pages() -> Vec<Page> {
    let beside = ["NOTES.md", "README.md", "README.zh.md", "READINESS.md", "tests/README.md"];
    let beside = beside.into_iter().chain(["CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"]);
    book().into_iter().chain(beside.map(|path| page(path.into()))).collect()
}
