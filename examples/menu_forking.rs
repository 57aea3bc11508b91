//! The tutorials' telephone menu. There are two programs, `menu_threading` and `menu_forking`, and
//! they differ in one word. (`diff examples/menu_threading.rs examples/menu_forking.rs`)
//!
//! Run: either with `-- --listen 127.0.0.1:8009`, then
//! `cargo run --example client -- menu --connect 127.0.0.1:8009`.
//!
//! Type `0` for a human being, or `exit`; `common/menu.rs` says what the Chinese lines mean.
//!
//! A client is served by a thread or by a process of its own, which may block: other clients do not
//! wait for it. `common/menu.rs` has the handler, and the handler is the same for both. The name of
//! the server type chooses between the two: `ThreadingTcpServer` starts a thread for each client,
//! and `ForkingTcpServer` a process.
//!
//! Try: two clients at once. Then list the threads with `ps -T -p PID`, or the child processes with
//! `ps --ppid PID`, where PID is the server's.

use common::Options;
use common::menu::MyServer;
use tripoll::server;

fn main() -> Result<(), common::Failure> {
    let options = Options::read("The telephone menu, each client served apart", common::TCP)?;
    let server = server::ForkingTcpServer::builder(&options.listen)
        .config(common::patient())
        .build(|| MyServer)?;
    common::serve(&options, server)
}
