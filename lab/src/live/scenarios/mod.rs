//! The scenarios: one for each of the questions that learners ask most.
//!
//! A scenario is data, in `scenarios.json`. It has its texts, the settings with which its subject begins,
//! what is done to set it up, and what is done to play it. What is done is written as the controls of a
//! page: `op=spawn&n=2`. So a learner's clicks and a scenario do the same.

pub(super) mod script;

use std::sync::OnceLock;

use serde::Deserialize;

use super::record::{Both, ScenarioTitle};

/// A scenario.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Its name.
    pub id: String,
    /// The number of its question.
    pub question: u32,
    /// The file of its chapter in the book, without its ending.
    pub chapter: String,
    /// Its question.
    pub title: Both,
    /// What to do.
    pub steps: Vec<Both>,
    /// What one sees.
    pub see: Both,
    /// The handler of its subject.
    pub handler: String,
    /// The settings of its subject, as controls.
    #[serde(default)]
    pub settings: Vec<String>,
    /// What is done before it is shown.
    pub setup: Vec<Action>,
    /// What the steps do: for recordings and tests.
    pub play: Vec<Action>,
}

/// What is done in a scenario.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Action {
    /// A control, or `rest=MS`.
    Plain(String),
    /// A control with a body.
    Text(String, String),
    /// A control with a text as its body, so many times.
    Repeated(String, String, usize),
}

impl Action {
    /// Returns the query of the control.
    pub fn query(&self) -> &str {
        match self {
            Action::Plain(query) | Action::Text(query, _) | Action::Repeated(query, ..) => query,
        }
    }

    /// Returns the body of the control.
    pub fn body(&self) -> Vec<u8> {
        match self {
            Action::Plain(_) => Vec::new(),
            Action::Text(_, text) => text.clone().into_bytes(),
            Action::Repeated(_, text, times) => text.repeat(*times).into_bytes(),
        }
    }
}

impl Scenario {
    /// Returns what a page is told of it. `is_whole` tells whether the texts of a running scenario are in it.
    pub(super) fn title(&self, is_whole: bool) -> ScenarioTitle {
        let mut title = ScenarioTitle {
            id: self.id.clone().into(),
            question: self.question,
            title: self.title.clone(),
            chapter: self.chapter.clone().into(),
            ..ScenarioTitle::default()
        };
        if is_whole {
            title.steps.clone_from(&self.steps);
            title.see = self.see.clone();
        }
        title
    }
}

/// Returns all scenarios, by question.
pub fn all() -> &'static [Scenario] {
    static ALL: OnceLock<Vec<Scenario>> = OnceLock::new();
    ALL.get_or_init(|| {
        // A test parses the file, so it is right.
        serde_json::from_str(include_str!("scenarios.json")).unwrap_or_default()
    })
}

/// Returns the scenario called `id`.
///
/// # Errors
///
/// A sentence with the names that there are.
pub fn find(id: &str) -> Result<&'static Scenario, String> {
    all().iter().find(|scenario| scenario.id == id).ok_or_else(|| {
        let names: Vec<_> = all().iter().map(|scenario| scenario.id.as_str()).collect();
        format!("There is no scenario {id}; there are {}.", names.join(", "))
    })
}
