//! Listeners, connections and datagram sockets on every backend and trigger.

mod accept;
mod boxed;
mod buffered;
mod close;
mod connection;
mod datagrams;
mod descriptors;
mod extremes;
mod finish;
mod framing;
mod framing_splits;
mod inherited;
mod listener;
mod listener_end;
mod model;
mod multicast;
mod pauses;
mod refusals;
mod send_file;
mod serve_in_pool;
mod shortage;
mod sigpipe;
mod slow_readers;
mod socket_files;
mod utf8;
mod writing;
