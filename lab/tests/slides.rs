//! `tripoll slides`: what the pages have.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn slides(arguments: &[&Path]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tripoll"));
    command.arg("slides").args(arguments).env("LC_ALL", "C").output().unwrap()
}

fn made(language: &str) -> Vec<String> {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("slides-{language}"));
    let book = Path::new(env!("CARGO_MANIFEST_DIR")).join("../book").join(language);
    let output = slides(&[&folder, Path::new("--book"), &book]);
    assert!(output.status.success(), "{output:?}");
    let printed = String::from_utf8(output.stdout).unwrap();
    printed.lines().map(|path| fs::read_to_string(path).unwrap()).collect()
}

#[test]
fn twelve_lessons_have_slides_in_both_languages() {
    let (english, chinese) = (made("en"), made("zh"));
    assert_eq!((english.len(), chinese.len()), (12, 12));
    for (page, other) in english.iter().zip(&chinese) {
        let slides = page.matches("<section>").count();
        assert!(slides > 8 && slides == other.matches("<section>").count(), "{slides}");
        for page in [page, other] {
            assert!(page.contains("cargo run --example") || page.contains("<code>"), "{page}");
            assert!(
                !page.contains("<script") && !page.contains("<img") && !page.contains("<a href")
            );
            assert!(page.len() < 300_000, "{} bytes", page.len());
        }
    }
    assert!(english[5].contains("<h1>6. Why does my socket report nothing any more?</h1>"));
    assert!(english[5].contains("&lt;- stalled") || english[5].contains("stalled"), "its output");
    assert!(chinese[5].contains("lang=\"zh-CN\"") && chinese[5].contains("边缘触发"));
    assert!(english.iter().any(|page| page.contains("<svg")), "a picture");
}

#[test]
fn a_folder_without_a_book_is_refused() {
    let output = slides(&[Path::new("unused"), Path::new("--book"), Path::new("/nowhere")]);
    assert_eq!(output.status.code(), Some(2));
    let reason = String::from_utf8(output.stderr).unwrap();
    assert!(reason.contains("/nowhere/src/teaching.md") && reason.lines().count() == 1, "{reason}");
}
