//! The structure of the sources: imports, public items, sizes and words.
//!
//! These tests read the sources and run none of them.

mod code;
mod crate_tree;
mod examples;
mod forwards;
mod guide;
mod hazards;
mod imports;
mod public_items;
mod sources;
