//! The protocols of the examples, which know no socket: for unit tests, and for any bytes.

#[path = "../../../examples/chat/room.rs"]
pub mod chat;
#[path = "../../../examples/proxy/flow.rs"]
pub mod proxy_flow;
#[path = "../../../examples/proxy/header.rs"]
pub mod proxy_header;
#[path = "../../../examples/redis/protocol/mod.rs"]
pub mod redis;
