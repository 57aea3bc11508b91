//! The sentences of the page.

use std::collections::BTreeMap;

use super::super::page;
use super::super::record::Both;

/// The language of sentences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// English.
    English,
    /// Chinese.
    Chinese,
}

/// The sentences in one language.
#[derive(Debug)]
pub(super) struct Words {
    pub(super) language: Language,
    sentences: BTreeMap<String, Both>,
}

impl Words {
    pub(super) fn new(language: Language) -> Self {
        // The tests of the page parse the file, so it is right.
        let sentences = serde_json::from_str(page::STRINGS).unwrap_or_default();
        Words { language, sentences }
    }

    /// Returns the text in this language.
    pub(super) fn of<'b>(&self, both: &'b Both) -> &'b str {
        match self.language {
            Language::English => &both.en,
            Language::Chinese => &both.zh,
        }
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.sentences.contains_key(key)
    }

    /// Returns a sentence with its values. The key, where there is none.
    pub(super) fn say(&self, key: &str, values: &[(&str, String)]) -> String {
        let Some(both) = self.sentences.get(key) else { return key.to_string() };
        let fill = |text: String, (name, value): &(&str, String)| {
            text.replace(&format!("{{{name}}}"), value)
        };
        values.iter().fold(self.of(both).to_string(), fill)
    }

    /// Joins texts with the words of a key.
    pub(super) fn join(&self, texts: &[String], key: &str) -> String {
        texts.join(&self.say(key, &[]))
    }
}
