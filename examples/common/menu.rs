//! The tutorials' telephone menu, which three programs share.
//!
//! | you type | you hear | which means |
//! |---|---|---|
//! | (nothing yet) | 欢迎致电 10086,请输入1xxx,0转人工服务. | Welcome to 10086. Enter 1xxx, or 0 for a human being. |
//! | `0` | 通过可能会被录音.balabala一大推 | This call may be recorded, blah blah, and so on. |
//! | `exit` | (nothing: it is the end) | |
//! | anything else, `1xxx` too | 请重新输入. | Please enter it again. |

use std::io;
use tripoll::server::PythonSocket;

use tripoll::net::Stream;
use tripoll::server::{Exchange, HandlerResult, RequestHandler};

/// The handler of the `socketserver` programs.
pub struct MyServer;

impl RequestHandler for MyServer {
    fn handle(&mut self, exchange: &mut Exchange) -> HandlerResult {
        Ok(talk(&exchange.request)?)
    }
}

/// Serves one client until it sends `exit` or closes. (The tutorial answers the end of the stream
/// as a wrong number, for ever.)
pub fn talk(conn: &Stream) -> io::Result<()> {
    conn.sendall("欢迎致电 10086,请输入1xxx,0转人工服务.".as_bytes())?;
    loop {
        let data = conn.recv(1024)?;
        match data.as_slice() {
            b"" | b"exit" => return Ok(()),
            b"0" => conn.sendall("通过可能会被录音.balabala一大推".as_bytes())?,
            _ => conn.sendall("请重新输入.".as_bytes())?,
        }
    }
}
