//! Reading and writing in one list, and clients that wish it ill: on every backend and trigger.

use crate::hostile::{self, Subject};
use crate::marked;

const SELECT_RW: Subject =
    Subject { name: "select_rw", arguments: &[], assert_served: marked::assert_served };

#[test]
fn text_comes_back_marked() {
    marked::text_comes_back_marked(SELECT_RW);
}

#[test]
fn a_character_comes_in_pieces() {
    marked::a_character_comes_in_pieces(SELECT_RW);
}

#[test]
fn a_slow_reader_among_a_hundred() {
    marked::a_slow_reader_among_a_hundred(SELECT_RW);
}

#[test]
fn they_leave() {
    hostile::they_leave(SELECT_RW);
}

#[test]
fn they_are_there_at_the_signal() {
    hostile::they_are_there_at_the_signal(SELECT_RW);
}

#[test]
fn they_are_many() {
    hostile::they_are_many(SELECT_RW);
}

#[test]
fn they_take_all_descriptors() {
    hostile::they_take_all_descriptors(SELECT_RW);
}
