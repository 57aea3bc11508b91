//! HTTP/1.1 without sockets: bytes come in, and bytes go out.

mod body;
mod conditions;
mod head;
mod path;
mod response;
mod session;
mod site;
mod status;

pub use conditions::Version;
pub use head::MAX_HEAD;
pub use response::Clock;
pub use session::{MAX_OUTPUT, Session, Wait};
pub use status::Status;
