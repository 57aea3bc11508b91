//! Reading and writing apart, and clients that wish it ill: on every backend and trigger.

use crate::hostile::{self, Subject};
use crate::marked;

const MESSAGE_DICT: Subject =
    Subject { name: "message_dict", arguments: &[], assert_served: marked::assert_served };

#[test]
fn text_comes_back_marked() {
    marked::text_comes_back_marked(MESSAGE_DICT);
}

#[test]
fn a_character_comes_in_pieces() {
    marked::a_character_comes_in_pieces(MESSAGE_DICT);
}

#[test]
fn a_slow_reader_among_a_hundred() {
    marked::a_slow_reader_among_a_hundred(MESSAGE_DICT);
}

#[test]
fn they_leave() {
    hostile::they_leave(MESSAGE_DICT);
}

#[test]
fn they_are_there_at_the_signal() {
    hostile::they_are_there_at_the_signal(MESSAGE_DICT);
}

#[test]
fn they_are_many() {
    hostile::they_are_many(MESSAGE_DICT);
}

#[test]
fn they_take_all_descriptors() {
    hostile::they_take_all_descriptors(MESSAGE_DICT);
}
