//! The language of a program's output.

/// Returns whether the environment asks for Chinese.
pub fn is_chinese() -> bool {
    let names = ["LC_ALL", "LC_MESSAGES", "LANG"];
    let set = names.iter().filter_map(|name| std::env::var(name).ok()).find(|it| !it.is_empty());
    set.is_some_and(|language| language.starts_with("zh"))
}
