//! Chapters 15 to 19.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use signal_hook::consts::SIGTERM;
use signal_hook::iterator::Signals;
use tripoll::net::{Address, Stream};
use tripoll::server::{
    BaseServer, Exchange, ForkingTcpServer, HandlerResult, Hooks, Parked, ParkedTcpServer,
    PythonSocket, RequestHandler, StreamExchange, ThreadingTcpServer,
};

use crate::looped::address;

pub fn two_loops(wrong: bool) -> io::Result<()> {
    struct Capitals(bool);
    impl RequestHandler for Capitals {
        fn handle(&mut self, exchange: &mut Exchange) -> HandlerResult {
            loop {
                let data = exchange.request.recv(1024)?;
                exchange.request.sendall(&data.to_ascii_uppercase())?;
                if data.is_empty() || self.0 {
                    return Ok(()); // the wrong one has no communication loop
                }
            }
        }
    }
    let server = ThreadingTcpServer::new(address().as_str(), move || Capitals(wrong))?;
    server.serve_forever(Duration::from_secs(1))?;
    Ok(())
}

pub fn threads(wrong: bool) -> io::Result<()> {
    for client in TcpListener::bind(address())?.incoming() {
        let mut client = client?;
        thread::spawn(move || {
            let mut buffer = [0; 1024];
            while let Ok(count) = client.read(&mut buffer) {
                if count == 0 && !wrong || client.write_all(&buffer[..count]).is_err() {
                    break; // the wrong one goes on at the end, for ever
                }
            }
        });
    }
    Ok(())
}

pub fn processes(wrong: bool) -> io::Result<()> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    struct Count(bool);
    impl RequestHandler for Count {
        fn handle(&mut self, exchange: &mut Exchange) -> HandlerResult {
            if self.0 {
                COUNT.fetch_add(1, Ordering::Relaxed); // in a copy
            }
            let number = COUNT.load(Ordering::Relaxed);
            exchange.request.sendall(format!("{number}\n").as_bytes())?;
            loop {
                let data = exchange.request.recv(1024)?;
                if data.is_empty() {
                    return Ok(());
                }
                exchange.request.sendall(&data)?;
            }
        }
    }
    struct CountsBefore(bool);
    impl Hooks<Arc<Stream>> for CountsBefore {
        fn verify_request(
            &self,
            _: &BaseServer<Arc<Stream>>,
            _: &Arc<Stream>,
            _: &Address,
        ) -> bool {
            if !self.0 {
                COUNT.fetch_add(1, Ordering::Relaxed);
            }
            true
        }
    }
    let server = ForkingTcpServer::builder(address().as_str())
        .hooks(CountsBefore(wrong))
        .build(move || Count(wrong))?;
    server.serve_forever(Duration::from_secs(1))?;
    Ok(())
}

/// Numbers lines.
#[derive(Default)]
struct Numbers(u64);

impl RequestHandler<StreamExchange> for Numbers {
    fn setup(&mut self, exchange: &mut StreamExchange) -> HandlerResult {
        Ok(writeln!(exchange.wfile, "hello")?)
    }

    fn handle(&mut self, exchange: &mut StreamExchange) -> HandlerResult {
        let mut line = Vec::new();
        exchange.rfile.by_ref().take(4_096).read_until(b'\n', &mut line)?;
        self.0 += 1;
        write!(exchange.wfile, "{}: ", self.0)?;
        exchange.wfile.write_all(&line)?;
        exchange.close_connection = false;
        Ok(())
    }
}

pub fn pool(wrong: bool) -> io::Result<()> {
    if !wrong {
        let server = ParkedTcpServer::builder(address().as_str())
            .concurrency(Parked::default().workers(4))
            .build(Numbers::default)?;
        server.serve_forever(Duration::from_secs(1))?;
        return Ok(());
    }
    let (give, clients) = channel::<TcpStream>();
    let clients = Arc::new(Mutex::new(clients));
    for _ in 0..8 {
        let clients = Arc::clone(&clients);
        thread::spawn(move || {
            loop {
                let client = clients.lock().unwrap_or_else(PoisonError::into_inner).recv();
                let Ok(client) = client else { return };
                let _ = converse(&client);
            }
        });
    }
    for client in TcpListener::bind(address())?.incoming() {
        give.send(client?).map_err(io::Error::other)?;
    }
    Ok(())
}

/// A worker from the client's beginning to its end.
fn converse(mut client: &TcpStream) -> io::Result<()> {
    writeln!(client, "hello")?;
    for (number, line) in (1..).zip(BufReader::new(client).lines()) {
        writeln!(client, "{number}: {}", line?)?;
    }
    Ok(())
}

pub fn shutdown(wrong: bool) -> io::Result<()> {
    let door = TcpListener::bind(address())?;
    let mut signals = Signals::new(if wrong { &[][..] } else { &[SIGTERM] })?;
    let clients = Arc::new(Mutex::new(Vec::new()));
    let accepted = Arc::clone(&clients);
    thread::spawn(move || {
        for client in door.incoming().flatten() {
            let Ok(served) = client.try_clone() else { continue };
            let handler = thread::spawn(move || lines(&served));
            accepted.lock().unwrap_or_else(PoisonError::into_inner).push((client, handler));
        }
    });
    signals.forever().next();
    for (client, handler) in clients.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
        let _ = client.shutdown(Shutdown::Read); // its handler reads what has come, and the end
        let _ = handler.join();
    }
    Ok(())
}

fn lines(mut client: &TcpStream) -> io::Result<()> {
    for line in BufReader::new(client).lines() {
        let line = line?;
        if line == "slow" {
            thread::sleep(Duration::from_millis(500));
            writeln!(client, "done")?;
        } else {
            writeln!(client, "{line}")?;
        }
    }
    Ok(())
}
