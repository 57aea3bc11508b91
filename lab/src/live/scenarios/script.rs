//! What is still to be done in a scenario: one action after the other, each when the one before it has had
//! its effect.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::Action;
use crate::live::control::{Command, Query};

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::live) enum Todo {
    /// A control with its body.
    Do(Command, Vec<u8>),
    /// Nothing, for so long.
    Rest(Duration),
}

/// How long the subject is waited for, and how long the clients.
const SUBJECT: Duration = Duration::from_secs(3);
const CLIENTS: Duration = Duration::from_millis(300);

/// What is still to be done.
#[derive(Debug, Default)]
pub(in crate::live) struct Script {
    todo: VecDeque<Todo>,
    /// When the last action was begun.
    since: Option<Instant>,
    /// How long nothing is done.
    rest: Duration,
}

impl Script {
    /// Begins with these actions. Those of an earlier script are forgotten.
    pub(in crate::live) fn load(&mut self, actions: Vec<Todo>) {
        *self = Script { todo: actions.into(), since: Some(Instant::now()), ..Script::default() };
    }

    /// Adds an action at the end.
    pub(in crate::live) fn add(&mut self, action: Todo) {
        self.todo.push_back(action);
    }

    /// Returns whether something is to be done, or is not finished.
    pub(in crate::live) fn is_active(&self) -> bool {
        self.since.is_some()
    }

    /// Returns the next action, if it is its time. The script is finished when there was none.
    ///
    /// A subject that stands still and clients that have sent everything are not waited for without end.
    pub(in crate::live) fn next(
        &mut self,
        is_still: bool,
        are_clients_still: bool,
    ) -> Option<(Command, Vec<u8>)> {
        let past = self.since?.elapsed();
        let is_waiting = !is_still && past < SUBJECT || !are_clients_still && past < CLIENTS;
        if past < self.rest || is_waiting {
            return None;
        }
        self.rest = Duration::ZERO;
        let next = self.todo.pop_front();
        self.since = next.as_ref().map(|_| Instant::now());
        match next? {
            Todo::Do(command, body) => Some((command, body)),
            Todo::Rest(rest) => {
                self.rest = rest;
                None
            }
        }
    }
}

impl Todo {
    /// Returns what an action does.
    ///
    /// # Errors
    ///
    /// A sentence that says what is wrong with it.
    pub(in crate::live) fn of(action: &Action) -> Result<Todo, String> {
        let query = action.query();
        let rest = query.strip_prefix("rest=").and_then(|ms| ms.parse().ok());
        match rest {
            Some(ms) => Ok(Todo::Rest(Duration::from_millis(ms))),
            None => Ok(Todo::Do(Command::parse(&Query::parse(query))?, action.body())),
        }
    }
}

impl Action {
    /// Returns whether this is something that can be done.
    ///
    /// # Errors
    ///
    /// A sentence that says what is wrong with it.
    pub fn check(&self) -> Result<(), String> {
        Todo::of(self).map(drop)
    }
}
