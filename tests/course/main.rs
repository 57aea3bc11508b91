//! The course is true: each chapter's program has the lines and the output that the chapter shows,
//! each experiment is a test, and each statement about the three calls is tried on the kernel.
//!
//! `TRIPOLL_BLESS=1 cargo test --test course` copies the lines of the programs into the chapters
//! again.

mod architecture;
mod languages;
mod links;
mod pages;
mod programs;
mod prose;
mod reading_time;
mod statements;
