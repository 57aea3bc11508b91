//! The threads of a server and the ends of its runs: which a close waits for, and which a shutdown.

use std::cell::RefCell;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak, mpsc};
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

use support::server::*;
use support::*;
use tripoll::server::{
    Exchange, HandlerResult, Inline, PythonSocket, TcpServer, ThreadingTcpServer,
};

/// Is dropped late in the end of its thread.
struct Late(Arc<AtomicBool>);

impl Drop for Late {
    fn drop(&mut self) {
        thread::sleep(Duration::from_millis(100));
        self.0.store(true, Ordering::Release);
    }
}

thread_local! {
    static LATE: RefCell<Vec<Late>> = const { RefCell::new(Vec::new()) };
}

#[test]
fn a_close_waits_until_the_threads_are_gone() {
    let is_gone = Arc::<AtomicBool>::default();
    let for_handler = Arc::clone(&is_gone);
    let server = ThreadingTcpServer::from_fn(ANY, move |exchange: &mut Exchange| {
        LATE.with_borrow_mut(|late| late.push(Late(Arc::clone(&for_handler))));
        Ok(exchange.request.sendall(b"hello")?)
    });
    let server = server.unwrap();
    while_serving(&server, || assert_eq!(ask(&server.server_address(), b""), b"hello"));
    assert!(is_gone.load(Ordering::Acquire), "the thread has not ended");
}

#[test]
fn a_close_by_a_handler_that_came_too_late_may_be_tried_again() {
    let itself = Arc::<OnceLock<Weak<ThreadingTcpServer>>>::default();
    let for_handler = Arc::clone(&itself);
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let (tell, told) = mpsc::channel();
    let is_done = AtomicBool::new(false);
    let handle = move |exchange: &mut Exchange| -> HandlerResult {
        if exchange.request.recv(1)? == b"w" {
            exchange.request.sendall(b"w")?;
            let _ = wait.lock().unwrap().recv();
            is_done.store(true, Ordering::Release);
            return Ok(());
        }
        let server = for_handler.get().and_then(Weak::upgrade).unwrap();
        let late = server.server_close_within(Duration::from_millis(10)).unwrap_err();
        tell.send(late.kind() == io::ErrorKind::TimedOut)?;
        server.server_close();
        tell.send(is_done.load(Ordering::Acquire))?;
        Ok(())
    };
    let server = Arc::new(ThreadingTcpServer::from_fn(ANY, handle).unwrap());
    itself.set(Arc::downgrade(&server)).unwrap();
    thread::scope(|scope| {
        let serving = scope.spawn(|| server.serve_forever(MINUTE));
        let mut working = connect(&server.server_address());
        say(&mut working, b"w");
        read(&mut working);
        let mut closing = connect(&server.server_address());
        say(&mut closing, b"c");
        assert!(told.recv_timeout(LONG).unwrap());
        let early = told.recv_timeout(Duration::from_millis(100));
        assert!(early.is_err(), "the other handler is not done");
        drop(go);
        assert!(told.recv_timeout(LONG).unwrap());
        serving.join().unwrap().unwrap();
    });
}

fn say(client: &mut std::net::TcpStream, word: &[u8]) {
    io::Write::write_all(client, word).unwrap();
}

fn read(client: &mut std::net::TcpStream) {
    io::Read::read_exact(client, &mut [0]).unwrap();
}

/// Ends a server that serves again and again, also when the test has failed.
struct End<'a, 'scope>(&'a TcpServer, &'a AtomicBool, &'a ScopedJoinHandle<'scope, ()>);

impl Drop for End<'_, '_> {
    fn drop(&mut self) {
        self.1.store(true, Ordering::Release);
        while !self.2.is_finished() {
            self.0.request_shutdown(); // between two runs it does nothing
            thread::sleep(Duration::from_millis(1));
        }
    }
}

#[test]
fn a_shutdown_waits_for_the_end_of_its_run_and_not_of_the_next() {
    const TIMES: usize = 200;
    let greet = |exchange: &mut Exchange| -> HandlerResult { Ok(exchange.request.sendall(b"hi")?) };
    let server = tripoll::server::Server::<_, Inline>::from_fn(ANY, greet).unwrap();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let serving = scope.spawn(|| {
            while !is_over.load(Ordering::Acquire) {
                server.serve_forever(MINUTE).unwrap();
            }
        });
        let _end = End(&server, &is_over, &serving);
        let (tell, told) = mpsc::channel();
        scope.spawn(|| {
            let tell = tell;
            for _ in 0..TIMES {
                assert_eq!(ask(&server.server_address(), b""), b"hi"); // now it serves
                server.shutdown().unwrap();
                tell.send(()).unwrap();
            }
        });
        for time in 0..TIMES {
            assert!(told.recv_timeout(LONG).is_ok(), "shutdown {time} waits for the wrong run");
        }
    });
}
