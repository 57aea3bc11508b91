//! The protocol of Redis without sockets: bytes come in, and bytes go out.

mod command;
pub mod reply;
pub mod request;
mod session;
mod store;

pub use session::Session;
pub use store::Store;
