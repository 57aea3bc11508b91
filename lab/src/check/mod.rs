//! `tripoll check`: exercises of the book that check themselves.
//!
//! A check starts the learner's program, in any language, plays the clients of a chapter's scenario,
//! and looks at the program through `/proc`. It ends with "right", or with one sentence about what is
//! wrong and the paragraph of the book that explains it.
//!
//! | file | contents |
//! |---|---|
//! | `exercise.rs` | what an exercise is, and how it checks a program |
//! | `trial.rs` | one run of a check: starts the program, and collects what is right |
//! | `subject.rs` | the program while it runs, and what is expected of it |
//! | `limits.rs` | takes its descriptors away |
//! | `processes.rs` | what `/proc` says about it |
//! | `client.rs` | its clients |
//! | `pace.rs` | clients that must be on time |
//! | `verdict.rs` | the sentence about what is wrong |
//! | `chapters/` | the exercises |

mod chapters;
mod client;
mod exercise;
mod limits;
mod pace;
mod processes;
mod subject;
mod trial;
mod verdict;
mod watch;

pub use chapters::EXERCISES;
pub use exercise::{Exercise, Role};
pub use verdict::{Verdict, Wrong};
pub use watch::{Cause, watch};
