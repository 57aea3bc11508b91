//! The exercises, in the order of the book.

mod calls;
mod one_loop;

use super::exercise::Exercise;

/// All exercises.
pub const EXERCISES: &[&Exercise] = &[
    &calls::SELECT,
    &calls::POLL,
    &calls::EPOLL,
    &calls::EDGE,
    &one_loop::ONE_AT_A_TIME,
    &one_loop::INPUTS,
    &one_loop::MESSAGE_DICT,
    &one_loop::BACK_PRESSURE,
    &one_loop::PORTS,
];
