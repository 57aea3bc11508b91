//! `select_rw`, and hostile clients, on every backend and trigger.

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
fn clients_that_leave_leave_nothing_behind() {
    hostile::clients_that_leave_leave_nothing_behind(SELECT_RW);
}

#[test]
fn a_signal_ends_it_with_clients_connected() {
    hostile::a_signal_ends_it_with_clients_connected(SELECT_RW);
}

#[test]
fn fifteen_hundred_clients_at_once_are_served() {
    hostile::fifteen_hundred_clients_at_once_are_served(SELECT_RW);
}

#[test]
fn without_descriptors_it_waits_and_goes_on_later() {
    hostile::without_descriptors_it_waits_and_goes_on_later(SELECT_RW);
}
