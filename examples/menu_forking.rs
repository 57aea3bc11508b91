//! The tutorials' telephone menu. There are two programs, `menu_threading` and `menu_forking`, and
//! they differ in one word. (`diff examples/menu_threading.rs examples/menu_forking.rs`)
//!
//! Run: either with `-- --listen 127.0.0.1:8009`, then
//! `cargo run --example client -- menu --connect 127.0.0.1:8009`.
//!
//! Type `0` for a human being, or `exit`; `common/menu.rs` says what the Chinese lines mean.
//!
//! Each client has somebody to itself, who talks with it and may wait for it: `common/menu.rs` has
//! what is said. Whether that somebody is a thread or a process, the handler need not know. The word
//! that says it is the name of the server.
//!
//! Try: two clients at once; and `ps -T` or `ps --ppid` with the server's number, to see who talks.

use common::Options;
use common::menu::MyServer;
use tripoll::server;

fn main() -> Result<(), common::Failure> {
    let options = Options::read("The telephone menu, with somebody for each client", common::TCP)?;
    let server = server::ForkingTcpServer::new(&options.listen, || MyServer)?;
    common::serve(&options, server)
}
