//! Python's `socketserver` on every backend and trigger.

mod accept_hooks;
mod addresses;
mod answers;
mod bounds;
mod clock;
mod close;
mod cut_answers;
mod datagrams;
mod event_loop;
mod extremes;
mod glob_import;
mod handlers;
mod hooks;
mod kinds;
mod last_output;
mod parked;
mod pending;
mod races;
mod shutdown;
mod timeouts;
mod to_address;
