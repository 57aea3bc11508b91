//! Each chapter shows the lines of its program, and what it prints.

use std::process::Command;

use super::pages::{book, root};

#[test]
fn every_chapter_prints_what_the_book_shows() {
    let mut chapters = 0;
    for entry in root().join("examples").read_dir().unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        if let Some(name) = file.strip_suffix(".rs")
            && name.starts_with("ch")
        {
            let output = output_of(name);
            if output == "this kernel refuses io_uring\n" {
                println!("{name} is not checked: {output}");
                continue;
            }
            assert_eq!(output, shown_for(name), "{name}: left is printed, right is shown");
            chapters += 1;
        }
    }
    assert!(chapters >= 10, "the course has lost a chapter: {chapters}");
}

/// What an example prints, run to its end.
fn output_of(example: &str) -> String {
    let test = std::env::current_exe().unwrap();
    let program = test.ancestors().nth(2).unwrap().join("examples").join(example);
    let output = Command::new(&program)
        .output()
        .unwrap_or_else(|error| panic!("{program:?}: {error}; `cargo build --examples` builds it"));
    assert!(output.status.success(), "{example}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The block of output that the book shows after the command that runs an example.
fn shown_for(example: &str) -> String {
    let command = format!("```sh\ncargo run --example {example}\n```\n\n```text\n");
    let shown = book().into_iter().find_map(|page| {
        let start = page.text.find(&command)? + command.len();
        Some(page.text[start..].split("```").next()?.to_string())
    });
    shown.unwrap_or_else(|| panic!("no chapter has {command}"))
}

#[test]
fn every_chapter_shows_lines_of_its_program() {
    let bless = std::env::var_os("TRIPOLL_BLESS").is_some();
    for page in book() {
        let current = with_current_lines(&page.text);
        if bless {
            std::fs::write(root().join(&page.path), &current).unwrap();
        } else {
            let path = page.path.display();
            assert_eq!(page.text, current, "{path}: left is shown, right is in the program");
        }
        let name = page.path.file_name().unwrap().to_str().unwrap();
        assert!(!name.starts_with("ch") || current.contains("\n<!-- examples/"), "{name}");
    }
}

/// A page with the present lines of the programs. Each block of lines follows a mark,
/// `<!-- file: the beginning of the item -->`.
fn with_current_lines(text: &str) -> String {
    let mut blocks = text.split("\n<!-- ");
    let mut current = String::from(blocks.next().unwrap());
    for block in blocks {
        let (mark, rest) = block.split_once(" -->\n").unwrap();
        let (file, item) = mark.split_once(": ").unwrap();
        let (_, rest) = rest.split_once("\n```\n").unwrap();
        let program = std::fs::read_to_string(root().join(file)).unwrap();
        let lines = lines_of(&program, item).unwrap_or_else(|| panic!("{file} has no {item}"));
        current += &format!("\n<!-- {mark} -->\n```rust,ignore\n{lines}\n```\n{rest}");
    }
    current
}

/// The lines of the item that begins with `head`, with its documentation.
fn lines_of(program: &str, head: &str) -> Option<String> {
    let lines: Vec<_> = program.lines().collect();
    let start = lines.iter().position(|line| line.starts_with(head))?;
    let end = start + lines[start..].iter().position(|&line| line == "}")?;
    let is_above = |line: &&&str| line.starts_with("///") || line.starts_with("#[");
    let above = lines[..start].iter().rev().take_while(is_above).count();
    Some(lines[start - above..=end].join("\n"))
}

#[test]
fn the_lines_of_an_item_are_found_with_their_documentation() {
    let program = "fn other() {\n}\n\n/// Says.\n#[test]\nfn item() {\n    1;\n}\nfn last() {}";
    let lines = "/// Says.\n#[test]\nfn item() {\n    1;\n}";
    assert_eq!(lines_of(program, "fn item(").as_deref(), Some(lines));
    assert_eq!(lines_of(program, "fn none("), None);
}
