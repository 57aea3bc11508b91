//! The example servers, seen from outside.

mod answers;
mod broadcast;
mod chat;
mod completion_echo;
mod concurrency;
mod echo;
mod embed;
mod frame_echo;
mod help;
mod hostile;
mod image;
mod inspect;
mod keep_alive;
mod line;
mod login;
mod loops;
mod marked;
mod menu;
mod message_dict;
mod message_dict_literal;
mod multiport;
mod once;
mod proxy;
mod redis;
mod reload;
mod requests;
mod select_rw;
mod socket_end;
mod timestamp;
#[cfg(feature = "tls")]
mod tls_echo;
mod udp;
mod unread_log;
mod upper;
