//! `tripoll slides`: writes the pages.

use std::fs;
use std::path::{Path, PathBuf};

use tripoll_trace::is_chinese;

use super::failure::Failure;
use super::output::{print, write_file};
use crate::slides::{lessons, page};

/// Writes a page for each lesson to a folder. Without `book`, the book of this source tree is taken, in
/// the language of the environment.
pub(super) fn run(folder: &Path, book: Option<&Path>) -> Result<(), Failure> {
    let default = if is_chinese() { "zh" } else { "en" };
    let book = book.map_or_else(|| in_tree(default), Path::to_path_buf);
    let language = if book.ends_with("zh") { "zh-CN" } else { "en" };
    let source = book.join("src");
    let path = source.join("teaching.md");
    let teaching = fs::read_to_string(&path)
        .map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))?;
    fs::create_dir_all(folder)?;
    for lesson in lessons(&teaching) {
        let file = folder.join(format!("lesson-{:02}.html", lesson.number));
        write_file("slides", &file, &page(&lesson, &source, language)?)?;
        print(&format!("{}\n", file.display()))?;
    }
    Ok(())
}

fn in_tree(language: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../book").join(language)
}
