//! `tripoll compare --workload`: questions of another kind, each with a report of its own.
//!
//! A [`Study`] has sentences with the answer first, tables, charts and every sample. Its text, page
//! and exports have one form for all of them. A module of this folder measures one question.

mod auto;
mod balance;
mod cells;
mod chart;
mod churn;
mod echo_server;
mod history;
mod latency;
mod options;
mod page;
mod processors;
mod report;
mod rows;
mod table;
mod timers;
mod topic;
mod wake;

pub use echo_server::serve_echo;
pub use options::{Options, Steps};
pub use report::{Figure, Study};
pub use topic::Topic;
