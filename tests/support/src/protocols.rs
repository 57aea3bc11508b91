//! The protocols of the examples, which know no socket: for unit tests, and for any bytes.

#[path = "../../../examples/redis/protocol/mod.rs"]
pub mod redis;
